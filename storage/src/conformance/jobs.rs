//! Jobs: what a store keeps of a change, and that it keeps nothing of one that is refused.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::sample::{
    FIRST, T0, adopt, claim, claimed, collecting, exited, fail, heartbeat, in_each_phase, job, own,
    queued, retry, started, stop, succeed, t,
};
use crate::{
    Store, StoreError,
    attempt::{AttemptState, Outcome},
    id::{Fence, JobId},
    job::{
        Budget, EventKind, Gone, JobEvent, JobState, MAX_EVENTS, MAX_WORDS, OwnerEvent, Params,
        Reason, ReasonCode, Refusal, WaitingFor,
    },
};

pub(crate) async fn a_whole_life_is_as_the_model_has_it(store: &impl Store) {
    let mut model = queued(store).await;
    let id = model.id();
    let life = [
        JobEvent::Wait { on: Some(WaitingFor::Slot) },
        claim(),
        JobEvent::Own(Fence(1), OwnerEvent::Started),
        JobEvent::Own(Fence(1), heartbeat()),
        adopt(Fence(1), Gone::LockHeld),
        JobEvent::Own(Fence(2), stop()),
        JobEvent::Own(Fence(2), exited(137)),
        JobEvent::Own(Fence(2), retry(Budget::Processor, t(1_000))),
        claim(),
        JobEvent::Own(Fence(3), exited(0)),
        JobEvent::Own(Fence(3), succeed()),
    ];
    for (at, event) in (0..).step_by(1_000).zip(life) {
        model = model.apply(&event, t(at)).unwrap().job;
        assert_eq!(store.apply(id, event, t(at)).await.unwrap(), model);
        assert_eq!(store.job(id).await.unwrap().as_ref(), Some(&model));
    }
    assert_eq!(model.fence, Fence(3));
}

pub(crate) async fn a_job_reads_back_as_it_was_returned(store: &impl Store) {
    let mut jobs = in_each_phase(store).await;
    jobs.push(queued(store).await);
    jobs.push(own(store, &claimed(store).await, heartbeat()).await.unwrap());
    jobs.push(own(store, &collecting(store).await, succeed()).await.unwrap());
    jobs.push(own(store, &claimed(store).await, fail(ReasonCode::StartFailed)).await.unwrap());
    for job in jobs {
        let read = store.job(job.id()).await.unwrap().unwrap();
        assert_eq!(read, job);
        // And to the byte: what a client has seen of a finished job must not change.
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&job).unwrap());
    }
}

pub(crate) async fn a_refused_event_changes_nothing(store: &impl Store) {
    let job = claimed(store).await;
    for event in [claim(), JobEvent::Expire, JobEvent::Own(job.fence, succeed())] {
        let refused = store.apply(job.id(), event, t(7)).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::NoSuchEdge { .. }))));
    }
    assert_eq!(store.job(job.id()).await.unwrap(), Some(job));
}

pub(crate) async fn cancel_in_each_phase_ends_job_and_attempt(store: &impl Store) {
    for job in in_each_phase(store).await {
        let ended = store.apply(job.id(), JobEvent::Cancel, t(9)).await.unwrap();
        assert_eq!(ended.state, JobState::Cancelled);
        assert_eq!(ended.fence, job.fence.next());
        let attempt = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
        assert_eq!(attempt.state, AttemptState::Ended { outcome: Outcome::Cancelled });
        let late = own(store, &job, heartbeat()).await;
        assert!(matches!(late, Err(StoreError::Refused(Refusal::Stale { .. }))));
    }
    let job = queued(store).await;
    let ended = store.apply(job.id(), JobEvent::Cancel, t(9)).await.unwrap();
    assert_eq!((ended.state, ended.attempt), (JobState::Cancelled, None));
}

pub(crate) async fn a_terminal_job_never_changes(store: &impl Store) {
    let cancelled = queued(store).await;
    let expired = queued(store).await;
    let ended = [
        store.apply(cancelled.id(), JobEvent::Cancel, T0).await.unwrap(),
        store.apply(expired.id(), JobEvent::Expire, t(5_000)).await.unwrap(),
        own(store, &collecting(store).await, succeed()).await.unwrap(),
        own(store, &collecting(store).await, fail(ReasonCode::BadOutput)).await.unwrap(),
    ];
    for job in ended {
        let owned = [
            heartbeat(),
            OwnerEvent::Started,
            stop(),
            exited(0),
            succeed(),
            fail(ReasonCode::Infrastructure),
            retry(Budget::Infrastructure, T0),
        ];
        let mut events: Vec<_> =
            owned.into_iter().map(|event| JobEvent::Own(job.fence, event)).collect();
        events.extend([claim(), adopt(job.fence, Gone::LockHeld)]);
        events.extend([JobEvent::Wait { on: None }, JobEvent::Cancel, JobEvent::Expire]);
        for event in events {
            let refused = store.apply(job.id(), event.clone(), t(99)).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{event:?}");
        }
        assert_eq!(store.job(job.id()).await.unwrap(), Some(job));
    }
}

