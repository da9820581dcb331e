//! One record of a log, as text and back.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::engine::{LogChunk, LogStream};

/// The longest text of one record; a longer piece becomes several.
pub(super) const MAX_TEXT: usize = 64 * 1024;
/// No line of ours is longer: the text, and what stands before it.
const MAX_LINE: usize = MAX_TEXT + 256;
/// What a record counts for at least, so that a log of empty lines is bounded too.
const MIN_WEIGHT: u64 = 32;

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When, in nanoseconds since 1970 by the engine's clock.
    pub at: i64,
    /// The number of its chunk, from 0 on without a gap but where [`Text::Gap`] says so.
    pub seq: u64,
    /// What it says.
    pub text: Text,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// A container wrote it.
    Piece {
        /// Where to.
        stream: LogStream,
        /// Without the newline that may end it.
        bytes: Bytes,
        /// Whether a newline ends it.
        ended: bool,
        /// Whether the next record is of the same chunk.
        goes_on: bool,
    },
    /// Here something is missing: so many bytes of bare text, or nobody knows how many.
    Gap(Option<u64>),
}

impl LogRecord {
    /// The records of a chunk, in order: one, unless it is long or holds several lines.
    pub(super) fn of(chunk: &LogChunk, seq: u64) -> Vec<Self> {
        let mut rest = chunk.bytes.clone();
        let mut records = Vec::with_capacity(1);
        loop {
            let window = &rest[..rest.len().min(MAX_TEXT)];
            let newline = window.iter().position(|byte| *byte == b'\n');
            let bytes = rest.split_to(newline.unwrap_or(window.len()));
            let ended = newline.is_some();
            rest.advance(usize::from(ended));
            let (stream, goes_on) = (chunk.stream, !rest.is_empty());
            records.push(Self {
                at: chunk.at,
                seq,
                text: Text::Piece { stream, bytes, ended, goes_on },
            });
            if !goes_on {
                return records;
            }
        }
    }

    /// How many bytes of bare text it stands for. A gap stands for none.
    pub(super) fn text_len(&self) -> u64 {
        match &self.text {
            Text::Piece { bytes, ended, .. } => bytes.len() as u64 + u64::from(*ended),
            Text::Gap(_) => 0,
        }
    }

    /// Whether it stands for no text and for no gap: an engine may say so little.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(&self.text, Text::Piece { bytes, ended: false, .. } if bytes.is_empty())
    }

    /// What it counts for against the bounds.
    pub(super) fn weight(&self) -> u64 {
        self.text_len().max(MIN_WEIGHT)
    }

    /// Whether the next record is of the same chunk.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.text, Text::Piece { goes_on: true, .. })
    }

    /// Appends its line.
    pub(super) fn write_to(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(time(self.at).as_bytes());
        line.extend_from_slice(format!(" {} ", self.seq).as_bytes());
        match &self.text {
            Text::Piece { stream, bytes, ended, goes_on } => {
                line.push(if *stream == LogStream::Stdout { b'o' } else { b'e' });
                line.extend_from_slice(if *ended { b"" } else { b"-" });
                line.extend_from_slice(if *goes_on { b"+ " } else { b" " });
                line.extend_from_slice(bytes);
            }
            Text::Gap(Some(missing)) => {
                line.extend_from_slice(format!("x {missing}").as_bytes());
            }
            Text::Gap(None) => line.extend_from_slice(b"x ?"),
        }
        line.push(b'\n');
    }

    /// Reads a line, which comes without its newline.
    pub(super) fn parse(line: &Bytes) -> Option<Self> {
        let (at, rest) = field(line)?;
        let (seq, rest) = field(&rest)?;
        let (flags, text) = field(&rest)?;
        let at: jiff::Timestamp = std::str::from_utf8(&at).ok()?.parse().ok()?;
        let text = match (flags.first()?, &flags[1..]) {
            (b'x', b"") if text[..] == *b"?" => Text::Gap(None),
            (b'x', b"") => Text::Gap(Some(number(&text)?)),
            (stream @ (b'o' | b'e'), more) => {
                let stream = if *stream == b'o' { LogStream::Stdout } else { LogStream::Stderr };
                let (ended, goes_on) = match more {
                    b"" => (true, false),
                    b"-" => (false, false),
                    b"+" => (true, true),
                    b"-+" => (false, true),
                    _ => return None,
                };
                Text::Piece { stream, bytes: text, ended, goes_on }
            }
            _ => return None,
        };
        let at = i64::try_from(at.as_nanosecond()).ok()?;
        Some(Self { at, seq: number(&seq)?, text })
    }
}

