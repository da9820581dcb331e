//! The segment files of a live log: their names, and the line that each begins with.
//!
//! A segment is named after the number of its first chunk. Its first line says how things stood
//! before it, so that neither dropping old segments nor a crash loses count.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::record::damaged;
use crate::engine::LogPosition;

const MARK: &str = "fileyard-log-1";

/// How things stood before a segment's first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Before {
    /// The number of the next chunk.
    pub(super) seq: u64,
    /// Bytes of bare text.
    pub(super) text: u64,
    /// What they count for against the bounds.
    pub(super) weight: u64,
    /// From where the engine's log is read on.
    pub(super) position: LogPosition,
}

impl Before {
    pub(super) fn line(&self) -> String {
        let Self { seq, text, weight, position } = self;
        format!("{MARK} {seq} {text} {weight} {} {}\n", position.at, position.skip)
    }

    /// Reads a line, which comes without its newline.
    pub(super) fn parse(line: &[u8]) -> io::Result<Self> {
        let read = || {
            let mut fields = std::str::from_utf8(line).ok()?.split(' ');
            (fields.next()? == MARK).then_some(())?;
            let before = Self {
                seq: fields.next()?.parse().ok()?,
                text: fields.next()?.parse().ok()?,
                weight: fields.next()?.parse().ok()?,
                position: LogPosition {
                    at: fields.next()?.parse().ok()?,
                    skip: fields.next()?.parse().ok()?,
                },
            };
            fields.next().is_none().then_some(before)
        };
        read().ok_or_else(|| damaged(line))
    }
}

/// Where the segment that begins with chunk `seq` is.
pub(super) fn path(dir: &Path, seq: u64) -> PathBuf {
    dir.join(format!("{seq:020}.log"))
}

/// The segments that are there, by the numbers of their first chunks, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        found.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}
