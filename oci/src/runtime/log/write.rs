//! Appends to a log, line by line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{FILE, HEADER, PIECE, Stream, file};

/// Writes the log of one container. It never reads.
pub(in crate::runtime) struct Writer {
    dir: PathBuf,
    number: u64,
    file: File,
    len: u64,
    longest: u64,
    last: i64,
    /// What was read of lines that are not ended yet.
    open: [Vec<u8>; 2],
}

impl Writer {
    /// In a directory that has no log yet.
    pub(in crate::runtime) fn open(dir: &Path) -> io::Result<Self> {
        Self::with_files_of(dir, FILE)
    }

    pub(super) fn with_files_of(dir: &Path, longest: u64) -> io::Result<Self> {
        let file = create(dir, 0)?;
        let dir = dir.to_owned();
        Ok(Self { dir, number: 0, file, len: 0, longest, last: 0, open: Default::default() })
    }

    /// Some of what came by a stream.
    pub(in crate::runtime) fn take(&mut self, stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
        let mut ready = Vec::new();
        while !bytes.is_empty() {
            let open = &mut self.open[stream as usize];
            let room = &bytes[..bytes.len().min(PIECE - open.len())];
            let end = memchr::memchr(b'\n', room).map_or(room.len(), |at| at + 1);
            open.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end..];
            if open.ends_with(b"\n") || open.len() == PIECE {
                let text = std::mem::take(open);
                self.record(&mut ready, stream, &text);
            }
        }
        self.append(&ready)
    }

    /// The streams have ended: what is left of them is written.
    pub(in crate::runtime) fn end(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let text = std::mem::take(&mut self.open[stream as usize]);
            if !text.is_empty() {
                self.record(&mut ready, stream, &text);
            }
        }
        self.append(&ready)
    }

    fn record(&mut self, ready: &mut Vec<u8>, stream: Stream, text: &[u8]) {
        // A clock that is set back does not turn the log's order.
        self.last = self.last.max(now());
        ready.reserve(HEADER + text.len());
        ready.extend_from_slice(&self.last.to_le_bytes());
        ready.push(stream as u8);
        ready.extend_from_slice(&u32::try_from(text.len()).expect("a piece").to_le_bytes());
        ready.extend_from_slice(text);
    }

    /// Whole records. Files end between two calls.
    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.len >= self.longest {
            self.number += 1;
            (self.file, self.len) = (create(&self.dir, self.number)?, 0);
            if let Some(old) = self.number.checked_sub(2) {
                fs::remove_file(file(&self.dir, old))?;
            }
        }
        self.len += records.len() as u64;
        self.file.write_all(records)
    }
}

fn create(dir: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(file(dir, number))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
