//! Reads a log from its directory, also while somebody appends to it and drops old segments.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use super::{
    record::{Lines, LogRecord, Text},
    segment::{self, Before},
};

const BLOCK: usize = 64 * 1024;

/// A reader of a directory of segments.
#[derive(Debug)]
pub(super) struct Live {
    dir: PathBuf,
    /// The last segment to be read, and how far: where somebody writes quicker than we read, this
    /// ends it.
    until: Option<(u64, u64)>,
    /// The segment that is read, or was last.
    seq: Option<u64>,
    file: Option<File>,
    lines: Lines,
    /// How far its whole lines go.
    offset: u64,
    /// How far it was read.
    read: u64,
    /// Whether there is a later segment, so that this one is complete.
    complete: bool,
    /// How much bare text came before; unknown after damage.
    text: Option<u64>,
}

/// What there is to read.
#[derive(Debug)]
pub(super) enum Step {
    /// So much.
    Records(Vec<LogRecord>),
    /// Nothing now; later there may be more.
    End,
    /// No directory: not yet, or no more.
    Gone,
}

impl Live {
    /// Reads all that is there, and goes on after each [`Step::End`].
    pub(super) fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            until: None,
            seq: None,
            file: None,
            lines: Lines::default(),
            offset: 0,
            read: 0,
            complete: false,
            text: Some(0),
        }
    }

    /// Reads what is there now and then ends.
    pub(super) async fn snapshot(dir: &Path) -> io::Result<Self> {
        let mut live = Self::open(dir);
        live.until = match live.list().await {
            Ok(found) => match found.last() {
                Some(last) => Some((*last, len(&segment::path(dir, *last)).await?)),
                None => Some((0, 0)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(live)
    }

    /// Whether a snapshot was read to its end, so that nothing of it is missing.
    pub(super) fn is_through(&self) -> bool {
        match (self.until, self.seq) {
            (Some((last, _)), Some(seq)) => seq >= last,
            (Some((_, len)), None) => len == 0,
            (None, _) => false,
        }
    }

    /// The next records. They never wait for a writer.
    pub(super) async fn next(&mut self) -> io::Result<Step> {
        let mut block = vec![0; BLOCK];
        loop {
            if self.file.is_none() {
                match self.enter_next().await {
                    Ok(true) => {}
                    Ok(false) => return Ok(Step::End),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Step::Gone),
                    Err(error) => return Err(error),
                }
            }
            let most = self.most();
            let Some(file) = &mut self.file else { continue };
            let n = file.read(&mut block[..most]).await?;
            self.read += n as u64;
            if n > 0 {
                self.lines.push(&block[..n]);
                let records = self.parse();
                if !records.is_empty() {
                    return Ok(Step::Records(records));
                }
            } else if self.complete {
                self.file = None;
            } else if self.following().await.is_ok_and(|later| later.is_some()) {
                // What was appended between our last read and the beginning of the later one.
                self.complete = true;
            } else {
                self.rewind().await?;
                return Ok(Step::End);
            }
        }
    }

    /// Forgets a line that is not whole: an owner that goes on after a crash may take it back.
    async fn rewind(&mut self) -> io::Result<()> {
        self.lines.clear();
        self.read = self.offset;
        if let Some(file) = &mut self.file {
            file.seek(io::SeekFrom::Start(self.offset)).await?;
        }
        Ok(())
    }

    /// How much may be read at once.
    fn most(&self) -> usize {
        match (self.until, self.seq) {
            (Some((last, len)), Some(seq)) if seq == last => {
                usize::try_from(len.saturating_sub(self.read)).unwrap_or(BLOCK).min(BLOCK)
            }
            _ => BLOCK,
        }
    }

    async fn list(&self) -> io::Result<Vec<u64>> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || segment::list(&dir)).await.map_err(io::Error::other)?
    }

    /// The segment after the one that was read, within what is to be read.
    async fn following(&self) -> io::Result<Option<u64>> {
        let found = self.list().await?;
        Ok(found.into_iter().find(|seq| {
            self.seq.is_none_or(|read| *seq > read)
                && self.until.is_none_or(|(last, _)| *seq <= last)
        }))
    }

    async fn enter_next(&mut self) -> io::Result<bool> {
        while let Some(seq) = self.following().await? {
            match File::open(segment::path(&self.dir, seq)).await {
                // Dropped since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    self.file = Some(opened?);
                    self.seq = Some(seq);
                    self.lines.clear();
                    (self.offset, self.read, self.complete) = (0, 0, false);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The whole records among the lines. Damage makes the rest of the segment a gap.
    fn parse(&mut self) -> Vec<LogRecord> {
        let mut records: Vec<LogRecord> = Vec::new();
        loop {
            let line = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return records,
                Err(_) => return self.damaged(records),
            };
            let first = self.offset == 0;
            self.offset += line.len() as u64 + 1;
            if first {
                match Before::parse(&line) {
                    Ok(before) => records.extend(self.enter(&before)),
                    Err(_) => return self.damaged(records),
                }
            } else if let Some(record) = LogRecord::parse(&line) {
                self.text = self.text.map(|text| text + record.text_len());
                records.push(record);
            } else {
                return self.damaged(records);
            }
        }
    }

    /// Whether something is missing between what was read and this segment.
    fn enter(&mut self, before: &Before) -> Option<LogRecord> {
        let read = self.text.replace(before.text)?;
        let missing = before.text.checked_sub(read).filter(|missing| *missing > 0)?;
        let (at, seq) = (before.position.at, before.seq);
        Some(LogRecord { at, seq, text: Text::Gap(Some(missing)) })
    }

    fn damaged(&mut self, mut records: Vec<LogRecord>) -> Vec<LogRecord> {
        tracing::warn!(dir = %self.dir.display(), segment = ?self.seq, "a log is damaged");
        let (at, seq) = records
            .last()
            .map_or((0, self.seq.unwrap_or_default()), |last| (last.at, last.seq + 1));
        records.push(LogRecord { at, seq, text: Text::Gap(None) });
        self.lines.clear();
        (self.text, self.file) = (None, None);
        records
    }
}

async fn len(path: &Path) -> io::Result<u64> {
    match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => Ok(found?.len()),
    }
}
