//! The buffers that blobs are gathered in, used again and again.
//!
//! Left to the allocator, every thread that filled some would keep those to itself once they are
//! free. On S3, where a part's worth is freed at a time, that comes to a multiple of what is ever
//! in use, and the more cores the more.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{part::PIECE, room::Share};

/// How many buffers wait to be used again, if not so many are in use: of four parts, or of all
/// uploads to local files. Under load none is given to the allocator and taken from it again, which
/// would leave holes; when it ends they go with it.
const KEPT: usize = 128;

/// Where a store's pieces come from. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Pieces(Arc<Mutex<Pool>>);

#[derive(Default)]
struct Pool {
    free: Vec<Vec<u8>>,
    /// How many are out.
    used: usize,
}

/// A piece of a blob that is being filled, of at most [`PIECE`] bytes.
pub(super) struct Piece {
    buffer: Vec<u8>,
    home: Pieces,
    /// Behind the buffer: it is given back first.
    _share: Share,
}

impl Pieces {
    /// An empty one, in the room that was taken for it.
    pub(super) fn take(&self, share: Share) -> Piece {
        let mut pool = self.pool();
        pool.used += 1;
        let buffer = pool.free.pop().unwrap_or_else(|| Vec::with_capacity(PIECE));
        Piece { buffer, home: self.clone(), _share: share }
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut pool = self.pool();
        pool.used -= 1;
        if pool.used == 0 {
            // No upload is at work: a server at rest holds none.
            pool.free = Vec::new();
        } else {
            buffer.clear();
            pool.free.push(buffer);
            let most = KEPT.max(pool.used);
            pool.free.truncate(most);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool();
        f.debug_struct("Pieces").field("free", &pool.free.len()).field("used", &pool.used).finish()
    }
}

impl Piece {
    /// Takes as much of `bytes` as there is room for, and says how much that was. Copied, because
    /// a slice of a network buffer would keep the whole of it.
    pub(super) fn fill(&mut self, bytes: &mut Bytes) -> usize {
        let some = bytes.split_to(bytes.len().min(PIECE - self.buffer.len()));
        self.buffer.extend_from_slice(&some);
        some.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() == PIECE
    }

    /// Its bytes; the buffer is free again when the last clone of them is gone.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.home.give_back(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::room::{Patience, Room};

    fn share() -> Share {
        let mut room = Room::new(1, Patience::default()).try_take(1).expect("a room for one");
        room.share().expect("one")
    }

    #[test]
    fn a_piece_takes_what_it_has_room_for() {
        let mut piece = Pieces::default().take(share());
        let mut bytes = Bytes::from(vec![1; PIECE - 1]);
        assert_eq!((piece.fill(&mut bytes), bytes.len()), (PIECE - 1, 0));
        assert!(!piece.is_full());
        let mut bytes = Bytes::from_static(&[2, 3]);
        assert_eq!((piece.fill(&mut bytes), &bytes[..]), (1, &[3][..]));
        assert!(piece.is_full());
        let frozen = piece.freeze();
        assert_eq!((frozen.len(), frozen[PIECE - 2], frozen[PIECE - 1]), (PIECE, 1, 2));
    }

    #[test]
    fn a_buffer_is_used_again_once_nothing_reads_it_and_goes_when_none_is_used() {
        let pieces = Pieces::default();
        let filled = |byte| {
            let mut piece = pieces.take(share());
            piece.fill(&mut Bytes::from(vec![byte]));
            piece.freeze()
        };
        let (first, second) = (filled(1), filled(2));
        let reader = first.slice(..);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(format!("{pieces:?}"), "Pieces { free: 0, used: 2 }");
        drop(reader);
        assert_eq!(format!("{pieces:?}"), "Pieces { free: 1, used: 1 }");
        let third = filled(3);
        assert_eq!((third.as_ptr(), &third[..], &second[..]), (place, &[3][..], &[2][..]));
        drop((second, third));
        assert_eq!(format!("{pieces:?}"), "Pieces { free: 0, used: 0 }");
    }

    #[test]
    fn no_more_is_kept_than_is_used_or_than_a_few_uploads_use() {
        let pieces = Pieces::default();
        let mut taken: Vec<_> = (0..8 * KEPT).map(|_| pieces.take(share())).collect();
        for used in [6 * KEPT, 4 * KEPT, 2 * KEPT, 1] {
            taken.truncate(used);
            let free = (8 * KEPT - used).min(used.max(KEPT));
            assert_eq!(format!("{pieces:?}"), format!("Pieces {{ free: {free}, used: {used} }}"));
        }
    }
}
