//! A container's log from Docker: both streams, followed, from any position on.
//!
//! Docker stamps each piece where it reads it, per stream, so that of two pieces the later written
//! may have the earlier time. A position needs times that never fall: a piece gets the latest time
//! so far. To find the same times again a log is read from a little before the position.
//!
//! Docker keeps two files of a log. Who follows it more slowly than it is written loses whole files
//! in between, and sometimes the end, without a word (seen with 20.10). So the end is read once
//! more, and what may be missing is said, as a gap.

use std::{collections::VecDeque, sync::Arc};

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::client::{Client, Failure};
use crate::engine::{ContainerId, ContainerState, EngineError, LogChunk, LogPosition, LogStream};

const SECOND: i64 = 1_000_000_000;
/// Nothing is lost before one of Docker's files is full (`spec::LOG_FILE`), which this is not yet.
const SAFE: usize = 30 << 20;
/// What Docker writes around each piece, about.
const AROUND: usize = 80;
/// A whole file is not written in less, in nanoseconds.
const FILE_TIME: i64 = SECOND / 20;

/// The log of `id` from `from` on, to its end. One that is gone has none.
pub(super) fn follow(
    client: Arc<Client>,
    id: ContainerId,
    from: LogPosition,
) -> BoxStream<'static, Result<LogChunk, EngineError>> {
    let reader = Reader::new(from);
    let pieces = open(client.clone(), id, from, true);
    let log = Log { client, id, reader, pieces, stage: Stage::Following };
    futures::stream::unfold(log, async |mut log| {
        let chunk = log.next().await?;
        Some((chunk, log))
    })
    .boxed()
}

type Pieces = BoxStream<'static, Result<LogOutput, Failure>>;

fn open(client: Arc<Client>, id: ContainerId, from: LogPosition, follow: bool) -> Pieces {
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        timestamps: true,
        // Whole seconds are all it takes. Where they do not fit, the whole log is read.
        since: i32::try_from((from.at / SECOND - 1).max(0)).unwrap_or(0),
        ..LogsOptions::default()
    };
    let pieces = async move {
        let docker = client.docker().await?;
        Ok::<_, Failure>(docker.logs(&id.to_string(), Some(options)).map_err(Failure::from))
    };
    futures::stream::once(pieces).try_flatten().boxed()
}

struct Log {
    client: Arc<Client>,
    id: ContainerId,
    reader: Reader,
    pieces: Pieces,
    stage: Stage,
}

enum Stage {
    Following,
    ReadingTheEnd,
    Over,
}

impl Log {
    async fn next(&mut self) -> Option<Result<LogChunk, EngineError>> {
        loop {
            if let Some(chunk) = self.reader.ready.pop_front() {
                return Some(Ok(chunk));
            }
            if matches!(self.stage, Stage::Over) {
                return None;
            }
            let done = match self.pieces.next().await {
                Some(Ok(piece)) => self.reader.read(piece, now()),
                Some(Err(Failure::Answer(404, _))) => return None,
                Some(Err(failure)) => Err(failure),
                None => self.ended().await,
            };
            if let Err(failure) = done {
                self.stage = Stage::Over;
                return Some(Err(failure.into()));
            }
        }
    }

    /// A daemon that ends closes its streams as if all had been read.
    async fn ended(&mut self) -> Result<(), Failure> {
        let exited = match self.client.ask(&self.id).await? {
            Some(ContainerState::Running) => {
                return Err(Failure::Away("the log broke off".into()));
            }
            Some(ContainerState::Exited(_)) => true,
            Some(ContainerState::Created) | None => false,
        };
        if exited && matches!(self.stage, Stage::Following) {
            let position = self.reader.position;
            self.pieces = open(self.client.clone(), self.id, position, false);
            self.reader = Reader::new(position);
            self.stage = Stage::ReadingTheEnd;
        } else {
            self.stage = Stage::Over;
        }
        Ok(())
    }
}

/// Makes chunks of pieces.
struct Reader {
    /// From where on: what is before it is skipped.
    from: LogPosition,
    /// How many of the pieces that `from` skips by number were seen.
    skipped: u32,
    /// Up to where.
    position: LogPosition,
    /// The latest time of a piece.
    latest: i64,
    /// How far behind the last piece was when it was read.
    lag: i64,
    /// How much Docker has written for what was read, about.
    volume: usize,
    ready: VecDeque<LogChunk>,
}

impl Reader {
    fn new(from: LogPosition) -> Self {
        Self {
            from,
            skipped: 0,
            position: from,
            latest: 0,
            lag: 0,
            volume: 0,
            ready: VecDeque::new(),
        }
    }

