//! Reads an attempt's log wherever it is: in its directory while it is written, in the store after.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use fileyard_storage::{
    Store, StoreError,
    attempt::{Attempt, AttemptState},
    blob::{BlobError, BlobStore},
    id::{AttemptNo, InstallId},
    job::Job,
};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};

use super::{
    live::{Live, Step},
    record::{Lines, LogRecord, Text, damaged},
    render::Renderer,
};
use crate::engine::{ContainerId, HostDirs};

/// How often a log that is followed is looked at.
const POLL: Duration = Duration::from_millis(200);

/// The logs of all attempts. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    dirs: Option<HostDirs>,
    install: InstallId,
    store: Arc<dyn Store>,
    blobs: BlobStore,
}

/// What of a log is read, and how it looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Which attempt's; the latest, if none is named.
    pub attempt: Option<AttemptNo>,
    /// Each line with its time, number and stream.
    pub timestamps: bool,
    /// Only the last so many lines.
    pub tail: Option<usize>,
    /// Only these bytes of the text that the other options ask for.
    pub range: Option<Range<u64>>,
    /// Goes on until the log is complete. Without it, what is there now.
    pub follow: bool,
}

/// A log, or a part of it.
pub struct LogText {
    /// Of the whole bare text, once it is complete and if that is what is read.
    pub size: Option<u64>,
    /// The text.
    pub stream: BoxStream<'static, Result<Bytes, LogError>>,
}

/// Why a log is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The job has no such attempt.
    #[error("there is no attempt {0}")]
    NoAttempt(AttemptNo),
    /// Its row is not to be had.
    #[error(transparent)]
    Row(#[from] StoreError),
    /// Its blob is not to be had.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Its directory cannot be read, or its records are damaged.
    #[error("the log cannot be read: {0}")]
    Io(String),
}

type Records = BoxStream<'static, Result<Vec<LogRecord>, LogError>>;

impl Logs {
    /// Over the same directories that the engine uses; `None` where logs are not on this host.
    #[must_use]
    pub fn new(
        dirs: Option<HostDirs>,
        install: InstallId,
        store: Arc<dyn Store>,
        blobs: BlobStore,
    ) -> Self {
        Self { dirs, install, store, blobs }
    }

    /// The log of an attempt of `job`. A job without an attempt has an empty one.
    ///
    /// # Errors
    /// [`LogError`]; later ones come in the stream.
    pub async fn read(&self, job: &Job, options: &ReadOptions) -> Result<LogText, LogError> {
        let Some(no) = options.attempt.or(job.attempt) else {
            return Ok(LogText { size: Some(0), stream: stream::empty().boxed() });
        };
        let attempt = self.store.attempt(job.id(), no).await?.ok_or(LogError::NoAttempt(no))?;
        let whole = !options.timestamps && options.tail.is_none();
        let size = attempt.log.as_ref().filter(|_| whole).map(|log| log.text_size);
        let from = match options.tail {
            Some(lines) => Some(self.tail(&attempt, lines).await?),
            None => None,
        };
        let mut renderer = Renderer::new(options.timestamps);
        let records = self.records(attempt, options.follow).await?;
        let text = records.map_ok(move |records| {
            let mut text = Vec::new();
            for record in
                records.iter().filter(|record| from.is_none_or(|from| place(record) >= from))
            {
                renderer.render(record, &mut text);
            }
            Bytes::from(text)
        });
        let text = match options.range.clone() {
            Some(range) => slice(text, range).boxed(),
            None => text.boxed(),
        };
        let stream = text.try_filter(|text| futures::future::ready(!text.is_empty())).boxed();
        Ok(LogText { size, stream })
    }

    /// Where the last so many lines begin, or, of none, what comes after all of them.
    async fn tail(&self, attempt: &Attempt, lines: usize) -> Result<Place, LogError> {
        let mut records = self.records(attempt.clone(), false).await?;
        let mut begins = std::collections::VecDeque::new();
        let (mut in_line, mut after) = (false, (0, false));
        while let Some(records) = records.try_next().await? {
            for record in &records {
                after = (record.seq + 1, false);
                if record.is_nothing() {
                    continue;
                }
                // A gap is told on a line of its own.
                if !in_line || matches!(record.text, Text::Gap(_)) {
                    begins.push_back(place(record));
                }
                if begins.len() > lines {
                    begins.pop_front();
                }
                in_line = matches!(record.text, Text::Piece { ended: false, .. });
            }
        }
        Ok(begins.front().copied().unwrap_or(after))
    }

