//! What a container writes, and from where it is read.

use bytes::Bytes;
use fileyard_storage::clock::Timestamp;

/// Some of what a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// When, in nanoseconds since 1970 by the engine's clock; never falls within one container.
    pub at: i64,
    /// Where to.
    pub stream: LogStream,
    /// A line with its newline, or a piece of one that is too long or was not ended. Without any
    /// this is a gap: see [`LogChunk::is_gap`].
    pub bytes: Bytes,
}

/// Where a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// From where a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPosition {
    /// Chunks before this time are left out.
    pub at: i64,
    /// And of those with exactly this time, the first so many.
    pub skip: u32,
}

impl LogPosition {
    /// Where to go on once `chunk` has been read.
    #[must_use]
    pub fn after(self, chunk: &LogChunk) -> Self {
        if chunk.is_gap() {
            return self;
        }
        let skip = if chunk.at == self.at { self.skip + 1 } else { 1 };
        Self { at: chunk.at, skip }
    }
}

impl LogChunk {
    /// Says that before this time some of the log may have been lost.
    #[must_use]
    pub fn gap(at: i64) -> Self {
        Self { at, stream: LogStream::Stdout, bytes: Bytes::new() }
    }

    /// Whether nothing was written here, but lost: the engine rotated some of its log away before
    /// it was read. A gap does not count in a [`LogPosition`].
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.bytes.is_empty()
    }

    /// When, to the millisecond.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.at / 1_000_000)
    }
}
