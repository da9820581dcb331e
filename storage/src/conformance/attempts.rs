//! Attempts: they follow their job in the same transaction, and go when they are cleaned up.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use serde_json::json;

use super::sample::{
    FIRST, T0, adopt, claim, claimed, collecting, exit, exited, fail, multipart, own, retry,
    started, succeed, t,
};
use crate::{
    Store, StoreError,
    attempt::{
        AttemptEvent, AttemptState, Gift, Given, GivenResult, Outcome, PendingMultipart, Stored,
        StoredLog,
    },
    blob::Digest,
    id::{AttemptNo, Fence, JobId},
    job::{Budget, Gone, Job, JobEvent, OwnerEvent, Place, ReasonCode, Refusal},
};

fn log(fence: Fence) -> AttemptEvent {
    let log = StoredLog { fence, size: 20, text_size: 10, dropped: None };
    AttemptEvent::StoreLog { log }
}

pub(crate) async fn an_attempt_follows_its_job(store: &impl Store) {
    let job = started(store).await;
    let attempt = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
    assert_eq!((attempt.job, attempt.no, attempt.fence), (job.id(), FIRST, job.fence));
    assert_eq!((attempt.state, attempt.engine.as_str()), (AttemptState::Live, "fake"));
    assert_eq!(attempt.processor, job.asked.processor);

    let job = store.apply(job.id(), adopt(job.fence, Gone::LockHeld), T0).await.unwrap();
    own(store, &job, exited(3)).await.unwrap();
    let attempt = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
    assert_eq!((attempt.fence, attempt.exit), (Fence(2), Some(exit(3))));

    own(store, &job, fail(ReasonCode::Exit)).await.unwrap();
    let attempt = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
    assert_eq!(attempt.state, AttemptState::Ended { outcome: Outcome::Failed });

    let done = collecting(store).await;
    own(store, &done, succeed()).await.unwrap();
    let attempt = store.attempt(done.id(), FIRST).await.unwrap().unwrap();
    assert_eq!(attempt.state, AttemptState::Ended { outcome: Outcome::Succeeded });
}

pub(crate) async fn each_claim_has_its_own_attempt(store: &impl Store) {
    let job = claimed(store).await;
    own(store, &job, retry(Budget::Processor, T0)).await.unwrap();
    let job = store.apply(job.id(), claim(), t(1)).await.unwrap();
    let second = AttemptNo(2);
    let ended = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
    let live = store.attempt(job.id(), second).await.unwrap().unwrap();
    assert_eq!(ended.state, AttemptState::Ended { outcome: Outcome::Retried });
    assert_eq!((live.state, live.created_at, live.fence), (AttemptState::Live, t(1), Fence(2)));
    assert_eq!(store.attempt(job.id(), AttemptNo(3)).await.unwrap(), None);
    assert_eq!(store.attempt(JobId::new(), FIRST).await.unwrap(), None);
}

pub(crate) async fn an_attempt_is_listed_until_it_is_removed(store: &impl Store) {
    let (live, ended) = (claimed(store).await, claimed(store).await);
    store.apply(ended.id(), JobEvent::Cancel, T0).await.unwrap();
    let listed = async || {
        let all = store.unremoved().await.unwrap();
        all.iter().map(|attempt| attempt.job).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [live.id(), ended.id()]);

    let early = store.apply_to_attempt(live.id(), FIRST, AttemptEvent::Remove).await;
    assert!(matches!(early, Err(StoreError::Refused(Refusal::NoSuchEdge { .. }))));
    let gone = store.apply_to_attempt(ended.id(), FIRST, AttemptEvent::Remove).await.unwrap();
    assert_eq!(gone.state, AttemptState::Removed { outcome: Outcome::Cancelled });
    assert_eq!(listed().await, [live.id()]);
    assert_eq!(store.attempt(ended.id(), FIRST).await.unwrap(), Some(gone));

    let unknown = store.apply_to_attempt(JobId::new(), FIRST, AttemptEvent::Remove).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}

pub(crate) async fn what_a_job_decides_is_refused_to_an_attempt_alone(store: &impl Store) {
    let job = claimed(store).await;
    let before = store.attempt(job.id(), FIRST).await.unwrap();
    let of_its_job = [
        AttemptEvent::Adopt { fence: Fence(9) },
        AttemptEvent::Exit { exit: exit(0) },
        AttemptEvent::End { outcome: Outcome::Succeeded },
    ];
    for event in of_its_job {
        let refused = store.apply_to_attempt(job.id(), FIRST, event).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::OnlyTogether { .. }))));
    }
    assert_eq!(store.attempt(job.id(), FIRST).await.unwrap(), before);
}