    async fn records(&self, attempt: Attempt, follow: bool) -> Result<Records, LogError> {
        let dirs = self.dirs.as_ref().filter(|_| attempt.log.is_none());
        let Some(dirs) = dirs else { return self.stored(&attempt, None).await };
        let id = ContainerId { install: self.install, job: attempt.job, attempt: attempt.no };
        let dir = dirs.log(&id);
        let live = if follow { Live::open(&dir) } else { Live::snapshot(&dir).await? };
        let reading = Reading { logs: self.clone(), attempt, follow, last: None };
        let records = stream::try_unfold(
            (reading, Source::Live(Box::new(live))),
            |(mut reading, mut source)| async move {
                let records = reading.next(&mut source).await?;
                Ok(records.map(|records| (records, (reading, source))))
            },
        );
        Ok(records.boxed())
    }

    /// The stored log after the record `last`; none stored is an empty one.
    async fn stored(&self, attempt: &Attempt, last: Option<Place>) -> Result<Records, LogError> {
        let Some(log) = &attempt.log else { return Ok(stream::empty().boxed()) };
        let blob = self.blobs.get(&attempt.log_key(log.fence), None).await?;
        let mut lines = Lines::default();
        let records = blob.stream.map_err(LogError::Blob).and_then(move |bytes| {
            lines.push(&bytes);
            let records = whole(&mut lines).map_err(LogError::from);
            futures::future::ready(records)
        });
        let newer = move |record: &LogRecord| last.is_none_or(|last| place(record) > last);
        Ok(records.map_ok(move |records| records.into_iter().filter(newer).collect()).boxed())
    }
}

/// A log that is read while it may be written, stored and removed.
struct Reading {
    logs: Logs,
    attempt: Attempt,
    follow: bool,
    /// The last record that was read.
    last: Option<Place>,
}

enum Source {
    Live(Box<Live>),
    Stored(Records),
}

impl Reading {
    async fn next(&mut self, source: &mut Source) -> Result<Option<Vec<LogRecord>>, LogError> {
        loop {
            let live = match source {
                Source::Stored(records) => return records.try_next().await,
                Source::Live(live) => live,
            };
            let step = match live.next().await? {
                Step::Records(records) if !has_gap(&records) => {
                    return Ok(Some(self.note(records)));
                }
                Step::End if !self.follow && live.is_through() => return Ok(None),
                step => step,
            };
            // The end, a gap, no directory: perhaps because it is stored and being removed.
            self.refresh().await?;
            if self.attempt.log.is_some() {
                *source = Source::Stored(self.logs.stored(&self.attempt, self.last).await?);
                continue;
            }
            match step {
                Step::Records(records) => return Ok(Some(self.note(records))),
                // The log of an attempt that ended may still be written: a cancelled one's container
                // stops after its job did.
                _ if !self.follow || matches!(self.attempt.state, AttemptState::Removed { .. }) => {
                    return Ok(None);
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn note(&mut self, records: Vec<LogRecord>) -> Vec<LogRecord> {
        self.last = records.last().map(place).or(self.last);
        records
    }

    async fn refresh(&mut self) -> Result<(), LogError> {
        let (job, no) = (self.attempt.job, self.attempt.no);
        self.attempt = self.logs.store.attempt(job, no).await?.ok_or(LogError::NoAttempt(no))?;
        Ok(())
    }
}

/// Where a record stands: a gap has the number of the chunk after it.
type Place = (u64, bool);

fn place(record: &LogRecord) -> Place {
    (record.seq, matches!(record.text, Text::Piece { .. }))
}

fn has_gap(records: &[LogRecord]) -> bool {
    records.iter().any(|record| matches!(record.text, Text::Gap(_)))
}

fn whole(lines: &mut Lines) -> std::io::Result<Vec<LogRecord>> {
    let mut records = Vec::new();
    while let Some(line) = lines.next()? {
        records.push(LogRecord::parse(&line).ok_or_else(|| damaged(&line))?);
    }
    Ok(records)
}

/// These bytes of a text alone. What comes after them is not read.
fn slice(
    text: impl stream::Stream<Item = Result<Bytes, LogError>> + Send + 'static,
    range: Range<u64>,
) -> impl stream::Stream<Item = Result<Bytes, LogError>> + Send {
    let text = Box::pin(text);
    stream::try_unfold((text, 0), move |(mut text, mut offset)| {
        let Range { start, end } = range;
        async move {
            while offset < end {
                let Some(bytes) = text.try_next().await? else { break };
                let within = |at: u64| {
                    usize::try_from(at.saturating_sub(offset))
                        .unwrap_or(usize::MAX)
                        .min(bytes.len())
                };
                let part = bytes.slice(within(start)..within(end).max(within(start)));
                offset += bytes.len() as u64;
                if !part.is_empty() {
                    return Ok(Some((part, (text, offset))));
                }
            }
            Ok(None)
        }
    })
}

impl From<std::io::Error> for LogError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

#[cfg(test)]
mod tests;
