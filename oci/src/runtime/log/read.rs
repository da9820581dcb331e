//! Reads a log from its beginning, also while it is written.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes, BytesMut};

use super::{HEADER, PIECE, file, numbers};

const BLOCK: usize = 64 << 10;

/// A line, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When, in nanoseconds since 1970. Never falls within one log.
    pub at: i64,
    /// Where to.
    pub stream: Stream,
    /// Nothing, where something before this was dropped unread: see [`Record::is_gap`].
    pub bytes: Bytes,
}

/// Where a program wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Reads one container's log.
pub struct Reader {
    dir: PathBuf,
    open: Option<(u64, File)>,
    /// The file to be read next.
    next: u64,
    /// Read, and not yet returned.
    ready: BytesMut,
}

impl Reader {
    /// From its beginning on, as far as that was not dropped.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None, next: 0, ready: BytesMut::new() }
    }

    /// The next record; `None` when there is no more now. There may be later.
    ///
    /// # Errors
    /// When the log can not be read, or is none.
    pub fn read(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.whole()? {
                return Ok(Some(record));
            }
            let Some((number, file)) = &mut self.open else {
                match self.enter()? {
                    Entered::Nothing => return Ok(None),
                    Entered::Next => continue,
                    Entered::Behind(gap) => return Ok(Some(gap)),
                }
            };
            let number = *number;
            if more(file, &mut self.ready)? > 0 {
                continue;
            }
            // A file is complete once there is a later one; looked at before its last read.
            if numbers(&self.dir)?.last().is_none_or(|last| *last <= number) {
                return Ok(None);
            }
            if more(file, &mut self.ready)? == 0 {
                (self.open, self.next) = (None, number + 1);
                self.ready.clear();
            }
        }
    }

    /// A record that was read to its end.
    fn whole(&mut self) -> io::Result<Option<Record>> {
        if self.ready.len() < HEADER {
            return Ok(None);
        }
        let mut header = &self.ready[..HEADER];
        let (at, stream, len) = (header.get_i64_le(), header.get_u8(), header.get_u32_le());
        let stream = match stream {
            0 => Stream::Stdout,
            1 => Stream::Stderr,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no log")),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > PIECE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no log"));
        }
        if self.ready.len() < HEADER + len {
            return Ok(None);
        }
        self.ready.advance(HEADER);
        Ok(Some(Record { at, stream, bytes: self.ready.split_to(len).freeze() }))
    }

    fn enter(&mut self) -> io::Result<Entered> {
        let there = numbers(&self.dir)?;
        let Some(number) = there.into_iter().find(|number| *number >= self.next) else {
            return Ok(Entered::Nothing);
        };
        let file = match File::open(file(&self.dir, number)) {
            // Dropped since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entered::Next),
            opened => opened?,
        };
        let lost = number > self.next;
        (self.open, self.next) = (Some((number, file)), number);
        if !lost {
            return Ok(Entered::Next);
        }
        // As old as what comes next, which is there: a file is made to be written to.
        let (_, file) = self.open.as_mut().expect("it was opened");
        more(file, &mut self.ready)?;
        let at = (&self.ready[..]).try_get_i64_le().unwrap_or_default();
        Ok(Entered::Behind(Record { at, stream: Stream::Stdout, bytes: Bytes::new() }))
    }
}

enum Entered {
    Nothing,
    Next,
    Behind(Record),
}

impl Record {
    /// Whether nothing was written here, but lost: the log was longer than is kept.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn more(file: &mut File, ready: &mut BytesMut) -> io::Result<usize> {
    let from = ready.len();
    ready.resize(from + BLOCK, 0);
    let read = file.read(&mut ready[from..]);
    ready.truncate(from + *read.as_ref().unwrap_or(&0));
    read
}