/// RFC 3339 with nine decimals.
pub(super) fn time(at: i64) -> String {
    match jiff::Timestamp::from_nanosecond(at.into()) {
        Ok(at) => format!("{at:.9}"),
        Err(_) => unreachable!("64 bits of nanoseconds end in the year 2262"),
    }
}

/// Cuts bytes into lines as they come, and keeps what is not a whole line yet.
#[derive(Debug, Default)]
pub(super) struct Lines(BytesMut);

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.0.iter().take(MAX_LINE).position(|byte| *byte == b'\n') {
            Some(end) => {
                let line = self.0.split_to(end).freeze();
                self.0.advance(1);
                Ok(Some(line))
            }
            None if self.0.len() >= MAX_LINE => Err(damaged(&self.0[..64])),
            None => Ok(None),
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn damaged(line: &[u8]) -> io::Error {
    let shown = line[..line.len().min(64)].escape_ascii();
    io::Error::new(io::ErrorKind::InvalidData, format!("no record of a log: {shown}"))
}

fn field(line: &Bytes) -> Option<(Bytes, Bytes)> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    Some((line.slice(..end), line.slice(end + 1..)))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn chunk(bytes: &[u8]) -> LogChunk {
        let bytes = Bytes::copy_from_slice(bytes);
        LogChunk { at: 1_767_323_045_678_901_234, stream: LogStream::Stderr, bytes }
    }

    fn lines(chunk: &LogChunk) -> String {
        let mut text = Vec::new();
        LogRecord::of(chunk, 17).iter().for_each(|record| record.write_to(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn a_record_is_a_line_that_a_person_can_read() {
        let at = "2026-01-02T03:04:05.678901234Z 17";
        assert_eq!(lines(&chunk(b"a b\r\n")), format!("{at} e a b\r\n"));
        assert_eq!(lines(&chunk(b"a b")), format!("{at} e- a b\n"));
        assert_eq!(lines(&chunk(b"\n")), format!("{at} e \n"));
        assert_eq!(lines(&chunk(b"")), format!("{at} e- \n"));
        assert_eq!(lines(&chunk(b"a\nb")), format!("{at} e+ a\n{at} e- b\n"));
    }

    #[test]
    fn what_is_no_record_is_not_read_as_one() {
        for line in [
            "",
            "x",
            "2026-01-02T03:04:05Z 1 z a",
            "2026-01-02T03:04:05Z 1 o",
            "never 1 o a",
            "2026-01-02T03:04:05Z -1 o a",
            "2026-01-02T03:04:05Z 1 x many",
            "2026-01-02T03:04:05Z 1 o* a",
        ] {
            assert_eq!(LogRecord::parse(&Bytes::copy_from_slice(line.as_bytes())), None, "{line}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_held_for_ever() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(lines.next().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn records_stand_for_exactly_what_was_written(
            bytes in prop_oneof![
                prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
                prop::collection::vec(Just(b'x'), MAX_TEXT - 2..MAX_TEXT * 2 + 2),
            ],
            at in any::<i64>(),
        ) {
            let chunk = LogChunk { at, stream: LogStream::Stdout, bytes: bytes.clone().into() };
            let records = LogRecord::of(&chunk, 5);
            let (last, others) = records.split_last().unwrap();
            prop_assert!(!last.goes_on() && others.iter().all(LogRecord::goes_on));
            let mut text = Vec::new();
            records.iter().for_each(|record| record.write_to(&mut text));
            let mut read = Lines::default();
            read.push(&text);
            let mut bare = Vec::new();
            for record in &records {
                let line = read.next().unwrap().unwrap();
                prop_assert!(LogRecord::parse(&line).as_ref() == Some(record));
                if let Text::Piece { bytes, ended, .. } = &record.text {
                    bare.extend_from_slice(bytes);
                    bare.extend_from_slice(if *ended { b"\n" } else { b"" });
                }
            }
            prop_assert!(read.next().unwrap().is_none());
            prop_assert_eq!(bare, bytes);
        }
    }
}
