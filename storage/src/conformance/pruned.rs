//! Pruned jobs: a job goes with all that only it has, and what is left of it is known until it is
//! removed.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::{
    keys::{claim as claim_key, claiming, settling},
    sample::{
        FIRST, arrival, claim, claimed, collecting, in_each_phase, own, queued, queued_as, retry,
        succeed, t,
    },
};
use crate::{
    Store, StoreError,
    attempt::AttemptEvent,
    clock::Timestamp,
    id::{AttemptNo, JobId},
    job::{Budget, Job, JobEvent, JobFilter, OwnerEvent, Params},
    pruned::Pruned,
    upload::UploadEvent,
};

const ALL: usize = 100;

/// Ends a queued job at `at`, by a cancel.
async fn ended_at(store: &impl Store, at: i64) -> Job {
    let job = queued(store).await;
    store.apply(job.id(), JobEvent::Cancel, t(at)).await.unwrap()
}

/// Cleans up after an attempt.
async fn removed(store: &impl Store, job: &Job, no: AttemptNo) {
    store.apply_to_attempt(job.id(), no, AttemptEvent::Remove).await.unwrap();
}

async fn left(store: &impl Store) -> Vec<JobId> {
    store.pruned(None, ALL).await.unwrap().iter().map(|pruned| pruned.job).collect()
}

async fn is_there(store: &impl Store, job: &Job) -> bool {
    store.job(job.id()).await.unwrap().is_some()
}

pub(crate) async fn an_ended_job_goes_with_all_that_is_its(store: &impl Store) {
    let other = ended_at(store, 9).await;
    let job = claimed(store).await;
    own(store, &job, retry(Budget::Processor, t(0))).await.unwrap();
    let job = store.apply(job.id(), claim(), t(1)).await.unwrap();
    for event in [OwnerEvent::Started, super::sample::exited(0), succeed()] {
        store.apply(job.id(), JobEvent::Own(job.fence, event), t(2)).await.unwrap();
    }
    let second = AttemptNo(2);
    removed(store, &job, FIRST).await;
    removed(store, &job, second).await;
    assert_eq!(store.prune(t(3), ALL).await.unwrap(), 1);
    assert_eq!(store.job(job.id()).await.unwrap(), None);
    assert_eq!(store.upload(job.asked.upload).await.unwrap(), None);
    for no in [FIRST, second] {
        assert_eq!(store.attempt(job.id(), no).await.unwrap(), None);
    }
    let listed = store.jobs(&JobFilter::default(), None, ALL).await.unwrap();
    assert_eq!(listed, [other]);
    let gone = store.apply(job.id(), JobEvent::Cancel, t(4)).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    let gone = store.retry(job.id(), JobId::new(), Params::new(), t(4)).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");

    let (tenant, input) = (job.asked.tenant.clone(), Some(job.asked.input.key.clone()));
    let left = vec![Pruned { job: job.id(), tenant, input }];
    assert_eq!(store.pruned(None, ALL).await.unwrap(), left);
    store.forget_pruned(vec![JobId::new(), job.id()]).await.unwrap();
    assert_eq!(store.pruned(None, ALL).await.unwrap(), []);
}

pub(crate) async fn what_has_not_ended_long_ago_stays(store: &impl Store) {
    let mut stay = in_each_phase(store).await;
    stay.push(queued(store).await);
    stay.push(ended_at(store, 5).await);
    assert_eq!(store.prune(t(5), ALL).await.unwrap(), 0);
    for job in &stay {
        assert!(is_there(store, job).await, "{job:?}");
        assert!(store.upload(job.asked.upload).await.unwrap().is_some());
    }
    assert_eq!(store.pruned(None, ALL).await.unwrap(), []);
}

pub(crate) async fn who_has_an_attempt_to_clean_up_stays_until_then(store: &impl Store) {
    let job = collecting(store).await;
    own(store, &job, succeed()).await.unwrap();
    let later = ended_at(store, 1).await;
    // It is in nobody's way.
    assert_eq!(store.prune(t(9), 1).await.unwrap(), 1);
    assert!(is_there(store, &job).await && !is_there(store, &later).await);
    removed(store, &job, FIRST).await;
    assert_eq!(store.prune(t(9), 1).await.unwrap(), 1);
    assert!(!is_there(store, &job).await);
}

pub(crate) async fn the_longest_ended_goes_first(store: &impl Store) {
    let (late, early, middle) =
        (ended_at(store, 3).await, ended_at(store, 1).await, ended_at(store, 2).await);
    assert_eq!(store.prune(t(9), 2).await.unwrap(), 2);
    assert!(is_there(store, &late).await);
    assert_eq!(left(store).await, [early.id(), middle.id()]);
    assert_eq!(store.pruned(None, 1).await.unwrap()[0].job, early.id());
    assert_eq!(store.pruned(Some(early.id()), ALL).await.unwrap()[0].job, middle.id());
    assert_eq!(store.pruned(Some(middle.id()), ALL).await.unwrap(), []);
    assert_eq!(store.prune(t(9), 2).await.unwrap(), 1);
    assert_eq!(store.prune(t(9), 2).await.unwrap(), 0);
}