pub(crate) async fn what_a_program_gives_is_kept_and_ends_with_its_exit(store: &impl Store) {
    let give = async |job: &Job, gift: Gift| {
        let event = AttemptEvent::Give { fence: job.fence, gift };
        store.apply_to_attempt(job.id(), FIRST, event).await
    };
    let stored = |n| Stored { content_type: "text/plain".into(), size: n, sha256: Digest([1; 32]) };
    let begin = |name: &str| Gift::Begin { name: name.into() };
    let first = started(store).await;
    for (index, name) in (0..).zip(["b", "a", "b"]) {
        give(&first, begin(name)).await.unwrap();
        give(&first, Gift::Store { index, stored: stored(index.into()) }).await.unwrap();
    }
    give(&first, begin("lost with its owner")).await.unwrap();
    // An adopter keeps what is stored, at the place where its first owner put it.
    let job = store.apply(first.id(), adopt(first.fence, Gone::LockHeld), T0).await.unwrap();
    let late = give(&first, Gift::Store { index: 3, stored: stored(9) }).await;
    assert!(matches!(late, Err(StoreError::Refused(Refusal::Stale { .. }))), "{late:?}");
    give(&job, begin("c")).await.unwrap();
    give(&job, Gift::Store { index: 4, stored: stored(4) }).await.unwrap();
    let value = json!({"pages": 3});
    let result = GivenResult::Valid { value: value.clone() };
    let attempt = give(&job, Gift::Result { result }).await.unwrap();
    assert_eq!(store.attempt(job.id(), FIRST).await.unwrap().as_ref(), Some(&attempt));

    let manifest = attempt.given.manifest();
    let named = manifest.iter().map(|it| (&it.name[..], it.size, it.place.unwrap()));
    let place = |fence, index| Place { fence, index };
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            ("a", 1, place(first.fence, 1)),
            ("b", 2, place(first.fence, 2)),
            ("c", 4, place(job.fence, 4)),
        ]
    );
    let job = own(store, &job, exited(0)).await.unwrap();
    let late = give(&job, begin("d")).await;
    assert!(matches!(late, Err(StoreError::Refused(Refusal::NoSuchEdge { .. }))), "{late:?}");
    let done = OwnerEvent::Succeed { result: value, outputs: manifest.clone() };
    let job = own(store, &job, done).await.unwrap();
    for (index, output) in (0..).zip(&manifest) {
        assert_eq!(job.output_key(index), Some(attempt.output_key(output.place.unwrap())));
    }
    assert_eq!(job.output_key(3), None);
    let gone = store.apply_to_attempt(job.id(), FIRST, AttemptEvent::Remove).await.unwrap();
    assert_eq!(gone.given, Given::default(), "its job has it all");
}

pub(crate) async fn a_log_of_an_older_owner_is_refused(store: &impl Store) {
    let job = collecting(store).await;
    let new = store.apply(job.id(), adopt(job.fence, Gone::LockHeld), T0).await.unwrap();
    let put = async |fence| store.apply_to_attempt(job.id(), FIRST, log(fence)).await;
    let stale = Refusal::Stale { given: job.fence, current: new.fence };
    assert_eq!(put(job.fence).await, Err(StoreError::Refused(stale)));
    assert_eq!(put(new.fence).await.unwrap().log.unwrap().fence, new.fence);
    // Nor after the end; but who cleans up after a cancel may have the fence that ended it.
    let cancelled = store.apply(job.id(), JobEvent::Cancel, T0).await.unwrap();
    assert_eq!(put(job.fence).await, Err(StoreError::Refused(stale)));
    assert_eq!(put(cancelled.fence).await.unwrap().log.unwrap().fence, cancelled.fence);
    store.apply_to_attempt(job.id(), FIRST, AttemptEvent::Remove).await.unwrap();
    assert!(matches!(put(cancelled.fence).await, Err(StoreError::Refused(_))));
}

pub(crate) async fn multiparts_are_remembered_until_removal(store: &impl Store) {
    let job = collecting(store).await;
    let pending = |index| PendingMultipart {
        key: job.output_key(index).unwrap(),
        multipart: multipart(&format!("m{index}")),
    };
    for index in 0..3 {
        let event = AttemptEvent::BeginMultipart { pending: pending(index) };
        store.apply_to_attempt(job.id(), FIRST, event).await.unwrap();
    }
    own(store, &job, succeed()).await.unwrap();
    let attempt = store.attempt(job.id(), FIRST).await.unwrap().unwrap();
    assert_eq!(attempt.multiparts, [pending(0), pending(1), pending(2)]);
    store.apply_to_attempt(job.id(), FIRST, AttemptEvent::Remove).await.unwrap();
    let event = AttemptEvent::BeginMultipart { pending: pending(3) };
    let late = store.apply_to_attempt(job.id(), FIRST, event).await;
    assert!(matches!(late, Err(StoreError::Refused(_))));
    assert!(store.attempt(job.id(), FIRST).await.unwrap().unwrap().multiparts.is_empty());
}
