//! What a part says of itself: its field's name and its file's name, as browsers and curl write
//! them. File names are data for display: nothing here ever makes a path of one.

use percent_encoding::percent_decode;

use super::charset::Charset;

/// How much of a file's name is kept, in bytes.
const MAX_NAME: usize = 1024;

/// A part's `Content-Disposition`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disposition {
    /// The field.
    pub(crate) name: String,
    /// As it was sent; empty when the sender chose no file, `None` when it is no file's part.
    pub(crate) filename: Option<String>,
    /// The encoding that the part says its content is in.
    pub(crate) charset: Option<Charset>,
    /// The part's own `Content-Digest`, as it was sent.
    pub(crate) digest: Option<Vec<u8>>,
}

impl Disposition {
    /// Reads the lines of a part's header, whose names are in `charset` where they are not UTF-8.
    /// `None` when they name no field.
    #[must_use]
    pub(crate) fn parse(header: &[u8], charset: Charset) -> Option<Self> {
        let value = value_of(header, "content-disposition")?;
        let (kind, params) = split_once(&value, b';').unwrap_or((&value, b""));
        if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let (mut name, mut filename, mut extended) = (None, None, None);
        for (key, value) in Params(params) {
            let value = value?;
            match key.to_ascii_lowercase().as_slice() {
                b"name" if name.is_none() => name = Some(unescaped(value)),
                b"filename" if filename.is_none() => filename = Some(unescaped(value)),
                b"filename*" if extended.is_none() => extended = extended_value(value),
                _ => {}
            }
        }
        let text = |bytes: Vec<u8>| charset.name(&bytes).into_owned();
        let filename = extended.filter(|name| !name.is_empty()).or(filename.map(text));
        let digest = value_of(header, "content-digest");
        Some(Self { name: text(name?), filename, charset: charset_of(header), digest })
    }
}

/// The `charset` of a part's `Content-Type`.
fn charset_of(header: &[u8]) -> Option<Charset> {
    let value = value_of(header, "content-type")?;
    let (_, params) = split_once(&value, b';')?;
    let (_, label) = Params(params).find(|(key, _)| key.eq_ignore_ascii_case(b"charset"))?;
    Charset::named(label?)
}

/// The boundary in a `Content-Type: multipart/form-data`; `None` when it is none, or has none that
/// the standard allows.
#[must_use]
pub(crate) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let (kind, params) = split_once(content_type, b';')?;
    if !kind.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    let mut named = Params(params).filter(|(key, _)| key.eq_ignore_ascii_case(b"boundary"));
    // Of two, whoever looked at this before us may have taken the other.
    let ((_, value), None) = (named.next()?, named.next()) else { return None };
    value.filter(|boundary| (1..=70).contains(&boundary.len())).map(<[u8]>::to_vec)
}

/// A file's name as it is kept: UTF-8 (lossy), without NUL, at most 1,024 bytes, never empty.
#[must_use]
pub(crate) fn display_name(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|end| name.is_char_boundary(*end));
    match &name[..end.unwrap_or(0)] {
        "" => "unnamed".into(),
        name => name.into(),
    }
}

/// A header's value, with folded lines put together.
fn value_of(header: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut value: Option<Vec<u8>> = None;
    for line in lines(header) {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some(value) = &mut value {
                value.extend_from_slice(line);
            }
            continue;
        }
        if value.is_some() {
            break;
        }
        if let Some((name, rest)) = split_once(line, b':')
            && name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
        {
            value = Some(rest.to_vec());
        }
    }
    value
}

fn lines(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memmem::find(text, b"\r\n") {
            Some(end) => {
                rest = Some(&text[end + 2..]);
                Some(&text[..end])
            }
            None => rest.take(),
        }
    })
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = memchr::memchr(at, text)?;
    Some((&text[..index], &text[index + 1..]))
}

/// `; key=value; key="value"`: the value is `None` where a quote does not end.
struct Params<'a>(&'a [u8]);

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.0.trim_ascii_start();
            if text.is_empty() {
                return None;
            }
            let end =
                text.iter().position(|byte| matches!(byte, b';' | b'=')).unwrap_or(text.len());
            let key = text[..end].trim_ascii();
            if text.get(end) != Some(&b'=') {
                // A word without a value.
                self.0 = text.get(end + 1..).unwrap_or_default();
                continue;
            }
            let value = text[end + 1..].trim_ascii_start();
            let Some(quoted) = value.strip_prefix(b"\"") else {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                self.0 = value.get(end + 1..).unwrap_or_default();
                return Some((key, Some(value[..end].trim_ascii())));
            };
            let Some(end) = closing_quote(quoted) else {
                self.0 = b"";
                return Some((key, None));
            };
            let rest = &quoted[end + 1..];
            let next = memchr::memchr(b';', rest).map_or(rest.len(), |at| at + 1);
            self.0 = &rest[next..];
            return Some((key, Some(&quoted[..end])));
        }
    }
}

/// Where a quoted value ends. Old clients escape a quote with a backslash; browsers write `%22`,
/// and leave a backslash alone, so a name may end in one: a quote that a `;` or nothing follows
/// ends the value even behind a backslash.
fn closing_quote(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|&at| {
        let escaped = at > 0 && text[at - 1] == b'\\';
        let rest = text[at + 1..].trim_ascii_start();
        !escaped || rest.is_empty() || rest.starts_with(b";")
    })
}

