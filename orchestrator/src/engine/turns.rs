//! Whoever means the same container waits for who meant it before.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

use super::ContainerId;

/// Few enough to have them all, and enough that two containers seldom share one.
const STRIPES: usize = 64;

/// One turn after the other for each container.
#[derive(Debug)]
pub(super) struct Turns([Mutex<()>; STRIPES]);

impl Turns {
    /// Others that mean this container wait until it is dropped.
    pub(super) async fn of(&self, id: &ContainerId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let stripe = hasher.finish() % STRIPES as u64;
        self.0[usize::try_from(stripe).expect("it is below STRIPES")].lock().await
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}
