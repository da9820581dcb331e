//! A line of standard output that says how far its program is.

use fileyard_storage::job::Progress;

const MARK: &[u8] = b"fileyard:progress ";
const MAX_MESSAGE: usize = 200;

/// What a line `fileyard:progress 0.4 resizing` says; `None` for any other line.
///
/// The fraction is clamped to 0 and 1; one that is not a finite number makes it any other line.
/// The message is cut at 200 characters and loses its control characters.
#[must_use]
pub fn progress(line: &[u8]) -> Option<Progress> {
    said(&String::from_utf8_lossy(line.strip_prefix(MARK)?))
}

/// What a report says that was sent: JSON with `fraction` and perhaps `message`, or what such a
/// line says, with or without its mark.
#[must_use]
pub(super) fn report(report: &[u8]) -> Option<Progress> {
    #[derive(serde::Deserialize)]
    struct Report {
        fraction: f64,
        message: Option<String>,
    }
    let report = report.trim_ascii();
    if report.starts_with(b"{") {
        let Report { fraction, message } = serde_json::from_slice(report).ok()?;
        return Some(of(fraction, message.as_deref().unwrap_or_default()));
    }
    said(&String::from_utf8_lossy(report.strip_prefix(MARK).unwrap_or(report)))
}

fn said(said: &str) -> Option<Progress> {
    let said = said.trim();
    let (fraction, message) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
    let fraction: f64 = fraction.parse().ok().filter(|fraction: &f64| fraction.is_finite())?;
    Some(of(fraction, message))
}

fn of(fraction: f64, message: &str) -> Progress {
    let message: String = message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
    let message = message.trim();
    Progress {
        // In range after the clamp: a cast of a float saturates besides.
        permille: (fraction.clamp(0.0, 1.0) * 1000.0).round() as u16,
        message: (!message.is_empty()).then(|| message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &[u8]) -> Option<(u16, Option<String>)> {
        progress(line).map(|progress| (progress.permille, progress.message))
    }

    #[test]
    fn a_progress_line_is_read() {
        let some = |permille, message: &str| Some((permille, Some(message.to_owned())));
        assert_eq!(line(b"fileyard:progress 0.4 resizing\n"), some(400, "resizing"));
        assert_eq!(line(b"fileyard:progress 1\r\n"), Some((1000, None)));
        assert_eq!(line(b"fileyard:progress 0.1236   two  words "), some(124, "two  words"));
        assert_eq!(line(b"fileyard:progress 7 over"), some(1000, "over"));
        assert_eq!(line(b"fileyard:progress -1"), Some((0, None)));
        assert_eq!(line(b"fileyard:progress .5 a\x1b[31mb\x07"), some(500, "a[31mb"));
        assert_eq!(line(b"fileyard:progress 0.5 \xff"), some(500, "\u{fffd}"));
    }

    #[test]
    fn other_lines_are_other_lines() {
        for line in [
            &b""[..],
            b"fileyard:progress",
            b"fileyard:progress ",
            b"fileyard:progress NaN x",
            b"fileyard:progress inf",
            b"fileyard:progress 40% x",
            b"fileyard:progress half",
            b" fileyard:progress 0.4",
            b"fileyard:progresso 0.4",
        ] {
            assert_eq!(progress(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_report_is_json_or_such_a_line() {
        let of = |text: &str| report(text.as_bytes()).map(|said| (said.permille, said.message));
        let some = |permille, message: &str| Some((permille, Some(message.to_owned())));
        let json = r#" {"fraction": 0.4, "message": "re\u0000sizing", "more": 1} "#;
        assert_eq!(of(json), some(400, "resizing"));
        assert_eq!(of(r#"{"fraction": 7}"#), Some((1000, None)));
        assert_eq!(of("0.4 resizing\n"), some(400, "resizing"));
        assert_eq!(of("fileyard:progress 0.4 resizing"), some(400, "resizing"));
        for wrong in
            ["", "{}", "{\"fraction\": \"x\"}", "resizing", "[0.4]", "{\"fraction\": 1e999}"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_message_is_cut_at_200_characters() {
        let line = format!("fileyard:progress 0 {}", "ü".repeat(100_000));
        let message = progress(line.as_bytes()).and_then(|progress| progress.message);
        assert_eq!(message, Some("ü".repeat(200)));
    }
}
