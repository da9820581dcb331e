//! Who owns a job: races with one winner, and owners that were overtaken.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use futures::future::join_all;

use super::sample::{
    FIRST, T0, adopt, claim, claimed, collecting, exited, fail, heartbeat, in_each_phase, own,
    queued, retry, started, stop, succeed, t,
};
use crate::{
    Store, StoreError,
    id::{AttemptNo, Fence},
    job::{Budget, EventKind, Gone, Job, JobEvent, OwnerEvent, ReasonCode, Refusal},
};

fn winners(outcomes: &[Result<Job, StoreError>]) -> usize {
    for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(lost, StoreError::Refused(_)), "{lost:?}");
    }
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

pub(crate) async fn fifty_claims_have_one_winner(store: &impl Store) {
    let job = queued(store).await;
    let all = join_all((0..50).map(|_| store.apply(job.id(), claim(), T0))).await;
    assert_eq!(winners(&all), 1);
    let job = store.job(job.id()).await.unwrap().unwrap();
    assert_eq!((job.fence, job.attempt), (Fence(1), Some(FIRST)));
    assert_eq!(store.unremoved().await.unwrap().len(), 1);
}

pub(crate) async fn fifty_adoptions_have_one_winner(store: &impl Store) {
    let job = started(store).await;
    let event = adopt(job.fence, Gone::LeaseExpired);
    let all = join_all((0..50).map(|_| store.apply(job.id(), event.clone(), t(30_000)))).await;
    assert_eq!(winners(&all), 1);
    let job = store.job(job.id()).await.unwrap().unwrap();
    assert_eq!((job.fence, job.attempt), (Fence(2), Some(FIRST)));
}

pub(crate) async fn a_stale_owner_can_do_nothing(store: &impl Store) {
    for old in in_each_phase(store).await {
        let new = adopt(old.fence, Gone::LockHeld);
        let new = store.apply(old.id(), new, T0).await.unwrap();
        let everything = [
            heartbeat(),
            OwnerEvent::Leave,
            OwnerEvent::Started,
            stop(),
            exited(0),
            succeed(),
            fail(ReasonCode::Infrastructure),
            retry(Budget::Infrastructure, T0),
        ];
        for event in everything {
            let refused = own(store, &old, event.clone()).await;
            let stale = Refusal::Stale { given: old.fence, current: new.fence };
            assert_eq!(refused, Err(StoreError::Refused(stale)), "{event:?}");
        }
        assert_eq!(store.job(old.id()).await.unwrap().as_ref(), Some(&new));
        own(store, &new, heartbeat()).await.unwrap();
    }
}

pub(crate) async fn an_expired_lease_is_adopted_and_a_held_one_is_not(store: &impl Store) {
    let job = collecting(store).await;
    let event = adopt(job.fence, Gone::LeaseExpired);
    let early = store.apply(job.id(), event.clone(), t(29_999)).await;
    assert_eq!(early, Err(StoreError::Refused(Refusal::LeaseHeld { until: t(30_000) })));
    let adopted = store.apply(job.id(), event, t(30_000)).await.unwrap();
    assert_eq!((adopted.fence, adopted.attempt), (job.fence.next(), job.attempt));
    assert_eq!(adopted.state.name(), job.state.name());
    assert_eq!(adopted.crashes, 1);
    assert_eq!(store.attempt(job.id(), FIRST).await.unwrap().unwrap().fence, adopted.fence);
}

pub(crate) async fn the_lock_adopts_without_a_lease(store: &impl Store) {
    let job = started(store).await;
    let adopted = store.apply(job.id(), adopt(job.fence, Gone::LockHeld), T0).await.unwrap();
    assert_eq!(adopted.fence, job.fence.next());
    assert_eq!(adopted.phase(), job.phase());
    assert_eq!(adopted.crashes, 0, "a live container was adopted: nothing crashed in a row");
    assert_eq!(adopted.events.last().unwrap().kind, EventKind::Adopted);
}

pub(crate) async fn who_leaves_is_followed_at_once_and_did_not_crash(store: &impl Store) {
    let mut job = collecting(store).await;
    for _ in 0..10 {
        own(store, &job, OwnerEvent::Leave).await.unwrap();
        let event = adopt(job.fence, Gone::LeaseExpired);
        job = store.apply(job.id(), event, T0).await.unwrap();
        assert_eq!(job.crashes, 1, "only one that left no word counts on");
    }
}

pub(crate) async fn a_pause_is_waited_for(store: &impl Store) {
    let job = claimed(store).await;
    own(store, &job, retry(Budget::Infrastructure, t(5_000))).await.unwrap();
    let early = store.apply(job.id(), claim(), t(4_999)).await;
    assert_eq!(early, Err(StoreError::Refused(Refusal::TooEarly { until: t(5_000) })));
    let again = store.apply(job.id(), claim(), t(5_000)).await.unwrap();
    assert_eq!((again.attempt, again.fence), (Some(AttemptNo(2)), Fence(2)));
    assert_eq!((again.retries, again.infrastructure), (0, 1));
}

pub(crate) async fn a_cancel_and_a_commit_at_once_have_one_winner(store: &impl Store) {
    for _ in 0..20 {
        let job = collecting(store).await;
        let cancel = store.apply(job.id(), JobEvent::Cancel, T0);
        let (cancelled, succeeded) = futures::join!(cancel, own(store, &job, succeed()));
        assert_eq!(winners(&[cancelled.clone(), succeeded.clone()]), 1);
        let winner = cancelled.or(succeeded).unwrap();
        assert_eq!(store.job(job.id()).await.unwrap(), Some(winner));
    }
}
