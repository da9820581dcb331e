//! What ended long enough ago goes, with all that is stored for it, and nothing else.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use std::{path::PathBuf, time::Duration};

use fileyard_orchestrator::intake::Order;
use fileyard_storage::{
    blob::BlobKey,
    id::{AttemptNo, JobId},
    job::{Job, JobFilter},
};
use yard::Yard;

const KEPT: Duration = Duration::from_secs(3600);
const A_MOMENT: Duration = Duration::from_millis(1);

fn yard() -> Yard {
    let mut yard = Yard::exclusive();
    yard.keep_jobs = Some(KEPT);
    yard
}

async fn is_there(yard: &Yard, job: JobId) -> bool {
    yard.store.job(job).await.unwrap().is_some()
}

/// All that is stored for a job that succeeded with one output.
async fn stored(yard: &Yard, job: &Job) -> [BlobKey; 3] {
    let attempt = yard.store.attempt(job.id(), AttemptNo(1)).await.unwrap().unwrap();
    let log = attempt.log_key(attempt.log.clone().unwrap().fence);
    [job.asked.input.key.clone(), job.output_key(0).unwrap(), log]
}

async fn is_stored(yard: &Yard, key: &BlobKey) -> bool {
    yard.blobs.get(key, None).await.is_ok()
}

#[tokio::test]
async fn what_ended_long_ago_goes_with_all_that_is_stored_for_it() {
    let yard = yard();
    let orchestrator = yard.orchestrator();
    let first = yard.submit("say hello\nwrite a.txt A").await;
    let job = yard.ended(&orchestrator, first).await;
    let [input, output, log] = stored(&yard, &job).await;
    yard.clock.advance(KEPT);
    let again = yard.intake().retry(first).await.unwrap().id();
    yard.ended(&orchestrator, again).await;
    orchestrator.prune().await.unwrap();
    assert!(is_there(&yard, first).await, "not a moment too early");

    yard.clock.advance(A_MOMENT);
    orchestrator.prune().await.unwrap();
    assert!(!is_there(&yard, first).await && is_there(&yard, again).await);
    assert!(!is_stored(&yard, &output).await && !is_stored(&yard, &log).await);
    assert!(is_stored(&yard, &input).await, "the other has it too");
    let stored = stored(&yard, &yard.job(again).await).await;

    yard.clock.advance(KEPT);
    orchestrator.prune().await.unwrap();
    assert!(!is_there(&yard, again).await);
    for key in &stored {
        assert!(!is_stored(&yard, key).await, "{key:?}");
    }
    assert_eq!(yard.store.pruned(None, 10).await.unwrap(), []);
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn for_ever_is_for_ever() {
    let mut yard = yard();
    yard.keep_jobs = None;
    let orchestrator = yard.orchestrator();
    let job = yard.submit("write a.txt A").await;
    yard.ended(&orchestrator, job).await;
    yard.clock.advance(Duration::from_secs(100 * 365 * 24 * 3600));
    orchestrator.prune().await.unwrap();
    assert!(is_there(&yard, job).await);
}

#[tokio::test]
async fn a_long_history_goes_in_one_pass_and_what_runs_does_not() {
    let yard = yard();
    let intake = yard.intake();
    let mut jobs = Vec::new();
    for _ in 0..250 {
        let job = yard::submit(&intake, "say hello", Order::default()).await;
        intake.cancel(job).await.unwrap();
        jobs.push(job);
    }
    let orchestrator = yard.orchestrator();
    let runs = yard.submit("wait").await;
    yard.tick_until(&orchestrator, runs, yard::is_running).await;
    yard.clock.advance(KEPT + A_MOMENT);
    orchestrator.prune().await.unwrap();
    for job in jobs {
        assert!(!is_there(&yard, job).await);
    }
    assert_eq!(yard.store.pruned(None, 10).await.unwrap(), []);
    assert!(yard::is_running(&yard.job(runs).await));
    assert!(is_stored(&yard, &yard.job(runs).await.asked.input.key).await);
}

/// A directory in place of a file, which is not one to remove.
fn put_in_the_way(yard: &Yard, key: &BlobKey) -> PathBuf {
    let path = yard.blobs.local_path(key).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    path
}

/// Where a file can not be removed the rows go all the same, and the file when it can: also by a
/// server that keeps jobs for ever by then.
#[tokio::test]
async fn a_file_that_stays_is_removed_by_a_later_pass() {
    let mut yard = yard();
    let orchestrator = yard.orchestrator();
    let stays = yard.submit("write a.txt A").await;
    let keys = stored(&yard, &yard.ended(&orchestrator, stays).await).await;
    let others = [yard.submit("say a").await, yard.submit("say b").await];
    for other in others {
        yard.ended(&orchestrator, other).await;
    }
    let path = put_in_the_way(&yard, &keys[0]);

    yard.clock.advance(KEPT + A_MOMENT);
    for _ in 0..2 {
        orchestrator.prune().await.unwrap();
        let left = yard.store.pruned(None, 10).await.unwrap();
        assert_eq!(left.iter().map(|it| it.job).collect::<Vec<_>>(), [stays]);
    }
    for job in others.into_iter().chain([stays]) {
        assert!(!is_there(&yard, job).await);
    }
    // What else it has is gone.
    assert!(!is_stored(&yard, &keys[1]).await && !is_stored(&yard, &keys[2]).await);

    std::fs::remove_dir_all(&path).unwrap();
    yard.keep_jobs = None;
    yard.orchestrator().prune().await.unwrap();
    assert_eq!(yard.store.pruned(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn however_many_stay_they_are_in_nobodys_way() {
    let yard = yard();
    let (intake, orchestrator) = (yard.intake(), yard.orchestrator());
    let cancelled = async || {
        let job = yard::submit(&intake, "say hello", Order::default()).await;
        intake.cancel(job).await.unwrap()
    };
    for _ in 0..150 {
        put_in_the_way(&yard, &cancelled().await.asked.input.key);
    }
    let last = cancelled().await.asked.input.key;
    yard.clock.advance(KEPT + A_MOMENT);
    orchestrator.prune().await.unwrap();
    assert_eq!(yard.store.pruned(None, 1000).await.unwrap().len(), 151, "a whole page stays");
    // So do the next ones, and what comes behind them goes.
    let late = cancelled().await.asked.input.key;
    yard.clock.advance(KEPT + A_MOMENT);
    orchestrator.prune().await.unwrap();
    assert!(!is_stored(&yard, &last).await && !is_stored(&yard, &late).await);
    assert_eq!(yard.store.pruned(None, 1000).await.unwrap().len(), 150);
    assert_eq!(yard.store.jobs(&JobFilter::default(), None, 10).await.unwrap(), []);
}
