//! The memory that blobs on their way in may hold, all together, and the queue for it.
//!
//! Room is counted in pieces and taken a reservation at a time: a part's worth where parts are
//! sent, one piece where pieces go to a file. Whoever comes first is served first, and a waiter
//! that is dropped passes its turn on. Every [`Piece`](super::piece::Piece) keeps the room that it
//! takes until nothing reads it any more, so that what is in flight counts, retries included.
//!
//! Nothing here reads a clock while there is room for everybody. While somebody waits, the waiters
//! look every second for those who hold room that they do not fill: see [`super::seat`].

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::seat::{Seat, Seats};

/// The rules of waiting. The defaults are what is documented; tests are quicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long an upload waits for its first part.
    pub first_part: Duration,
    /// How long a holder may be slow while others wait.
    pub slow_for: Duration,
    /// What is slow, in bytes a second.
    pub slow_rate: u64,
}

impl Patience {
    /// How often a waiter looks at who holds what: every second.
    fn look(&self) -> Duration {
        self.slow_for / 30
    }

    /// How long whoever is told to leave may take with it before waiters are refused all the same:
    /// a part in flight has so long to land.
    pub(super) fn leaving(&self) -> Duration {
        self.slow_for / 3
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_part: Duration::from_secs(30),
            slow_for: Duration::from_secs(30),
            slow_rate: 64 << 10,
        }
    }
}

/// Room for so many pieces. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pieces: Arc<Semaphore>,
    total: usize,
    patience: Patience,
    seats: Seats,
}

/// Room that was taken and not yet filled.
#[derive(Debug)]
pub(super) struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    /// More than the permit has, where a part is larger than all the room: it has all of it then.
    left: usize,
}

/// One piece's room; given back when dropped.
#[derive(Debug)]
pub(super) struct Share(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);

/// There was none in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Room {
    pub(super) fn new(pieces: usize, patience: Patience) -> Self {
        let total = pieces.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { pieces: Arc::new(Semaphore::new(total)), total, patience, seats: Seats::default() }
    }

    /// A place among those who hold room.
    pub(super) fn seat(&self) -> Seat {
        self.seats.seat()
    }

    /// Room for so many pieces, if nobody has to wait for it.
    pub(super) fn try_take(&self, pieces: usize) -> Option<Reservation> {
        let permit = Arc::clone(&self.pieces).try_acquire_many_owned(self.permits(pieces)).ok()?;
        Some(Reservation { permit: Some(permit), left: pieces })
    }

    /// Room for so many pieces, in turn. `first` is of an upload that has had none yet: it is
    /// refused when it has waited too long, while others wait for as long as it takes.
    pub(super) async fn take(&self, pieces: usize, first: bool) -> Result<Reservation, NoRoom> {
        if let Some(reservation) = self.try_take(pieces) {
            return Ok(reservation);
        }
        let from = Instant::now();
        let _waiting = self.seats.wait();
        let permit = Arc::clone(&self.pieces).acquire_many_owned(self.permits(pieces));
        let mut permit = std::pin::pin!(permit);
        loop {
            match timeout(self.patience.look(), &mut permit).await {
                Ok(permit) => {
                    let permit = Some(permit.expect("nobody closes it"));
                    return Ok(Reservation { permit, left: pieces });
                }
                Err(_) => {
                    let coming = self.seats.judge(&self.patience);
                    if first && from.elapsed() >= self.patience.first_part && !coming {
                        return Err(NoRoom);
                    }
                }
            }
        }
    }

    /// A part larger than the room has all of it.
    fn permits(&self, pieces: usize) -> u32 {
        u32::try_from(pieces.min(self.total)).unwrap_or(u32::MAX)
    }
}

impl Reservation {
    /// One piece's share of it, while there is one.
    pub(super) fn share(&mut self) -> Option<Share> {
        self.left = self.left.checked_sub(1)?;
        Some(Share(self.permit.as_mut().and_then(|permit| permit.split(1))))
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests;
