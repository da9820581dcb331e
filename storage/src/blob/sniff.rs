//! What kind of content a blob is: by its first bytes, then by its name.

use std::mem;

/// At most this much is looked at for being text, and no less of what is longer.
const LOOK: usize = 64 << 10;

/// Looks at the first bytes of a blob, however they arrive.
#[derive(Debug, Default)]
pub(super) struct Sniffer {
    /// What came, while it is too little.
    head: Vec<u8>,
    kind: Option<Option<&'static str>>,
}

impl Sniffer {
    pub(super) fn see(&mut self, bytes: &[u8]) {
        if self.kind.is_some() {
            return;
        }
        if self.head.is_empty() && bytes.len() >= LOOK {
            self.kind = Some(sniff(&bytes[..LOOK]));
            return;
        }
        self.head.extend_from_slice(&bytes[..bytes.len().min(LOOK - self.head.len())]);
        if self.head.len() == LOOK {
            self.kind = Some(sniff(&mem::take(&mut self.head)));
        }
    }

    /// The kind of content, once enough of it is there to tell; `None` inside: of no known kind.
    pub(super) fn kind(&self) -> Option<Option<&'static str>> {
        self.kind
    }

    /// The kind of content, now that there is no more.
    pub(super) fn end(self) -> Option<&'static str> {
        self.kind.unwrap_or_else(|| sniff(&self.head))
    }
}

/// The kind of content that begins with `head`, if it is of a known kind.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
    let known = infer::get(head).map(|kind| kind.mime_type());
    if is_text(&head[..head.len().min(LOOK)]) {
        // Some signatures are two letters, and a text may well begin with them ("BM", "MZ").
        return Some(match known {
            Some(kind) if is_textual(kind) || WRITTEN_AS_TEXT.contains(&kind) => kind,
            _ => "text/plain",
        });
    }
    known
}

/// The content type of a file: what its content is `sniffed` to be, made finer by the extension
/// where the content leaves that open; by the extension where the content says nothing; else
/// `application/octet-stream`.
#[must_use]
pub fn content_type(sniffed: Option<&str>, name: &str) -> String {
    let by_name = name
        .rsplit_once('.')
        .and_then(|(_, extension)| mime_guess::from_ext(extension).first_raw());
    match (sniffed, by_name) {
        (Some("text/plain" | "text/xml"), Some(finer)) if is_textual(finer) => finer,
        (Some("application/zip"), Some(finer)) if is_zipped(finer) => finer,
        (Some("application/x-ole-storage"), Some(finer)) if is_office(finer) => finer,
        (Some(sniffed), _) => sniffed,
        (None, Some(by_name)) => by_name,
        (None, None) => "application/octet-stream",
    }
    .to_owned()
}

/// Formats with a signature whose files may hold nothing but printable characters.
const WRITTEN_AS_TEXT: [&str; 3] = ["application/pdf", "application/postscript", "application/rtf"];

/// Text of some kind, whatever family it is registered in.
fn is_textual(kind: &str) -> bool {
    const OTHERS: [&str; 9] = [
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/x-sh",
        "application/x-subrip",
        "application/x-tex",
        "application/xml",
    ];
    kind.starts_with("text/")
        || kind.ends_with("+xml")
        || kind.ends_with("+json")
        || kind.ends_with("yaml")
        || OTHERS.contains(&kind)
}

fn is_zipped(kind: &str) -> bool {
    kind.ends_with("+zip")
        || kind == "application/java-archive"
        || kind.starts_with("application/vnd.")
}

fn is_office(kind: &str) -> bool {
    kind == "application/msword" || kind.starts_with("application/vnd.ms-")
}

/// Whether this reads as text: UTF-8 or a one-byte encoding without control characters, or UTF-16
/// that says so.
fn is_text(head: &[u8]) -> bool {
    if head.is_empty() {
        return false;
    }
    if let [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] = head {
        return rest.len() >= 2 && rest.chunks(2).any(|unit| unit.contains(&0));
    }
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if head.iter().any(|b| control(b) || *b == 0x7f) {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => true,
        // Only the last character is cut.
        Err(error) if error.error_len().is_none() => true,
        // An older encoding is mostly ASCII with some letters above it.
        Err(_) => head.iter().filter(|b| b.is_ascii()).count() * 10 >= head.len() * 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(head: &[u8], name: &str) -> String {
        content_type(sniff(head), name)
    }

    #[test]
    fn content_comes_before_the_name() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(of(png, "a.txt"), "image/png");
        assert_eq!(of(png, "a"), "image/png");
        let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 64]].concat();
        assert_eq!(of(&elf, "a.png"), "application/x-executable");
        assert_eq!(
            of(b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23matroska", "a.mkv"),
            "video/x-matroska"
        );
        assert_eq!(of(b"%PDF-1.7\n%text only\n", "a.bin"), "application/pdf");
        assert_eq!(of(b"PK\x03\x04\x14\0\0\0\0\0", "a.bin"), "application/zip");
    }

    #[test]
    fn the_name_makes_text_finer() {
        for (name, kind) in [
            ("a.csv", "text/csv"),
            ("a.json", "application/json"),
            ("a.md", "text/markdown"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "text/plain"),
            ("a", "text/plain"),
            ("a.CSV", "text/csv"),
        ] {
            assert_eq!(of("naïve, text\n".as_bytes(), name), kind, "{name}");
        }
        assert_eq!(of(b"PK\x03\x04\x14\0\0\0\0\0", "a.epub"), "application/epub+zip");
        assert_eq!(of(b"<?xml version=\"1.0\"?><svg/>", "a.svg"), "image/svg+xml");
        assert_eq!(of(b"<?xml version=\"1.0\"?><svg/>", "a"), "text/xml");
    }

    #[test]
    fn a_text_that_begins_like_a_picture_is_a_text() {
        for text in ["BMW is a make of car\n", "MZ is two letters\n", "ID3 was a tag\n"] {
            assert_eq!(of(text.as_bytes(), "a.txt"), "text/plain", "{text}");
        }
    }

    #[test]
    fn text_is_told_from_bytes() {
        assert_eq!(of(b"caf\xe9;cr\xe8me\n", "a.csv"), "text/csv");
        assert_eq!(of(b"\xff\xfea\0b\0", "a.txt"), "text/plain");
        assert_eq!(of(&"ü".repeat(9).as_bytes()[..17], "a.txt"), "text/plain");
        assert_eq!(of(b"\x00\x01\x02", "a"), "application/octet-stream");
        assert_eq!(of(b"\x00\x01\x02", "a.bin"), "application/octet-stream");
        assert_eq!(of(b"", "a.txt"), "text/plain");
        assert_eq!(of(b"", "a"), "application/octet-stream");
        assert_eq!(of(b"\xff\xfe\xfd\xfc", "a"), "application/octet-stream");
    }
}
