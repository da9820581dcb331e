//! The end of a writer that owns what is in the store: see [`super`].

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::blob::{BlobError, BlobKey, BlobStore, Written, lease::Lease, seat::Seat, store};

/// How a task ended.
pub(super) struct Ended {
    /// Why there is no blob, where nobody asked for there to be none.
    pub(super) failed: Option<BlobError>,
    /// Whether everything was taken back, where there is no blob.
    pub(super) cleaned: Result<(), BlobError>,
}

pub(super) enum Message {
    Piece(Bytes),
    /// What is full goes out now: the writer waits for room.
    Flush,
    Finish(Option<&'static str>, oneshot::Sender<Receipt>),
}

/// The end that owns what is in the store.
pub(super) struct Task {
    pub(super) store: BlobStore,
    pub(super) key: BlobKey,
    pub(super) max_size: u64,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) lease: Lease,
    /// Its place is taken until all that it holds is given back.
    pub(super) _seat: Seat,
}

impl Task {
    pub(super) async fn run(mut self) -> Ended {
        let mut session = match self.store.session(&self.key, self.max_size).await {
            Ok(session) => session,
            Err(error) => return Ended { failed: Some(error), cleaned: Ok(()) },
        };
        let taken = self.take_in(&mut session).await;
        let (failed, cleaned) = match taken {
            Ok(Some((written, reply))) => {
                let (store, key) = (self.store.clone(), self.key.clone());
                let receipt = Receipt { written: Some(written), store, key, on: Handle::current() };
                // A caller that is gone already drops it here.
                drop(reply.send(receipt));
                (None, Ok(()))
            }
            Ok(None) => (None, session.abort().await),
            Err(error) => (Some(error), session.abort().await),
        };
        if let Err(error) = &cleaned {
            let key = self.key.path();
            tracing::warn!(key, %error, "what was written of a blob could not be taken back yet");
        }
        Ended { failed, cleaned }
    }

    /// `None`: the writer was dropped, or aborts.
    async fn take_in(
        &mut self,
        session: &mut store::Session,
    ) -> Result<Option<(Written, oneshot::Sender<Receipt>)>, BlobError> {
        let (mut hasher, mut size) = (self.store.hasher(), 0);
        loop {
            let Some(message) = self.lease.next(&mut self.inbox).await? else { return Ok(None) };
            match message {
                Message::Piece(piece) => {
                    size += piece.len() as u64;
                    hasher.update(piece.clone()).await?;
                    let recorder = self.lease.recorder();
                    self.lease.during(session.write(piece, &*recorder)).await?;
                    self.lease.advanced(session.stored()).await?;
                }
                Message::Flush => {
                    let recorder = self.lease.recorder();
                    self.lease.during(session.flush(&*recorder)).await?;
                }
                Message::Finish(sniffed, reply) => {
                    let sniffed = sniffed.map(str::to_owned);
                    let sha256 = hasher.finish().await?;
                    let recorder = self.lease.recorder();
                    self.lease.during(session.finish(&*recorder)).await?;
                    return Ok(Some((Written { size, sha256, sniffed }, reply)));
                }
            }
        }
    }
}

/// A finished blob on its way to whoever waits for it. Where nobody takes it out, because the
/// caller was dropped at just that moment, the blob goes.
pub(super) struct Receipt {
    written: Option<Written>,
    store: BlobStore,
    key: BlobKey,
    on: Handle,
}

impl Receipt {
    pub(super) fn keep(mut self) -> Written {
        self.written.take().expect("a receipt is made with it and taken once")
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.written.is_none() {
            return;
        }
        let (store, key) = (self.store.clone(), self.key.clone());
        let delete = async move {
            if let Err(error) = store.delete(&key).await {
                let key = key.path();
                tracing::warn!(key, %error, "a blob that nobody waited for is still there");
            }
        };
        self.store.tasks().spawn_on(delete, &self.on);
    }
}