    fn read(&mut self, piece: LogOutput, now: i64) -> Result<(), Failure> {
        let (stream, message) = match piece {
            LogOutput::StdErr { message } => (LogStream::Stderr, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                (LogStream::Stdout, message)
            }
            LogOutput::StdIn { .. } => return Ok(()),
        };
        let (at, bytes) = stamped(&message)
            .ok_or_else(|| Failure::Away("Docker sent a piece of a log without its time".into()))?;
        let jump = if self.latest == 0 { 0 } else { at - self.latest };
        self.latest = self.latest.max(at);
        let lagged = std::mem::replace(&mut self.lag, now - at);
        self.volume += bytes.len() + AROUND;

        if self.latest < self.from.at {
            return Ok(());
        }
        if self.latest == self.from.at && self.skipped < self.from.skip {
            self.skipped += 1;
            return Ok(());
        }
        // What stood right before the position is not there any more,
        let cut = std::mem::replace(&mut self.skipped, self.from.skip) < self.from.skip;
        // or a whole file may have come and gone between this piece and the last.
        let missed = self.volume > SAFE && jump > FILE_TIME && lagged > FILE_TIME;
        if cut || missed {
            self.ready.push_back(LogChunk::gap(self.latest));
        }
        let chunk = LogChunk { at: self.latest, stream, bytes };
        self.position = self.position.after(&chunk);
        self.ready.push_back(chunk);
        Ok(())
    }
}

fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// A piece's time, in nanoseconds, and what follows it.
fn stamped(message: &Bytes) -> Option<(i64, Bytes)> {
    let end = message.iter().position(|byte| *byte == b' ')?;
    let at: jiff::Timestamp = std::str::from_utf8(&message[..end]).ok()?.parse().ok()?;
    Some((i64::try_from(at.as_nanosecond()).ok()?, message.slice(end + 1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &str = "1970-01-01T00:00:0";

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn read(from: LogPosition, log: &[String], now: i64) -> Vec<LogChunk> {
        let mut reader = Reader::new(from);
        for line in log {
            reader.read(out(line), now).expect("a piece");
        }
        reader.ready.into()
    }

    #[test]
    fn a_log_goes_on_from_any_position_though_its_times_fall() {
        let log = [(1, "a\n"), (5, "b \n"), (4, "c"), (5, "d\n"), (9, "\n")];
        let log = log.map(|(n, text)| format!("{T}3.00000000{n}Z {text}"));
        let whole = read(LogPosition::default(), &log, 0);
        let found: Vec<_> = whole.iter().map(|it| (it.at - 3 * SECOND, &it.bytes[..])).collect();
        let expected: [(i64, &[u8]); 5] =
            [(1, b"a\n"), (5, b"b \n"), (5, b"c"), (5, b"d\n"), (9, b"\n")];
        assert_eq!(found, expected);
        let mut position = LogPosition::default();
        for (n, chunk) in whole.iter().enumerate() {
            position = position.after(chunk);
            assert_eq!(read(position, &log, 0), whole[n + 1..]);
        }
    }

    #[test]
    fn a_position_that_was_rotated_away_is_a_gap() {
        let log = [format!("{T}5Z later\n")];
        let chunks = read(LogPosition { at: 3 * SECOND, skip: 1 }, &log, 0);
        assert!(chunks[0].is_gap() && !chunks[1].is_gap() && chunks.len() == 2, "{chunks:?}");
        assert_eq!(chunks[1].bytes, "later\n");
    }

    #[test]
    fn a_jump_in_a_large_log_that_was_read_late_may_be_a_gap() {
        let large = format!("{T}1Z {}\n", "x".repeat(SAFE));
        let log = [large.clone(), format!("{T}2Z later\n")];
        let gaps = |log: &[String], now| {
            read(LogPosition::default(), log, now).iter().filter(|it| it.is_gap()).count()
        };
        assert_eq!(gaps(&log, 9 * SECOND), 1, "large and late");
        assert_eq!(gaps(&log, SECOND), 0, "in time");
        assert_eq!(gaps(&[format!("{T}1Z x\n"), log[1].clone()], 9 * SECOND), 0, "small");
        assert_eq!(gaps(&[large.clone(), large], 9 * SECOND), 0, "without a jump");
    }

    #[test]
    fn a_piece_without_a_time_is_an_error() {
        for text in ["no time", "", "1970 "] {
            assert!(Reader::new(LogPosition::default()).read(out(text), 0).is_err(), "{text}");
        }
    }
}
