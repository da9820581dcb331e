//! A log as text for a person: bare, or each line with its time, number and stream.

use super::record::{LogRecord, Text, time};
use crate::engine::LogStream;

/// Turns records into text, in their order.
#[derive(Debug)]
pub(super) struct Renderer {
    timestamps: bool,
    /// Of the line that is not ended yet.
    open: Option<LogStream>,
}

impl Renderer {
    pub(super) fn new(timestamps: bool) -> Self {
        Self { timestamps, open: None }
    }

    pub(super) fn render(&mut self, record: &LogRecord, text: &mut Vec<u8>) {
        if record.is_nothing() {
            return;
        }
        match &record.text {
            Text::Piece { stream, bytes, ended, .. } => {
                if self.timestamps {
                    self.begin(record, *stream, text);
                }
                text.extend_from_slice(bytes);
                text.extend_from_slice(if *ended { b"\n" } else { b"" });
                self.open = (!ended).then_some(*stream);
            }
            Text::Gap(missing) => {
                if self.open.take().is_some() {
                    text.push(b'\n');
                }
                text.extend_from_slice(words(*missing).as_bytes());
            }
        }
    }

    /// What stands before a line; a piece of the same line goes on without it.
    fn begin(&self, record: &LogRecord, stream: LogStream, text: &mut Vec<u8>) {
        if self.open == Some(stream) {
            return;
        }
        if self.open.is_some() {
            text.push(b'\n');
        }
        let name = if stream == LogStream::Stdout { "stdout" } else { "stderr" };
        text.extend_from_slice(format!("{} {} {name} ", time(record.at), record.seq).as_bytes());
    }
}

fn words(missing: Option<u64>) -> String {
    match missing {
        Some(bytes) => format!("[fileyard: {bytes} bytes of this log were dropped here]\n"),
        None => "[fileyard: some of this log was lost here before it could be kept]\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn rendered(timestamps: bool) -> String {
        let (out, err) = (LogStream::Stdout, LogStream::Stderr);
        let pieces = [
            (out, "one", true),
            (out, "tw", false),
            (out, "o", true),
            (err, "", false),
            (err, "thr", false),
            (out, "four", false),
        ];
        let mut renderer = Renderer::new(timestamps);
        let mut text = Vec::new();
        let mut seq = 0;
        for (stream, piece, ended) in pieces {
            let bytes = Bytes::from_static(piece.as_bytes());
            let piece = Text::Piece { stream, bytes, ended, goes_on: false };
            renderer.render(&LogRecord { at: 1, seq, text: piece }, &mut text);
            seq += 1;
        }
        for missing in [Some(7), None] {
            renderer.render(&LogRecord { at: 1, seq, text: Text::Gap(missing) }, &mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn bare_text_is_what_was_written_and_says_what_is_missing() {
        insta::assert_snapshot!(rendered(false));
    }

    #[test]
    fn with_timestamps_each_line_has_its_own() {
        insta::assert_snapshot!(rendered(true));
    }
}
