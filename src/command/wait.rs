//! Waits for a job by asking again and again, gently, through a restart of the server too.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::show::standing;
use crate::{
    client::{Answer, Client, Job},
    failure::Failure,
};

const FIRST: Duration = Duration::from_millis(100);
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
    let ended = poll(client, id, |job| {
        bar.set_message(standing(job));
        bar.tick();
    });
    let ended = ended.await;
    bar.finish_and_clear();
    ended
}

async fn poll(
    client: &Client,
    id: &str,
    mut seen: impl FnMut(&Job),
) -> Result<Answer<Job>, Failure> {
    let mut pause = FIRST;
    let mut answered = None;
    loop {
        match client.job(id).await {
            Ok(answer) => {
                seen(&answer.value);
                if answer.value.has_ended() {
                    return Ok(answer);
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
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST);
    }
}

/// Whether a server that restarts, or whose store is away, may have answered so.
pub(super) fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused(problem) => matches!(problem.status, 502..=504),
        _ => false,
    }
}