/// `%22`, `%0D` and `%0A`, which browsers escape, and `\"`, which old clients do. Nothing else: a
/// name may well hold a percent sign.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let (byte, taken) = match rest {
            [b'\\', b'"', ..] => (b'"', 2),
            [b'%', b'2', b'2', ..] => (b'"', 3),
            [b'%', b'0', b'D' | b'd', ..] => (b'\r', 3),
            [b'%', b'0', b'A' | b'a', ..] => (b'\n', 3),
            _ => (*first, 1),
        };
        plain.push(byte);
        rest = &tail[taken - 1..];
    }
    plain
}

/// `UTF-8''na%C3%AFve.txt` (RFC 8187, and RFC 5987 before it, which has ISO-8859-1 as well); `None`
/// where nothing can be made of it.
fn extended_value(value: &[u8]) -> Option<String> {
    let (charset, rest) = split_once(value, b'\'')?;
    let (_language, text) = split_once(rest, b'\'')?;
    let bytes: Vec<u8> = percent_decode(text).collect();
    Some(Charset::named(charset)?.text(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn named(header: &[u8]) -> Option<(String, Option<String>)> {
        let found = Disposition::parse(header, Charset::default())?;
        Some((found.name, found.filename))
    }

    fn filename(value: &str) -> Option<String> {
        named(format!("Content-Disposition: form-data; name=\"file\"; {value}").as_bytes())?.1
    }

    #[test]
    fn a_field_and_a_file_are_told_apart() {
        let field = named(b"Content-Disposition: form-data; name=\"processor\"");
        assert_eq!(field, Some(("processor".into(), None)));
        let none = named(b"content-disposition:form-data;name=file;filename=\"\"\r\nX: y");
        assert_eq!(none, Some(("file".into(), Some(String::new()))));
        let folded = named(b"X: y\r\nCONTENT-DISPOSITION: Form-Data;\r\n name=a;\r\n\tfilename=b");
        assert_eq!(folded, Some(("a".into(), Some("b".into()))));
    }

    #[test]
    fn a_header_that_names_no_field_is_none() {
        for header in [
            &b""[..],
            b"Content-Type: text/plain",
            b"Content-Disposition: attachment; name=\"a\"",
            b"Content-Disposition: form-data",
            b"Content-Disposition: form-data; filename=\"a\"",
            b"Content-Disposition: form-data; name=\"a",
            b"Content-Disposition: form-data; name=\"a\"; filename=\"b",
        ] {
            assert_eq!(named(header), None, "{:?}", String::from_utf8_lossy(header));
        }
    }

    #[test]
    fn names_are_read_as_browsers_and_curl_write_them() {
        for (value, name) in [
            ("filename=\"a.txt\"", "a.txt"),
            ("filename=\"naïve ☃.txt\"", "naïve ☃.txt"),
            ("filename=\"say %22hi%22.txt\"", "say \"hi\".txt"),
            ("filename=\"say \\\"hi\\\".txt\"", "say \"hi\".txt"),
            ("filename=\"two%0D%0Alines\"", "two\r\nlines"),
            ("filename=\"100%.txt\"", "100%.txt"),
            ("filename=\"%41.txt\"", "%41.txt"),
            ("filename=\"a;b=c.txt\"", "a;b=c.txt"),
            ("filename=\"C:\\dir\\\"", "C:\\dir\\"),
            ("filename=\"../../etc/passwd\"", "../../etc/passwd"),
            ("filename=plain.txt; x=y", "plain.txt"),
            ("filename=\"x\"; filename*=UTF-8''na%C3%AFve%22.txt", "naïve\".txt"),
            ("filename=\"x\"; filename*=iso-8859-1'en'na%EFve.txt", "naïve.txt"),
            ("filename=\"x\"; filename*=KOI8-R''%C1", "а"),
            ("filename=\"x\"; filename*=no-such-charset''%C1", "x"),
            ("filename=\"x\"; filename*=UTF-8''", "x"),
            ("filename=\"\n\r\0\"", "\n\r\0"),
        ] {
            assert_eq!(filename(value).as_deref(), Some(name), "{value}");
        }
    }

    #[test]
    fn names_and_contents_may_be_in_another_encoding() {
        let header =
            b"Content-Disposition: form-data; name=\"\x96\x7b\"; filename=\"\x93\xfa.txt\"\r\n\
                       Content-Type: text/plain; charset=\"latin1\"";
        let japanese = Charset::named(b"shift_jis").unwrap();
        let found = Disposition::parse(header, japanese).unwrap();
        assert_eq!((&*found.name, found.filename.as_deref()), ("本", Some("日.txt")));
        assert_eq!(found.charset, Charset::named(b"iso-8859-1"));
        let plain = b"Content-Disposition: form-data; name=a\r\nContent-Type: text/plain";
        assert_eq!(Disposition::parse(plain, japanese).unwrap().charset, None);
    }

    #[test]
    fn a_boundary_is_what_the_standard_allows() {
        let of = |value: &str| boundary(value.as_bytes()).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(of("multipart/form-data; boundary=abc"), Some("abc".into()));
        assert_eq!(of("Multipart/Form-Data;x=y; BOUNDARY=\"a b\""), Some("a b".into()));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for wrong in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=a",
            "multipart/form-data; boundary=a; boundary=b",
            "application/json",
            &long,
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_kept_name_is_short_utf8_without_nul() {
        assert_eq!(display_name(b"a\0b"), "a\u{fffd}b");
        assert_eq!(display_name(b"a\xffb\r\n"), "a\u{fffd}b\r\n");
        assert_eq!(display_name(b""), "unnamed");
        assert_eq!(display_name("ü".repeat(1000).as_bytes()), "ü".repeat(512));
        assert_eq!(display_name(&[&b"x"[..], "ü".repeat(1000).as_bytes()].concat()).len(), 1023);
    }
}
