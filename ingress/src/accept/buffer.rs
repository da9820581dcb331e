//! How much of a connection hyper may hold in each direction, and so read at once.
//!
//! A read costs the same whatever it brings, and on its way out it tells the sender that there is
//! room again, which costs as much once more: the larger, the cheaper an upload. Many connections
//! at work have less each, so that a hundred of them stay small.

use std::sync::Arc;

/// The most, which is what blobs are gathered in; hyper begins with a fraction of it.
const MOST: usize = 256 * 1024;
/// The least.
pub(super) const LEAST: usize = 64 * 1024;
/// How much all of them together hold, as far as `LEAST` for each of them allows.
const TOGETHER: usize = 1024 * 1024;

/// The buffers of all connections that are at work.
#[derive(Default)]
pub(super) struct Buffers(Arc<()>);

/// One connection's, from when it wakes until it sleeps.
pub(super) struct Buffer(Arc<()>);

impl Buffers {
    /// One more.
    pub(super) fn take(&self) -> Buffer {
        Buffer(Arc::clone(&self.0))
    }
}

impl Buffer {
    /// Its share, in bytes, by how many there are now.
    pub(super) fn size(&self) -> usize {
        let taken = Arc::strong_count(&self.0) - 1;
        (TOGETHER / taken.max(1)).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_have_much_and_many_have_little() {
        let buffers = Buffers::default();
        let mut taken: Vec<_> = (0..4).map(|_| buffers.take()).collect();
        assert!(taken.iter().all(|buffer| buffer.size() == MOST));
        taken.extend((0..4).map(|_| buffers.take()));
        assert_eq!(taken[0].size(), MOST / 2);
        taken.extend((0..1000).map(|_| buffers.take()));
        assert_eq!(taken[0].size(), LEAST);
        taken.truncate(1);
        assert_eq!(taken[0].size(), MOST);
    }

    #[test]
    fn a_hundred_that_come_one_after_the_other_hold_little_more_than_a_hundred_of_the_least() {
        let buffers = Buffers::default();
        let taken: Vec<_> = (0..100).map(|_| buffers.take()).map(|one| (one.size(), one)).collect();
        let all: usize = taken.iter().map(|(size, _)| size).sum();
        assert!(all < 100 * LEAST + 2 * TOGETHER, "{all}");
    }
}