pub(crate) async fn events_are_bounded(store: &impl Store) {
    let mut job = started(store).await;
    for _ in 0..MAX_EVENTS + 50 {
        let event = adopt(job.fence, Gone::LockHeld);
        job = store.apply(job.id(), event, T0).await.unwrap();
    }
    let job = store.job(job.id()).await.unwrap().unwrap();
    assert_eq!(job.events.len(), MAX_EVENTS);
    assert_eq!(job.events[0].kind, EventKind::Created);
    assert_eq!(job.events[MAX_EVENTS - 1].fence, job.fence);
}

pub(crate) async fn words_are_bounded(store: &impl Store) {
    let reason = Reason::new(ReasonCode::StartFailed, "é".repeat(100_000));
    let job = claimed(store).await;
    let job = own(store, &job, OwnerEvent::Fail { reason }).await.unwrap();
    let JobState::Failed { reason } = &job.state else { panic!("{job:?}") };
    assert_eq!(reason.message.chars().count(), MAX_WORDS + 1);
    assert!(job.events.iter().filter_map(|e| e.detail.as_ref()).all(|d| d.len() < 3 * MAX_WORDS));
}

pub(crate) async fn an_outcome_is_kept_with_its_outputs(store: &impl Store) {
    let collecting = collecting(store).await;
    let OwnerEvent::Succeed { result, outputs } = succeed() else { unreachable!() };
    own(store, &collecting, succeed()).await.unwrap();
    let job = store.job(collecting.id()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Succeeded { result, outputs });
    assert_eq!(job.output_key(2), collecting.output_key(2));
    // A sample that was never stored is not there.
    assert_eq!(store.job(self::job().id()).await.unwrap(), None);
}

pub(crate) async fn an_ended_job_is_done_again_on_its_upload(store: &impl Store) {
    let ended = [
        own(store, &collecting(store).await, succeed()).await.unwrap(),
        own(store, &collecting(store).await, fail(ReasonCode::BadOutput)).await.unwrap(),
        store.apply(claimed(store).await.id(), JobEvent::Cancel, T0).await.unwrap(),
    ];
    for job in ended {
        let (id, params) = (JobId::new(), Params::from([("height".to_owned(), 144.into())]));
        let again = store.retry(job.id(), id, params.clone(), t(7)).await.unwrap();
        assert_eq!(again, job.again(id, params.clone(), t(7)).unwrap());
        assert_eq!(store.job(id).await.unwrap().as_ref(), Some(&again));
        assert_eq!(
            again.state,
            JobState::Queued { since: t(7), not_before: None, waiting_for: None }
        );
        assert_eq!((again.asked.retry_of, again.asked.batch), (Some(job.id()), None));
        assert_eq!((&again.asked.input, again.asked.upload), (&job.asked.input, job.asked.upload));
        assert_eq!((&again.asked.params, again.attempt, again.fence), (&params, None, Fence(0)));
        assert_eq!(store.job(job.id()).await.unwrap().as_ref(), Some(&job), "it stays as it is");
        // As any job: it can be claimed, and done again in its turn.
        store.apply(id, claim(), t(8)).await.unwrap();
        store.apply(id, JobEvent::Cancel, t(9)).await.unwrap();
        store.retry(id, JobId::new(), params.clone(), t(10)).await.unwrap();
        let taken = store.retry(job.id(), id, params, t(11)).await;
        assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    }
}

pub(crate) async fn a_job_that_has_not_ended_is_not_done_again(store: &impl Store) {
    let mut jobs = in_each_phase(store).await;
    jobs.push(queued(store).await);
    for job in jobs {
        let id = JobId::new();
        let refused = store.retry(job.id(), id, Params::new(), t(7)).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::NoSuchEdge { .. }))));
        assert_eq!(store.job(id).await.unwrap(), None);
    }
    let unknown = store.retry(JobId::new(), JobId::new(), Params::new(), T0).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}
