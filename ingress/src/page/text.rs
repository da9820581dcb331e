//! Sizes, times and spans as people read them.

use std::{fmt::Write, time::Duration};

use fileyard_storage::clock::Timestamp;

/// A moment: for programs, and for people until the script puts it into their time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) text: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp) -> Self {
        let iso = at.to_string();
        let text = match (iso.get(..10), iso.get(11..19)) {
            (Some(day), Some(time)) => format!("{day} {time} UTC"),
            _ => iso.clone(),
        };
        Self { iso, text }
    }
}

/// `1.4 MiB`: three digits are plenty.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return if bytes == 1 { "1 byte".into() } else { format!("{bytes} bytes") };
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    format!("{} {}", text.trim_end_matches(".0"), UNITS[unit])
}

/// `0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min`.
pub(super) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (big, small) = match seconds {
        0..10 => {
            let text = format!("{:.1}", span.as_secs_f64());
            return format!("{} s", text.trim_end_matches(".0"));
        }
        10..60 => ((seconds, "s"), (0, "")),
        60..3600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3600..86400 => ((seconds / 3600, "h"), (seconds / 60 % 60, "min")),
        _ => ((seconds / 86400, "d"), (seconds / 3600 % 24, "h")),
    };
    let mut text = format!("{} {}", big.0, big.1);
    if small.0 > 0 {
        let _ = write!(text, " {} {}", small.0, small.1);
    }
    text
}

/// A log as a page can show it: without colours and other control codes, which a terminal eats.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                // Parameters, then one final letter.
                while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                chars.next_if(|c| matches!(c, '@'..='~'));
            }
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1 MiB"),
            (150 * 1024 * 1024, "150 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn spans_read_well() {
        for (ms, text) in [
            (0, "0 s"),
            (432, "0.4 s"),
            (9_960, "10 s"),
            (59_900, "59 s"),
            (60_000, "1 min"),
            (184_000, "3 min 4 s"),
            (7_500_000, "2 h 5 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_log_loses_its_colours_and_nothing_else() {
        assert_eq!(printable(b"\x1b[1;31mred\x1b[0m\tx\r\ny\x07\xff"), "red\tx\ny\u{fffd}");
        assert_eq!(printable("a\u{1b}[".as_bytes()), "a");
        assert_eq!(printable(b"10%\r20%"), "10%\n20%");
    }
}
