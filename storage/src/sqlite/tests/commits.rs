//! Group commits: shared by many, hurt by none, and honest when COMMIT fails.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use futures::future::join_all;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fresh;
use crate::{
    Store, StoreError,
    conformance::sample::{T0, claim, claimed, heartbeat, own, queued, upload},
    job::JobStore,
    sqlite::{SqliteStore, writer::Turn},
    upload::{UploadEvent, UploadStore},
};

/// What `all` comes to, where all that it writes at once queues up behind one transaction.
///
/// `all` must queue its commands when it is first polled, as `futures::join!` and `join_all` do.
async fn queued_together<T>(store: &SqliteStore, all: impl Future<Output = T>) -> T {
    let (begun, has_begun) = oneshot::channel();
    let (open, closed) = mpsc::channel::<()>();
    let gate = store.writer.run(Turn::Then, move |_| {
        begun.send(()).unwrap();
        // Ends with an error when the sender is dropped, which is what it waits for.
        let _ = closed.recv();
        Ok(())
    });
    let rest = async move {
        has_begun.await.unwrap();
        futures::join!(all, async move { drop(open) }).0
    };
    let (gated, all) = futures::join!(gate, rest);
    gated.unwrap();
    all
}

#[tokio::test]
async fn sixty_four_outstanding_commands_share_one_commit() {
    let store = fresh();
    let uploads: Vec<_> = (0..64).map(|_| upload()).collect();
    let before = store.counts();
    let all = join_all(uploads.iter().map(|upload| store.begin(upload.clone())));
    let begun = queued_together(&store, all).await;
    assert!(begun.iter().all(Result::is_ok));
    let after = store.counts();
    assert_eq!(after.commands - before.commands, 64 + 1);
    assert_eq!(after.commits - before.commits, 1 + 1, "one for all, and the one they waited for");
    assert_eq!((before.most, after.most), (0, 64));
    assert_eq!(store.receiving(100).await.unwrap().len(), 64);
}

#[tokio::test]
async fn a_command_that_fails_takes_back_only_its_own() {
    let store = fresh();
    let (first, taken, last) = (upload(), upload(), upload());
    let mut twin = upload();
    twin.id = taken.id;
    let broken = |db: &Connection| -> Result<(), StoreError> {
        let job = crate::conformance::sample::job();
        super::super::job::insert(db, &job)?;
        assert!(super::super::job::load(db, job.id())?.is_some(), "it was written");
        Err(StoreError::NotFound("what it wanted".into()))
    };
    let all = async {
        futures::join!(
            store.begin(first.clone()),
            store.begin(taken.clone()),
            store.begin(twin),
            store.writer.run(Turn::Then, broken),
            store.begin(last.clone()),
        )
    };
    let (a, b, c, d, e) = queued_together(&store, all).await;
    assert_eq!((a, b, e), (Ok(()), Ok(()), Ok(())));
    assert!(matches!(c, Err(StoreError::Conflict(_))));
    assert_eq!(d, Err(StoreError::NotFound("what it wanted".into())));
    assert_eq!(store.receiving(10).await.unwrap(), [first, taken, last]);
    let all = crate::job::JobFilter::default();
    assert!(store.jobs(&all, None, 10).await.unwrap().is_empty(), "what it wrote is gone");
}

#[tokio::test]
async fn a_heartbeat_overtakes_what_has_queued() {
    let store = fresh();
    let job = claimed(&*store).await;
    let beaten = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&beaten);
    let look = move |db: &Connection| {
        let job = super::super::job::load(db, job.id())?.unwrap();
        seen.store(job.progress.is_some(), Ordering::SeqCst);
        Ok(())
    };
    let job = store.running().await.unwrap().remove(0);
    let all = async {
        futures::join!(store.writer.run(Turn::Then, look), own(&*store, &job, heartbeat()),)
    };
    let (looked, beat) = queued_together(&store, all).await;
    looked.unwrap();
    beat.unwrap();
    assert!(beaten.load(Ordering::SeqCst), "the heartbeat came later and had its turn first");
}

#[tokio::test]
async fn a_commit_that_fails_is_unknown_and_the_last() {
    let store = fresh();
    let mut failed = store.failed();
    assert!(!*failed.borrow_and_update());
    store.ready().await.unwrap();
    let job = queued(&*store).await;
    // Checked only by COMMIT, which is what is to fail.
    let fatal = |db: &Connection| {
        Ok(db.execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO child VALUES (1);",
        )?)
    };
    let all = async {
        futures::join!(store.writer.run(Turn::Then, fatal), store.apply(job.id(), claim(), T0),)
    };
    let (fatal, neighbour) = queued_together(&store, all).await;
    assert!(matches!(fatal, Err(StoreError::Unknown(_))), "{fatal:?}");
    assert!(matches!(neighbour, Err(StoreError::Unknown(_))), "{neighbour:?}");
    failed.changed().await.unwrap();
    assert!(*failed.borrow());
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    let refused = store.apply(job.id(), claim(), T0).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.job(job.id()).await.unwrap(), Some(job), "what is there can be read");
}

#[tokio::test]
async fn a_transaction_that_sqlite_takes_back_is_taken_from_all_in_it() {
    let store = fresh();
    let (before, after) = (upload(), upload());
    // As SQLite does by itself on a full disk.
    let rolled_back = |db: &Connection| {
        db.execute_batch("ROLLBACK")?;
        Err::<(), _>(StoreError::Unavailable("the disk is full".into()))
    };
    let all = async {
        futures::join!(
            store.begin(before.clone()),
            store.writer.run(Turn::Then, rolled_back),
            store.begin(after.clone()),
        )
    };
    let (a, b, c) = queued_together(&store, all).await;
    for lost in [a, b, c] {
        assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    }
    assert!(store.receiving(10).await.unwrap().is_empty());
    // Nothing is unknown here, so the store goes on.
    store.begin(after).await.unwrap();
    assert!(!*store.failed().borrow());
}

#[tokio::test]
async fn a_panic_in_the_writer_is_known_outside() {
    let store = fresh();
    let mut failed = store.failed();
    let panics = |_: &Connection| -> Result<(), StoreError> { panic!("on purpose") };
    let lost = store.writer.run(Turn::Then, panics).await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    failed.wait_for(|failed| *failed).await.unwrap();
    assert!(store.ready().await.is_err());
}

#[tokio::test]
async fn a_command_whose_caller_went_away_is_carried_out() {
    let store = fresh();
    let kept = upload();
    let leave = async {
        let mut begun = Box::pin(store.begin(kept.clone()));
        assert!(futures::poll!(&mut begun).is_pending());
    };
    queued_together(&store, leave).await;
    store.apply_to_upload(kept.id, UploadEvent::Abandon, T0).await.unwrap();
}
