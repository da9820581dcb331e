//! Lists: their order, their filters, their pages, and the queue.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use super::sample::{T0, claim, claimed, own, queued, queued_as, retry, t};
use crate::{
    Store,
    id::{BatchId, JobId},
    job::{Budget, Job, JobEvent, JobFilter, MAX_BACKOFF, QueueQuery, StateName},
};

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(Job::id).collect()
}

pub(crate) async fn newest_first_and_page_by_page(store: &impl Store) {
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(queued(store).await.id());
    }
    made.reverse();
    let all = JobFilter::default();
    assert_eq!(ids(&store.jobs(&all, None, 100).await.unwrap()), made);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = ids(&store.jobs(&all, before, 3).await.unwrap());
        let Some(last) = page.last() else { break };
        // A job that comes meanwhile is before the first page and moves none.
        queued(store).await;
        before = Some(*last);
        seen.extend(page);
    }
    assert_eq!(seen, made);
    assert!(store.jobs(&all, None, 0).await.unwrap().is_empty());
}

pub(crate) async fn every_filter_narrows(store: &impl Store) {
    let batches = [None, Some(BatchId::new()), Some(BatchId::new())];
    let mut made = Vec::new();
    for processor in ["mp4", "webp"] {
        for batch in batches {
            for cancel in [false, true] {
                let job = queued_as(store, processor, batch, T0).await;
                made.push(match cancel {
                    true => store.apply(job.id(), JobEvent::Cancel, T0).await.unwrap(),
                    false => job,
                });
            }
        }
    }
    made.reverse();
    for state in [None, Some(StateName::Queued), Some(StateName::Cancelled)] {
        for processor in [None, Some("mp4"), Some("webp"), Some("other")] {
            for batch in batches.into_iter().chain([Some(BatchId::new())]) {
                for (before, limit) in [(None, 100), (None, 2), (Some(made[3].id()), 3)] {
                    let processor = processor.map(|name| name.parse().unwrap());
                    let filter = JobFilter { state, processor, batch };
                    let wanted = made
                        .iter()
                        .filter(|job| state.is_none_or(|state| job.state.name() == state))
                        .filter(|job| {
                            let asked = filter.processor.as_ref();
                            asked.is_none_or(|asked| job.asked.processor == *asked)
                        })
                        .filter(|job| batch.is_none_or(|batch| job.asked.batch == Some(batch)))
                        .filter(|job| before.is_none_or(|before| job.id() < before));
                    let wanted: Vec<_> = wanted.take(limit).map(Job::id).collect();
                    let found = store.jobs(&filter, before, limit).await.unwrap();
                    assert_eq!(ids(&found), wanted, "{filter:?} {before:?} {limit}");
                }
            }
        }
    }
}

pub(crate) async fn the_queue_is_in_order_and_leaves_out_what_is_not_due(store: &impl Store) {
    let late = queued_as(store, "mp4", None, t(2)).await.id();
    let first = queued_as(store, "mp4", None, t(0)).await.id();
    let second = queued_as(store, "webp", None, t(0)).await.id();
    let third = queued_as(store, "jpg", None, t(1)).await.id();
    claimed(store).await;
    let paused = claimed(store).await;
    let paused = own(store, &paused, retry(Budget::Processor, t(5_000))).await.unwrap().id();
    let ask = |due_by, skip: &[&str], limit| QueueQuery {
        due_by,
        skip: skip.iter().map(|name| name.parse().unwrap()).collect(),
        limit,
    };
    let queue = async |query| ids(&store.queued(&query).await.unwrap());
    assert_eq!(queue(ask(t(4_999), &[], 100)).await, [first, second, third, late]);
    // It came into the queue again at t(0), and has a later id than the others of that time.
    assert_eq!(queue(ask(t(5_000), &[], 100)).await, [first, second, paused, third, late]);
    assert_eq!(queue(ask(t(4_999), &["webp", "jpg"], 100)).await, [first, late]);
    assert_eq!(queue(ask(t(4_999), &["mp4"], 1)).await, [second]);
}

pub(crate) async fn a_pause_from_a_clock_that_was_ahead_is_over(store: &impl Store) {
    // Written a day ahead, read after the clock was set right.
    let day = Duration::from_secs(86_400);
    let job = claimed(store).await;
    let event = retry(Budget::Infrastructure, T0.after(day).after(MAX_BACKOFF));
    let event = JobEvent::Own(job.fence, event);
    store.apply(job.id(), event, T0.after(day)).await.unwrap();
    let query = QueueQuery { due_by: T0, skip: Vec::new(), limit: 10 };
    assert_eq!(ids(&store.queued(&query).await.unwrap()), [job.id()]);
    store.apply(job.id(), claim(), T0).await.unwrap();
}

pub(crate) async fn who_waits_too_long_is_found(store: &impl Store) {
    let late = queued_as(store, "mp4", None, t(10)).await.id();
    let early = queued_as(store, "mp4", None, t(5)).await.id();
    claimed(store).await;
    assert!(store.waiting_since(t(5), 10).await.unwrap().is_empty());
    assert_eq!(ids(&store.waiting_since(t(6), 10).await.unwrap()), [early]);
    assert_eq!(ids(&store.waiting_since(t(11), 10).await.unwrap()), [early, late]);
    assert_eq!(ids(&store.waiting_since(t(11), 1).await.unwrap()), [early]);
}

pub(crate) async fn running_jobs_are_listed(store: &impl Store) {
    let running = super::sample::in_each_phase(store).await;
    queued(store).await;
    let cancelled = claimed(store).await;
    store.apply(cancelled.id(), JobEvent::Cancel, T0).await.unwrap();
    let mut wanted = ids(&running);
    wanted.sort();
    assert_eq!(ids(&store.running().await.unwrap()), wanted);
}
