//! Waits for a job: each question is answered at the job's next change, and asked again through a
//! restart of the server too.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::show::standing;
use crate::{
    client::{Answer, Client, Job},
    failure::Failure,
};

/// How long a server may keep a question, in seconds.
const WAIT: u64 = 30;
/// The pause between questions where a server answers at once.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// How long a server that was there may be away.
const AWAY: Duration = Duration::from_secs(30);

/// The job once it has ended. What it does meanwhile is on standard error, unless `quiet`.
pub(super) async fn until_ended(
    client: &Client,
    id: &str,
    quiet: bool,
) -> Result<Answer<Job>, Failure> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}")
        .expect("the template is fixed");
    bar.set_style(style);
    bar.set_prefix(super::show::plain(id));
    let ended = follow(client, id, |job| {
        bar.set_message(standing(job));
        bar.tick();
    });
    let ended = ended.await;
    bar.finish_and_clear();
    ended
}

async fn follow(
    client: &Client,
    id: &str,
    mut seen: impl FnMut(&Job),
) -> Result<Answer<Job>, Failure> {
    let mut pause = FIRST;
    let (mut answered, mut known) = (None, None);
    loop {
        let asked = Instant::now();
        match client.next_change(id, WAIT, known.as_deref()).await {
            Ok(changed) => {
                if let Some((answer, tag)) = changed {
                    seen(&answer.value);
                    if answer.value.has_ended() {
                        return Ok(answer);
                    }
                    known = tag;
                }
                answered = Some(Instant::now());
            }
            Err(failure) if answered.is_some_and(|at: Instant| at.elapsed() < AWAY) => {
                if !may_pass(&failure) {
                    return Err(failure);
                }
            }
            Err(failure) => return Err(failure),
        }
        // One that was kept for a while was worth waiting for; a server that is going down, or
        // changes in a row, are not to be run after.
        pause = if asked.elapsed() > LONGEST { FIRST } else { (pause * 3 / 2).min(LONGEST) };
        tokio::time::sleep(pause).await;
    }
}

/// Whether a server that restarts, or whose store is away, may have answered so.
pub(super) fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused(problem) => {
            matches!(problem.status, 502..=504) || problem.code == "idempotency_in_progress"
        }
        _ => false,
    }
}
