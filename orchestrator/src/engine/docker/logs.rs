//! A container's log from Docker: both streams, followed, from any position on.
//!
//! Docker stamps each piece where it reads it, per stream, so that of two pieces the later written
//! may have the earlier time. A position needs times that never fall: a piece gets the latest time
//! so far. To find the same times again a log is read from a little before the position.

use std::sync::Arc;

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::client::{Client, Failure};
use crate::engine::{ContainerId, ContainerState, EngineError, LogChunk, LogPosition, LogStream};

const SECOND: i64 = 1_000_000_000;

/// The log of `id` from `from` on, for as long as the daemon gives it.
pub(super) fn follow(
    client: Arc<Client>,
    id: ContainerId,
    from: LogPosition,
) -> BoxStream<'static, Result<LogChunk, EngineError>> {
    let options = LogsOptions {
        follow: true,
        stdout: true,
        stderr: true,
        timestamps: true,
        // Whole seconds are all it takes. Where they do not fit, the whole log is read.
        since: i32::try_from((from.at / SECOND - 1).max(0)).unwrap_or(0),
        ..LogsOptions::default()
    };
    let outputs = {
        let client = client.clone();
        async move {
            let docker = client.docker().await?;
            Ok::<_, Failure>(docker.logs(&id.to_string(), Some(options)).map_err(Failure::from))
        }
    };
    // A daemon that ends closes its streams as if all had been read.
    let end = async move {
        match client.ask(&id).await {
            Ok(Some(ContainerState::Running)) => {
                Some(Err(Failure::Away("the log broke off".into())))
            }
            Ok(_) => None,
            Err(failure) => Some(Err(failure)),
        }
    };
    let mut reader = Reader { from, latest: 0, skipped: 0 };
    futures::stream::once(outputs)
        .try_flatten()
        .chain(futures::stream::once(end).filter_map(std::future::ready))
        .filter_map(move |output| {
            let read = match output {
                Ok(output) => reader.read(output).transpose(),
                // Gone: there is nothing to read, as with one whose whole log has been read.
                Err(Failure::Answer(404, _)) => None,
                Err(failure) => Some(Err(failure.into())),
            };
            std::future::ready(read)
        })
        .boxed()
}

struct Reader {
    from: LogPosition,
    latest: i64,
    skipped: u32,
}

impl Reader {
    /// A chunk, unless it is before the position.
    fn read(&mut self, output: LogOutput) -> Result<Option<LogChunk>, EngineError> {
        let (stream, message) = match output {
            LogOutput::StdErr { message } => (LogStream::Stderr, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                (LogStream::Stdout, message)
            }
            LogOutput::StdIn { .. } => return Ok(None),
        };
        let (at, bytes) = stamped(&message).ok_or_else(|| {
            EngineError::Unavailable("Docker sent a piece of a log without its time".into())
        })?;
        self.latest = self.latest.max(at);
        if self.latest < self.from.at {
            return Ok(None);
        }
        if self.latest == self.from.at && self.skipped < self.from.skip {
            self.skipped += 1;
            return Ok(None);
        }
        Ok(Some(LogChunk { at: self.latest, stream, bytes }))
    }
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

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn read(from: LogPosition, log: &[&str]) -> Vec<(i64, String)> {
        let mut reader = Reader { from, latest: 0, skipped: 0 };
        log.iter()
            .filter_map(|line| reader.read(out(line)).expect("a chunk"))
            .map(|chunk| (chunk.at, String::from_utf8(chunk.bytes.to_vec()).expect("UTF-8")))
            .collect()
    }

    #[test]
    fn a_log_goes_on_from_any_position_though_its_times_fall() {
        let log = [
            "1970-01-01T00:00:03.000000001Z a\n",
            "1970-01-01T00:00:03.000000005Z b \n",
            "1970-01-01T00:00:03.000000004Z c",
            "1970-01-01T00:00:03.000000005Z d\n",
            "1970-01-01T00:00:03.000000009Z \n",
        ];
        let whole = read(LogPosition::default(), &log);
        let at = |n: i64| 3 * SECOND + n;
        let expected = [(1, "a\n"), (5, "b \n"), (5, "c"), (5, "d\n"), (9, "\n")];
        assert_eq!(whole, expected.map(|(n, text)| (at(n), text.to_owned())));
        let mut position = LogPosition::default();
        for (n, (at, text)) in whole.iter().enumerate() {
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            position = position.after(&LogChunk { at: *at, stream: LogStream::Stdout, bytes });
            assert_eq!(read(position, &log), whole[n + 1..]);
        }
    }

    #[test]
    fn a_piece_without_a_time_is_an_error() {
        let mut reader = Reader { from: LogPosition::default(), latest: 0, skipped: 0 };
        assert!(reader.read(out("no time")).is_err());
        assert!(reader.read(out("")).is_err());
    }
}
