//! The one writer of a live log: bounded, and at every moment fit to be read or gone on with.

use std::{
    collections::VecDeque,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{
    record::{Lines, LogRecord, Text},
    segment::{self, Before},
};
use crate::engine::{LogChunk, LogPosition};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of the beginning.
    pub(super) head: u64,
    /// Of the end.
    pub(super) tail: u64,
    /// The end is dropped by pieces of this size.
    pub(super) segment: u64,
}

const MIB: u64 = 1024 * 1024;
pub(super) const BOUNDS: Bounds = Bounds { head: MIB, tail: 15 * MIB, segment: MIB / 4 };

/// Appends to an attempt's log.
///
/// Of a long log the first MiB of text and the last 15 MiB are kept, the latter to a quarter of a
/// MiB; a line of fewer than 32 bytes counts as 32. One owner writes at a time.
#[derive(Debug)]
pub struct AttemptLog {
    dir: PathBuf,
    bounds: Bounds,
    /// All that was ever appended.
    now: Before,
    /// How things stood before each segment but the first.
    tail: VecDeque<Before>,
    file: Option<File>,
    /// Of the file that is appended to.
    len: u64,
}

impl AttemptLog {
    /// The log in `dir`: a new one, or the one that an owner before left there. A record it had not
    /// written to its end is taken away, and [`AttemptLog::position`] is before it.
    ///
    /// # Errors
    /// When the directory cannot be made, read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::bounded(dir, BOUNDS)
    }

    pub(super) fn bounded(dir: &Path, bounds: Bounds) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut log = Self {
            dir: dir.to_owned(),
            bounds,
            now: Before::default(),
            tail: VecDeque::new(),
            file: None,
            len: 0,
        };
        for seq in segment::list(dir)? {
            log.resume(seq)?;
        }
        Ok(log)
    }

    /// From where the engine's log is to be read on.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.now.position
    }

    /// Appends what the engine read, or says that it lost. Readable at once; not synced, for a
    /// container does not outlive its machine.
    ///
    /// # Errors
    /// It may or may not be there then: open the log again, its position says.
    pub fn append(&mut self, chunk: &LogChunk) -> io::Result<()> {
        if chunk.is_gap() {
            let gap = LogRecord { at: chunk.at, seq: self.now.seq, text: Text::Gap(None) };
            return self.write(&[gap], self.now.position);
        }
        let records = LogRecord::of(chunk, self.now.seq);
        self.write(&records, after(self.now.position, chunk.at))
    }

    fn write(&mut self, records: &[LogRecord], position: LogPosition) -> io::Result<()> {
        let weight = records.iter().map(LogRecord::weight).sum();
        if self.is_full(weight) {
            self.file = None;
        }
        let mut lines = Vec::new();
        let begins = self.file.is_none();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                lines.extend_from_slice(self.now.line().as_bytes());
                self.len = 0;
                let path = segment::path(&self.dir, self.now.seq);
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                // A write that failed may have left something.
                file.set_len(0)?;
                file
            }
        };
        records.iter().for_each(|record| record.write_to(&mut lines));
        if let Err(error) = file.write_all(&lines) {
            // A record that is not whole must not be followed by another.
            if file.set_len(self.len).is_ok() && !begins {
                self.file = Some(file);
            }
            return Err(error);
        }
        if begins && self.now.seq > 0 {
            self.tail.push_back(self.now);
        }
        self.file = Some(file);
        self.len += lines.len() as u64;
        self.now = Before {
            seq: self.now.seq + 1,
            text: self.now.text + records.iter().map(LogRecord::text_len).sum::<u64>(),
            weight: self.now.weight + weight,
            position,
        };
        self.drop_old()
    }

    /// Whether what weighs so much belongs into another file.
    fn is_full(&self, weight: u64) -> bool {
        match self.tail.back() {
            Some(segment) => self.now.weight + weight - segment.weight > self.bounds.segment,
            None => self.now.weight + weight > self.bounds.head,
        }
    }

    fn drop_old(&mut self) -> io::Result<()> {
        while let Some(first) = self.tail.front()
            && self.tail.len() > 1
            && self.now.weight - first.weight > self.bounds.tail
        {
            match std::fs::remove_file(segment::path(&self.dir, first.seq)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.tail.pop_front(),
            };
        }
        Ok(())
    }

    /// Takes a segment in as it lies there; the later ones know better.
    fn resume(&mut self, seq: u64) -> io::Result<()> {
        let path = segment::path(&self.dir, seq);
        let file = OpenOptions::new().read(true).append(true).open(&path)?;
        let Some((before, now, len)) = scan(&file)?.filter(|(before, ..)| before.seq == seq) else {
            // Not even its first line: whoever made it came no further.
            return std::fs::remove_file(path);
        };
        file.set_len(len)?;
        if seq > 0 {
            self.tail.push_back(before);
        }
        (self.now, self.len, self.file) = (now, len, Some(file));
        Ok(())
    }
}

/// How things stood before a segment and stand after its last whole chunk, and where that ends.
///
/// What a crash left unwritten may be missing or, after a loss of power, be zeros: both end it.
fn scan(file: &File) -> io::Result<Option<(Before, Before, u64)>> {
    let mut file = BufReader::with_capacity(64 * 1024, file);
    file.rewind()?;
    let mut lines = Lines::default();
    let mut block = [0; 64 * 1024];
    let mut scan: Option<(Before, Before, u64)> = None;
    // Of the chunk that is being read: how far it goes, its text, its weight.
    let (mut offset, mut text, mut weight) = (0, 0, 0);
    loop {
        let n = file.read(&mut block)?;
        if n == 0 {
            return Ok(scan);
        }
        lines.push(&block[..n]);
        loop {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(_) => return Ok(scan),
            };
            offset += line.len() as u64 + 1;
            let Some((_, now, len)) = &mut scan else {
                let Ok(before) = Before::parse(&line) else { return Ok(None) };
                scan = Some((before, before, offset));
                continue;
            };
            let Some(record) = LogRecord::parse(&line) else { return Ok(scan) };
            text += record.text_len();
            weight += record.weight();
            if record.goes_on() {
                continue;
            }
            if matches!(record.text, Text::Piece { .. }) {
                now.position = after(now.position, record.at);
            }
            (now.seq, now.text, now.weight) =
                (record.seq + 1, now.text + text, now.weight + weight);
            (*len, text, weight) = (offset, 0, 0);
        }
    }
}

/// Where the engine's log goes on after a chunk of this time.
fn after(position: LogPosition, at: i64) -> LogPosition {
    match at.cmp(&position.at) {
        std::cmp::Ordering::Greater => LogPosition { at, skip: 1 },
        std::cmp::Ordering::Equal => LogPosition { at, skip: position.skip + 1 },
        // Never by an engine's promise; a position that went back would repeat what is there.
        std::cmp::Ordering::Less => position,
    }
}

#[cfg(test)]
mod tests;
