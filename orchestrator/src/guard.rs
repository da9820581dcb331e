//! Who fills the disk: what running containers have in `/out`, and which of them has to go when
//! the disk is so full that everybody is at risk.
//!
//! Below `min_free` nothing new begins; that alone does not help while what runs goes on writing,
//! and a database that can not commit helps nobody. So below an eighth of it the container that has
//! written most is stopped, one at a time, until there is room again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{disk::Disk, engine::ContainerId};

/// An ended container's files are removed behind its end.
const SETTLE: Duration = Duration::from_secs(10);

/// All running containers' shares of the disk.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    disk: Disk,
    known: Arc<Mutex<Known>>,
    /// How long the removal of files is waited for before another has to go.
    settle: Duration,
}

#[derive(Debug, Default)]
struct Known {
    shares: HashMap<ContainerId, Share>,
    /// When the last one that had to go had ended.
    left: Option<Instant>,
}

#[derive(Debug, Default)]
struct Share {
    allocated: u64,
    told: bool,
}

/// One container's share; gone when dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    guard: Guard,
    id: ContainerId,
}

impl Guard {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk, known: Arc::default(), settle: SETTLE }
    }

    pub(crate) fn watch(&self, id: ContainerId) -> Watched {
        self.known().shares.insert(id, Share::default());
        Watched { guard: self.clone(), id }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// It has so much now; whether it is the one that has to go, so that others may stay.
    pub(crate) fn has_to_go(&self, allocated: u64) -> bool {
        let exhausted = self.guard.disk.is_exhausted();
        let Known { shares, left } = &mut *self.guard.known();
        shares.entry(self.id).or_default().allocated = allocated;
        // The room of one that went may still be on its way.
        let settling = left.is_some_and(|at| at.elapsed() < self.guard.settle);
        if !exhausted || allocated == 0 || settling {
            return false;
        }
        let others = shares.iter().filter(|(id, _)| **id != self.id);
        let most = others.fold(true, |most, (id, other)| {
            let rank = (other.allocated, id.job, id.attempt);
            most && !other.told && rank < (allocated, self.id.job, self.id.attempt)
        });
        if most {
            shares.entry(self.id).or_default().told = true;
        }
        most
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut known = self.guard.known();
        if known.shares.remove(&self.id).is_some_and(|share| share.told) {
            known.left = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use fileyard_storage::id::{AttemptNo, InstallId, JobId};

    use super::*;

    fn id(n: u128) -> ContainerId {
        let job = JobId::from_u128(n);
        ContainerId { install: InstallId::from_u128(1), job, attempt: AttemptNo(1) }
    }

    #[test]
    fn the_largest_goes_and_the_next_only_when_it_is_gone() {
        let settle = Duration::from_millis(20);
        let full = Guard { settle, ..Guard::new(Disk::new(std::env::temp_dir(), u64::MAX)) };
        let (small, large, empty) = (full.watch(id(1)), full.watch(id(2)), full.watch(id(3)));
        assert!(!empty.has_to_go(0), "who has nothing can give nothing back");
        assert!(small.has_to_go(10), "as far as is known, it is the largest");
        assert!(!large.has_to_go(20), "one is going");
        drop(small);
        assert!(!large.has_to_go(20), "what it had may not be removed yet");
        std::thread::sleep(settle);
        assert!(large.has_to_go(20));
    }

    #[test]
    fn while_there_is_room_everybody_stays() {
        let roomy = Guard::new(Disk::new(std::env::temp_dir(), 0));
        assert!(!roomy.watch(id(1)).has_to_go(1 << 40));
    }
}
