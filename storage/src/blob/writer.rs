//! A blob on its way in.
//!
//! A [`BlobWriter`] is the end that its caller holds; behind it a task of its own owns what is in
//! the store. So a caller may be dropped at any point: the task sees that nobody will finish the
//! blob and takes back what is there. It holds at most one piece being filled, one waiting and some
//! being hashed and written, plus, on S3, a part being filled and one in flight: all of it in room
//! that was taken before, see [`super::room`].

mod task;

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use self::task::{Ended, Message, Task};
use super::{
    BlobError, BlobKey, BlobStore, Recorder, Written,
    lease::{Lease, Seen},
    part,
    piece::Piece,
    room::{self, Reservation, Room},
    seat::Seat,
    sniff::{self, Sniffer},
};

/// A blob that is being written. Dropped unfinished, nothing of it stays in the store.
#[must_use]
pub struct BlobWriter {
    store: BlobStore,
    key: BlobKey,
    max_size: u64,
    recorder: Arc<dyn Recorder>,
    room: Room,
    seat: Seat,
    /// It waits for its first room for as long as it takes.
    patient: bool,
    reservation: Option<Reservation>,
    piece: Option<Piece>,
    offset: u64,
    sniffer: Sniffer,
    link: Link,
    /// Why it takes no more, though its task is well.
    refused: Option<BlobError>,
}

/// Between a writer and its task.
enum Link {
    Idle,
    Up { outbox: mpsc::Sender<Message>, task: JoinHandle<Ended>, seen: Seen },
    Failed(BlobError),
}

impl BlobWriter {
    pub(super) fn new(
        store: BlobStore,
        key: BlobKey,
        max_size: u64,
        recorder: Arc<dyn Recorder>,
        room: Room,
    ) -> Self {
        Self {
            store,
            key,
            max_size,
            recorder,
            seat: room.seat(),
            room,
            patient: true,
            reservation: None,
            piece: None,
            offset: 0,
            sniffer: Sniffer::default(),
            link: Link::Idle,
            refused: None,
        }
    }

    /// At most so many bytes will come, where fewer than before: a small blob takes little room.
    /// Before the first write.
    pub fn expect_at_most(&mut self, bytes: u64) {
        self.max_size = self.max_size.min(bytes);
    }

    /// Whether its first wait for room lasts as long as it takes. Otherwise it is
    /// [`BlobError::Crowded`] when that takes long.
    pub fn set_patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// Waits for room, where a part is to be held in memory, and then for `next`: the bytes that a
    /// client sends, which are not to be read before there is room for them.
    ///
    /// # Errors
    /// [`BlobError::Crowded`]; [`BlobError::Slow`] when others wait for the room that it holds and
    /// does not fill; or as [`BlobWriter::write`]. It is to be dropped or aborted then.
    pub async fn listen<T>(&mut self, next: impl Future<Output = T>) -> Result<T, BlobError> {
        self.may_go_on()?;
        let in_parts = self.store.in_parts();
        // While a piece is being filled there is room, and its part may not go out before that.
        if in_parts && self.piece.is_none() {
            self.reserve().await?;
        }
        let (mut next, seat) = (std::pin::pin!(next), self.seat.clone());
        loop {
            let holds = self.piece.is_some() || self.reservation.is_some();
            let listening = holds.then(|| seat.listen());
            tokio::select! {
                biased;
                next = &mut next => return Ok(next),
                () = seat.told_to_leave() => return Err(self.refuse(BlobError::Slow)),
                () = seat.pressed(), if self.piece.is_some() && !in_parts => {}
            }
            drop(listening);
            // A file takes pieces of any size, and others need the room.
            self.hand_on().await?;
        }
    }

    /// Takes `bytes`, waiting while the store is slower than they arrive.
    ///
    /// # Errors
    /// [`BlobError`], of this or of an earlier call: nothing of the blob stays in the store, and
    /// every later call fails the same way.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        self.may_go_on()?;
        if self.offset + bytes.len() as u64 > self.max_size {
            let error = BlobError::TooLarge { limit: self.max_size };
            let link = std::mem::replace(&mut self.link, Link::Failed(error.clone()));
            link.take_back().await?;
            return Err(error);
        }
        while !bytes.is_empty() {
            if self.piece.is_none() {
                self.reserve().await?;
                let share = self.reservation.as_mut().and_then(Reservation::share);
                self.piece = share.map(|share| self.store.pieces().take(share));
            }
            let piece = self.piece.as_mut().expect("room was taken for it");
            let took = piece.fill(&mut bytes);
            let full = piece.is_full();
            self.offset += took as u64;
            self.seat.took(took);
            self.up().store(self.offset, Ordering::Relaxed);
            if full {
                self.hand_on().await?;
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
        self.sniffer.kind().map(|kind| sniff::content_type(kind, name))
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
        if let Some(error) = self.refused {
            self.link.take_back().await?;
            return Err(error);
        }
        self.up();
        self.reservation = None;
        self.hand_on().await?;
        let (reply, written) = oneshot::channel();
        let sniffed = std::mem::take(&mut self.sniffer).end();
        self.send(Message::Finish(sniffed, reply)).await?;
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

    fn may_go_on(&self) -> Result<(), BlobError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Gives its room back at once; what is in the store is taken back when it is dropped.
    fn refuse(&mut self, error: BlobError) -> BlobError {
        (self.piece, self.reservation) = (None, None);
        self.refused = Some(error.clone());
        error
    }

    /// Makes sure that there is room for the next piece: taken for a whole part where parts are
    /// sent. Nothing is, where nothing more may come. No piece is being filled.
    async fn reserve(&mut self) -> Result<(), BlobError> {
        let more = self.max_size - self.offset;
        let used_up = self.reservation.as_ref().is_none_or(Reservation::is_used_up);
        if !used_up || more == 0 {
            return Ok(());
        }
        self.reservation = None;
        let pieces = if self.store.in_parts() {
            part::pieces(self.store.part_size(self.max_size).min(more))
        } else {
            1
        };
        if let Some(reservation) = self.room.try_take(pieces) {
            self.reservation = Some(reservation);
            return Ok(());
        }
        // The part before is full, and must not wait for this one: others wait for its room.
        let first = self.offset == 0;
        if !first && self.store.in_parts() {
            self.send(Message::Flush).await?;
        }
        let room = self.room.clone();
        let taken = tokio::select! {
            biased;
            taken = room.take(pieces, first && !self.patient) => taken,
            () = self.link.ended() => return Err(self.failure().await),
        };
        match taken {
            Ok(reservation) => self.reservation = Some(reservation),
            Err(room::NoRoom) => return Err(self.refuse(BlobError::Crowded)),
        }
        Ok(())
    }

    /// Gives the piece being filled to the task, as it is.
    async fn hand_on(&mut self) -> Result<(), BlobError> {
        let Some(piece) = self.piece.take() else { return Ok(()) };
        let piece = piece.freeze();
        self.sniffer.see(&piece);
        self.send(Message::Piece(piece)).await
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
                _seat: self.seat.clone(),
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
    /// Returns when there is a task no more.
    async fn ended(&self) {
        match self {
            Self::Up { outbox, .. } => outbox.closed().await,
            Self::Idle | Self::Failed(_) => std::future::pending().await,
        }
    }

    async fn take_back(self) -> Result<(), BlobError> {
        let Self::Up { outbox, task, .. } = self else { return Ok(()) };
        drop(outbox);
        task.await.map_err(|error| BlobError::died(&error))?.cleaned
    }
}
