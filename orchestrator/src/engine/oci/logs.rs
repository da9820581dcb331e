//! A container's log, followed while its helper writes it.

use std::{collections::VecDeque, io, time::Duration};

use fileyard_oci::runtime::{
    Place, Status,
    log::{Reader, Record, Stream},
};
use futures::{StreamExt, stream::BoxStream};
use tokio::{sync::watch, time::sleep};

use super::{blocking, trouble, watch::Watch};
use crate::engine::{EngineError, LogChunk, LogPosition, LogStream};

/// How often a log that grows is looked at.
const POLL: Duration = Duration::from_millis(50);
/// So many records are read at once.
const BATCH: usize = 256;

struct Follow {
    place: Place,
    /// Lent to whoever reads.
    reader: Option<Reader>,
    from: LogPosition,
    ready: VecDeque<LogChunk>,
    /// Whether nothing more will be written.
    complete: bool,
    ended: watch::Receiver<()>,
}

/// From `from` on until the container has ended and all is read.
pub(super) fn follow(
    place: Place,
    watch: &Watch,
    from: LogPosition,
) -> BoxStream<'static, Result<LogChunk, EngineError>> {
    let reader = Some(Reader::open(&place.log()));
    let (ready, ended) = (VecDeque::new(), watch.ended());
    let follow = Follow { place, reader, from, ready, complete: false, ended };
    futures::stream::unfold(Some(follow), async |follow| {
        let mut follow = follow?;
        match follow.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(follow))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl Follow {
    async fn next(&mut self) -> Result<Option<LogChunk>, EngineError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            let complete = self.complete;
            self.ended.mark_unchanged();
            let read = self.look().await?;
            if read == 0 && complete {
                return Ok(None);
            }
            if read == 0 && !self.complete {
                tokio::select! {
                    _ = self.ended.changed() => {}
                    () = sleep(POLL) => {}
                }
            }
        }
    }

    /// Whether it has ended, and then what there is to read: in this order, so that what is read
    /// after it had ended is all there will be. How many records there were, also of those that are
    /// left out.
    async fn look(&mut self) -> Result<usize, EngineError> {
        let Some(mut reader) = self.reader.take() else { return Ok(0) };
        let place = self.place.clone();
        let (reader, complete, records) = blocking(move || {
            let status = place.status().map_err(trouble)?;
            let records = some(&mut reader).map_err(trouble)?;
            Ok((reader, !matches!(status, Status::Running(_)), records))
        })
        .await?;
        (self.reader, self.complete) = (Some(reader), complete);
        let read = records.len();
        for record in records {
            self.take(record);
        }
        Ok(read)
    }

    fn take(&mut self, record: Record) {
        if record.at < self.from.at {
            return;
        }
        if record.at == self.from.at && self.from.skip > 0 && !record.is_gap() {
            self.from.skip -= 1;
            return;
        }
        let stream = match record.stream {
            Stream::Stdout => LogStream::Stdout,
            Stream::Stderr => LogStream::Stderr,
        };
        self.ready.push_back(LogChunk { at: record.at, stream, bytes: record.bytes });
    }
}

/// What there is, as far as that is not too much at once.
fn some(reader: &mut Reader) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    while records.len() < BATCH {
        match reader.read() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => break,
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}
