//! The oldest jobs of a history go, as far as rows know of it; and what one more row costs meanwhile.

use std::{fmt::Write as _, pin::pin, time::Duration};

use fileyard_storage::{
    SqliteStore, clock::Timestamp, pruned::PrunedStore as _, upload::UploadStore as _,
};

use crate::{
    history::{History, prunable},
    life, median, timed, us,
};

/// Jobs in a transaction, as the orchestrator has it.
const TOGETHER: usize = 100;
const COMMITS: usize = 200;

pub(crate) async fn table(histories: &[History]) -> String {
    let mut text =
        "| jobs | pruned of them | a second | one row committed alone, us | meanwhile | the slowest |\n\
                    | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for History { jobs, store, .. } in histories {
        let (mut alone, mut meanwhile) = (Vec::new(), Vec::new());
        for _ in 0..COMMITS {
            alone.push(commit(store).await);
        }
        let mut pruning = pin!(timed(prune(store, prunable(*jobs))));
        let (took, pruned) = loop {
            tokio::select! {
                done = &mut pruning => break done,
                committed = commit(store) => meanwhile.push(committed),
            }
        };
        let rate = pruned as f64 / took.as_secs_f64();
        let slowest = meanwhile.iter().max().copied().unwrap_or_default();
        let times = [median(&alone), median(&meanwhile), slowest].map(us);
        let [alone, meanwhile, slowest] = times.map(|time| format!("{time:.0}"));
        writeln!(text, "| {jobs} | {pruned} | {rate:.0} | {alone} | {meanwhile} | {slowest} |")
            .unwrap();
    }
    text
}

async fn commit(store: &SqliteStore) -> Duration {
    timed(async { store.begin(life::upload()).await.unwrap() }).await.0
}

/// As a pass does it, without the blobs that there would be; how many went.
async fn prune(store: &SqliteStore, jobs: usize) -> usize {
    let mut pruned = 0;
    while pruned < jobs {
        pruned += store.prune(Timestamp(i64::MAX), TOGETHER.min(jobs - pruned)).await.unwrap();
        let left = store.pruned(None, TOGETHER).await.unwrap();
        store.forget_pruned(left.iter().map(|it| it.job).collect()).await.unwrap();
    }
    pruned
}
