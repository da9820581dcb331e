//! Telling the recorder of a writer's progress, often enough that its upload's lease does not run
//! out while anything moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{BlobError, Recorder};

/// How many bytes the writer was given, for its task to see that bytes flow.
pub(super) type Seen = Arc<AtomicU64>;

/// The recorder hears of progress at most this often.
const SOONEST: Duration = Duration::from_secs(1);

/// And at the latest after this, while bytes flow or the store works: a lease lasts 30 s.
const LATEST: Duration = Duration::from_secs(5);

/// Renews an upload's lease by telling how far it is.
pub(super) struct Lease {
    recorder: Arc<dyn Recorder>,
    seen: Seen,
    told_seen: u64,
    stored: u64,
    told_at: Instant,
    latest: Duration,
}

impl Lease {
    pub(super) fn new(recorder: Arc<dyn Recorder>, seen: Seen) -> Self {
        let told_at = Instant::now();
        Self { recorder, seen, told_seen: 0, stored: 0, told_at, latest: LATEST }
    }

    pub(super) fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::clone(&self.recorder)
    }

    async fn tell(&mut self) -> Result<(), BlobError> {
        self.told_seen = self.seen.load(Ordering::Relaxed);
        self.told_at = Instant::now();
        Ok(self.recorder.advanced(self.stored).await?)
    }

    /// So much of the blob is in the store's hands.
    pub(super) async fn advanced(&mut self, stored: u64) -> Result<(), BlobError> {
        self.stored = stored;
        if self.told_at.elapsed() >= SOONEST { self.tell().await } else { Ok(()) }
    }

    /// The next message; a sender so slow that none comes for long is still at it while its bytes
    /// fill a piece.
    pub(super) async fn next<M>(
        &mut self,
        inbox: &mut mpsc::Receiver<M>,
    ) -> Result<Option<M>, BlobError> {
        loop {
            match timeout(self.latest, inbox.recv()).await {
                Ok(message) => return Ok(message),
                Err(_) if self.seen.load(Ordering::Relaxed) != self.told_seen => {
                    self.tell().await?;
                }
                Err(_) => {}
            }
        }
    }

    /// Sees `work` through to its end, also when the recorder refuses meanwhile: half of a call to
    /// the store would leave behind what nobody knows of.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        let mut work = std::pin::pin!(work);
        let mut refused = None;
        loop {
            match timeout(self.latest, &mut work).await {
                Ok(done) => return refused.map_or(done, Err),
                Err(_) => refused = refused.or(self.tell().await.err()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::{StoreError, upload::Multipart};

    /// Hears, and refuses from the `refuse_from`-th time on.
    #[derive(Default)]
    struct Ear {
        heard: Mutex<Vec<u64>>,
        told: Notify,
        refuse_from: Option<usize>,
    }

    impl Ear {
        fn heard(&self) -> Vec<u64> {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        async fn until(&self, times: usize) {
            while self.heard().len() < times {
                self.told.notified().await;
            }
        }
    }

    #[async_trait]
    impl Recorder for Ear {
        async fn begun(&self, _: &Multipart) -> Result<(), StoreError> {
            Ok(())
        }

        async fn advanced(&self, offset: u64) -> Result<(), StoreError> {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(offset);
            self.told.notify_one();
            match self.refuse_from {
                Some(n) if self.heard().len() >= n => Err(StoreError::Unavailable("no".into())),
                _ => Ok(()),
            }
        }
    }

    fn lease(ear: &Arc<Ear>) -> (Lease, Seen) {
        let seen = Seen::default();
        let mut lease = Lease::new(ear.clone(), Arc::clone(&seen));
        lease.latest = Duration::from_millis(1);
        (lease, seen)
    }

    #[tokio::test]
    async fn a_store_that_takes_long_does_not_cost_the_lease() {
        let ear = Arc::new(Ear::default());
        let (mut lease, _) = lease(&ear);
        lease.stored = 7;
        let done = lease.during(async {
            ear.until(3).await;
            Ok("done")
        });
        assert_eq!(done.await, Ok("done"));
        assert_eq!(ear.heard(), [7, 7, 7]);
    }

    #[tokio::test]
    async fn a_slow_sender_keeps_its_lease_and_a_silent_one_does_not() {
        let ear = Arc::new(Ear::default());
        let (mut lease, seen) = lease(&ear);
        let (outbox, mut inbox) = mpsc::channel(1);
        let sender = async {
            for n in 1..=3 {
                seen.fetch_add(1, Ordering::Relaxed);
                ear.until(n).await;
            }
            // Nothing arrives now, for many times as long as it takes to be heard of.
            tokio::time::sleep(Duration::from_millis(100)).await;
            outbox.send("piece").await
        };
        let (next, sent) = tokio::join!(lease.next(&mut inbox), sender);
        assert_eq!((next, sent), (Ok(Some("piece")), Ok(())));
        assert_eq!(ear.heard(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn a_refusal_waits_for_the_work_under_way() {
        let ear = Arc::new(Ear { refuse_from: Some(1), ..Ear::default() });
        let (mut lease, _) = lease(&ear);
        let mut ended = false;
        let done = lease.during(async {
            ear.until(2).await;
            ended = true;
            Ok(())
        });
        let refused = done.await;
        assert!(matches!(refused, Err(BlobError::Row(_))), "{refused:?}");
        assert!(ended);
    }
}