pub(crate) async fn an_input_goes_with_the_last_job_that_has_it(store: &impl Store) {
    let again = async |of: &Job, at: Timestamp| {
        let again = store.retry(of.id(), JobId::new(), Params::new(), t(0)).await.unwrap();
        store.apply(again.id(), JobEvent::Cancel, at).await.unwrap()
    };
    // In whichever order they end: the first, its rerun, and the rerun of that.
    for ends in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [2, 1, 3]] {
        let first = ended_at(store, ends[0]).await;
        let second = again(&first, t(ends[1])).await;
        let third = again(&second, t(ends[2])).await;
        let inputs = async || {
            let pruned = store.pruned(None, ALL).await.unwrap();
            pruned.iter().filter(|it| it.input == Some(first.asked.input.key.clone())).count()
        };
        for _ in 0..2 {
            assert_eq!(store.prune(t(9), 1).await.unwrap(), 1);
            assert_eq!(inputs().await, 0, "{ends:?}");
            assert!(store.upload(first.asked.upload).await.unwrap().is_some());
        }
        assert_eq!(store.prune(t(9), 1).await.unwrap(), 1);
        assert_eq!(inputs().await, 1, "{ends:?}");
        assert_eq!(store.upload(first.asked.upload).await.unwrap(), None);
        let all = vec![first.id(), second.id(), third.id()];
        store.forget_pruned(all).await.unwrap();
    }
}

pub(crate) async fn a_key_goes_with_the_first_of_its_jobs(store: &impl Store) {
    let (claim, other) = (claim_key("k"), claim_key("other"));
    let uploads = [claiming(&claim), claiming(&claim)];
    for upload in &uploads {
        store.begin(upload.clone()).await.unwrap();
    }
    let arrivals: Vec<_> = uploads.iter().map(|upload| arrival(upload, "mp4")).collect();
    let jobs = store.complete(arrivals, settling(&claim), t(0)).await.unwrap();
    let open = claiming(&other);
    store.begin(open.clone()).await.unwrap();
    store.apply(jobs[1].id(), JobEvent::Cancel, t(1)).await.unwrap();
    // A rerun is not what the key was for.
    let again = store.retry(jobs[1].id(), JobId::new(), Params::new(), t(1)).await.unwrap();
    store.apply(again.id(), JobEvent::Cancel, t(0)).await.unwrap();
    assert_eq!(store.prune(t(1), ALL).await.unwrap(), 1);
    assert!(store.key(&claim.key).await.unwrap().is_some());
    assert_eq!(store.prune(t(2), ALL).await.unwrap(), 1);
    assert_eq!(store.key(&claim.key).await.unwrap(), None);
    assert!(is_there(store, &jobs[0]).await);
    // The same request is a new one now, whose key the first one's last job has nothing to do with.
    let anew = claiming(&claim_key("k"));
    store.begin(anew.clone()).await.unwrap();
    store.apply(jobs[0].id(), JobEvent::Cancel, t(3)).await.unwrap();
    assert_eq!(store.prune(t(4), ALL).await.unwrap(), 1);
    let row = store.key(&claim.key).await.unwrap().unwrap();
    assert!(row.is_claimed_by(anew.claim.unwrap().by));
    store.apply_to_upload(open.id, UploadEvent::Abandon, t(4)).await.unwrap();
}

pub(crate) async fn a_rerun_and_its_pruning_at_once_leave_no_job_without_its_input(
    store: &impl Store,
) {
    let mut pruned_first = 0;
    for round in 0..20 {
        let job = queued_as(store, "mp4", None, t(0)).await;
        store.apply(job.id(), JobEvent::Cancel, t(1)).await.unwrap();
        let again = store.retry(job.id(), JobId::new(), Params::new(), t(2));
        let prune = store.prune(t(9), ALL);
        let again = if round % 2 == 0 {
            tokio::join!(again, prune).0
        } else {
            tokio::join!(prune, again).1
        };
        let left = store.pruned(None, ALL).await.unwrap();
        let taken = left.iter().any(|it| it.input == Some(job.asked.input.key.clone()));
        assert_eq!(taken, again.is_err(), "{again:?}");
        let upload = store.upload(job.asked.upload).await.unwrap();
        assert_eq!(upload.is_some(), again.is_ok());
        store.forget_pruned(vec![job.id()]).await.unwrap();
        pruned_first += usize::from(again.is_err());
    }
    assert!((1..20).contains(&pruned_first), "{pruned_first}");
}
