//! Who holds room, whether they fill it, and who waits.
//!
//! A holder is judged only while others wait, and only by the time in which it was read from: what
//! it loses to a slow store or to its own wait is not held against it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::room::Patience;

/// All who may hold room. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Whether anybody waits.
    pressed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Pace>,
    waiting: usize,
}

/// How one holder fills what it holds, since others began to wait.
#[derive(Debug)]
struct Pace {
    /// In which its bytes were waited for, up to `listening`.
    listened: Duration,
    /// Since when they are waited for now, while it holds room.
    listening: Option<Instant>,
    bytes: u64,
    told: Option<Instant>,
    leave: Arc<Notify>,
}

/// One holder's place. Its clone is the same place, which is free when the last one is dropped:
/// the end that holds what is in flight keeps one too.
#[derive(Debug, Clone)]
pub(super) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    seats: Seats,
    id: u64,
    leave: Arc<Notify>,
}

/// Says that its holder's bytes are waited for, until dropped.
pub(super) struct Listening<'a>(&'a Place);

/// Says that somebody waits for room, until dropped.
pub(super) struct Waiting<'a>(&'a Seats);

impl Seats {
    pub(super) fn seat(&self) -> Seat {
        let mut table = self.table();
        let (id, leave) = (table.next, Arc::new(Notify::new()));
        table.next += 1;
        let pace = Pace {
            listened: Duration::ZERO,
            listening: None,
            bytes: 0,
            told: None,
            leave: Arc::clone(&leave),
        };
        table.taken.insert(id, pace);
        Seat(Arc::new(Place { seats: self.clone(), id, leave }))
    }

    /// Somebody waits. From the first one on, holders are watched.
    pub(super) fn wait(&self) -> Waiting<'_> {
        let mut table = self.table();
        table.waiting += 1;
        if table.waiting == 1 {
            let now = Instant::now();
            table.taken.values_mut().for_each(|pace| pace.restart(now));
            self.0.pressed.send_replace(true);
        }
        Waiting(self)
    }

    /// Tells those to leave who are slow; whether room is about to come back because of that.
    pub(super) fn judge(&self, patience: &Patience) -> bool {
        let now = Instant::now();
        let mut coming = false;
        for pace in self.table().taken.values_mut() {
            coming |= match pace.told {
                Some(told) => now - told < patience.leaving(),
                None => pace.judge(patience, now),
            };
        }
        coming
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn restart(&mut self, now: Instant) {
        self.listened = Duration::ZERO;
        self.listening = self.listening.map(|_| now);
        self.bytes = 0;
    }

    /// Whether it is told to leave, or is so close to it that a waiter should not give up now.
    fn judge(&mut self, patience: &Patience, now: Instant) -> bool {
        let listened = self.listened + self.listening.map_or(Duration::ZERO, |since| now - since);
        let slow = (self.bytes as f64) < patience.slow_rate as f64 * listened.as_secs_f64();
        if self.listening.is_none() {
            return false;
        }
        if listened >= patience.slow_for {
            if slow {
                self.told = Some(now);
                self.leave.notify_one();
            } else {
                self.restart(now);
            }
            return slow;
        }
        slow && listened >= patience.slow_for - patience.slow_for / 10
    }
}

impl Seat {
    /// Its bytes are waited for, and it holds room meanwhile.
    pub(super) fn listen(&self) -> Listening<'_> {
        self.with(|pace| pace.listening = Some(Instant::now()));
        Listening(&self.0)
    }

    pub(super) fn took(&self, bytes: usize) {
        self.with(|pace| pace.bytes += bytes as u64);
    }

    /// Returns when it is told to leave.
    pub(super) async fn told_to_leave(&self) {
        self.0.leave.notified().await;
    }

    /// Returns when somebody waits for room.
    pub(super) async fn pressed(&self) {
        let mut pressed = self.0.seats.0.pressed.subscribe();
        // The sender lives as long as this seat.
        let _ = pressed.wait_for(|pressed| *pressed).await;
    }

    fn with(&self, change: impl FnOnce(&mut Pace)) {
        if let Some(pace) = self.0.seats.table().taken.get_mut(&self.0.id) {
            change(pace);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seats.table().taken.remove(&self.id);
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if let Some(pace) = self.0.seats.table().taken.get_mut(&self.0.id)
            && let Some(since) = pace.listening.take()
        {
            pace.listened += since.elapsed();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.waiting -= 1;
        if table.waiting == 0 {
            self.0.0.pressed.send_replace(false);
        }
    }
}
