//! A blob on its way in.
//!
//! A [`BlobWriter`] is the end that its caller holds; behind it a task of its own owns what is in
//! the store. So a caller may be dropped at any point: the task sees that nobody will finish the
//! blob and takes back what is there. It holds at most one piece being filled, one waiting and one
//! being written, plus, on S3, a part being filled and one in flight.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    BlobError, BlobKey, BlobStore, Recorder, Written,
    hash::Hasher,
    lease::{Lease, Seen},
    piece::Piece,
    sniff, store,
};

/// A blob that is being written. Dropped unfinished, nothing of it stays in the store.
#[must_use]
pub struct BlobWriter {
    store: BlobStore,
    key: BlobKey,
    max_size: u64,
    recorder: Arc<dyn Recorder>,
    piece: Option<Piece>,
    offset: u64,
    /// Of the first piece, once it is full.
    sniffed: Option<Option<&'static str>>,
    link: Link,
}

/// Between a writer and its task.
enum Link {
    Idle,
    Up { outbox: mpsc::Sender<Message>, task: JoinHandle<Ended>, seen: Seen },
    Failed(BlobError),
}

/// How a task ended.
struct Ended {
    /// Why there is no blob, where nobody asked for there to be none.
    failed: Option<BlobError>,
    /// Whether everything was taken back, where there is no blob.
    cleaned: Result<(), BlobError>,
}

enum Message {
    Piece(Bytes),
    Finish(oneshot::Sender<Receipt>),
}

impl BlobWriter {
    pub(super) fn new(
        store: BlobStore,
        key: BlobKey,
        max_size: u64,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let (piece, link) = (None, Link::Idle);
        Self { store, key, max_size, recorder, piece, offset: 0, sniffed: None, link }
    }

    /// Takes `bytes`, waiting while the store is slower than they arrive.
    ///
    /// # Errors
    /// [`BlobError`], of this or of an earlier call: nothing of the blob stays in the store, and
    /// every later call fails the same way.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        if self.offset + bytes.len() as u64 > self.max_size {
            let error = BlobError::TooLarge { limit: self.max_size };
            let link = std::mem::replace(&mut self.link, Link::Failed(error.clone()));
            link.take_back().await?;
            return Err(error);
        }
        while !bytes.is_empty() {
            let piece = self.piece.get_or_insert_with(|| self.store.pieces().take());
            self.offset += piece.fill(&mut bytes) as u64;
            self.up().store(self.offset, Ordering::Relaxed);
            if let Some(piece) = self.piece.take_if(|piece| piece.is_full()) {
                let piece = piece.freeze();
                self.sniffed.get_or_insert_with(|| sniff::sniff(&piece));
                self.send(Message::Piece(piece)).await?;
            }
        }
        match &self.link {
            Link::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// What it will be with this name, as soon as enough of it is there to tell.
    #[must_use]
    pub fn content_type(&self, name: &str) -> Option<String> {
        self.sniffed.map(|sniffed| sniff::content_type(sniffed, name))
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes the blob be there: on return it survives a loss of power.
    ///
    /// # Errors
    /// [`BlobError`]; then nothing of it stays in the store.
    pub async fn finish(mut self) -> Result<Written, BlobError> {
        self.up();
        if let Some(piece) = self.piece.take() {
            self.send(Message::Piece(piece.freeze())).await?;
        }
        let (reply, written) = oneshot::channel();
        self.send(Message::Finish(reply)).await?;
        match written.await {
            Ok(receipt) => Ok(receipt.keep()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Takes everything back, and returns when that is done.
    ///
    /// # Errors
    /// [`BlobError`] when the store could not be reached for it: what is left is known to the rows.
    pub async fn abort(self) -> Result<(), BlobError> {
        self.link.take_back().await
    }

    /// Starts the task where there is none yet.
    fn up(&mut self) -> Seen {
        if let Link::Idle = self.link {
            let (outbox, inbox) = mpsc::channel(1);
            let seen = Seen::default();
            let task = Task {
                store: self.store.clone(),
                key: self.key.clone(),
                max_size: self.max_size,
                inbox,
                lease: Lease::new(Arc::clone(&self.recorder), Arc::clone(&seen)),
            };
            let task = self.store.tasks().spawn(task.run());
            self.link = Link::Up { outbox, task, seen };
        }
        match &self.link {
            Link::Up { seen, .. } => Arc::clone(seen),
            _ => Seen::default(),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), BlobError> {
        let sent = match &self.link {
            Link::Up { outbox, .. } => outbox.send(message).await.is_ok(),
            Link::Idle | Link::Failed(_) => false,
        };
        if sent { Ok(()) } else { Err(self.failure().await) }
    }

    /// Why the task ended, remembered.
    async fn failure(&mut self) -> BlobError {
        let error = match &mut self.link {
            Link::Failed(error) => return error.clone(),
            Link::Idle => BlobError::Unavailable("nothing was written".into()),
            Link::Up { task, .. } => match task.await {
                Ok(Ended { failed: Some(error), .. }) => error,
                Ok(_) => BlobError::Unavailable("the blob was taken back".into()),
                Err(error) => BlobError::died(&error),
            },
        };
        self.link = Link::Failed(error.clone());
        error
    }
}

impl Link {
    async fn take_back(self) -> Result<(), BlobError> {
        let Self::Up { outbox, task, .. } = self else { return Ok(()) };
        drop(outbox);
        task.await.map_err(|error| BlobError::died(&error))?.cleaned
    }
}

/// The end that owns what is in the store.
struct Task {
    store: BlobStore,
    key: BlobKey,
    max_size: u64,
    inbox: mpsc::Receiver<Message>,
    lease: Lease,
}

impl Task {
    async fn run(mut self) -> Ended {
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
        let (mut hasher, mut size, mut sniffed) = (Hasher::new(), 0, None);
        loop {
            let Some(message) = self.lease.next(&mut self.inbox).await? else { return Ok(None) };
            match message {
                Message::Piece(piece) => {
                    if size == 0 {
                        sniffed = sniff::sniff(&piece).map(str::to_owned);
                    }
                    size += piece.len() as u64;
                    hasher.update(piece.clone()).await?;
                    let recorder = self.lease.recorder();
                    self.lease.during(session.write(piece, &*recorder)).await?;
                    self.lease.advanced(session.stored()).await?;
                }
                Message::Finish(reply) => {
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
struct Receipt {
    written: Option<Written>,
    store: BlobStore,
    key: BlobKey,
    on: Handle,
}

impl Receipt {
    fn keep(mut self) -> Written {
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
