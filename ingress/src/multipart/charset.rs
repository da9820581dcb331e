//! The encoding of a form's texts: UTF-8, unless the form (a field `_charset_`) or a part (its
//! `Content-Type`) says another (RFC 7578, 4.6 and 5.1.2). It never changes a file's content.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// How a form's texts are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charset(&'static Encoding);

impl Default for Charset {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl Charset {
    /// The one that a label names, by the names that browsers know (`latin1`, `Shift_JIS`).
    #[must_use]
    pub(crate) fn named(label: &[u8]) -> Option<Self> {
        Encoding::for_label(label).map(Self)
    }

    /// What `bytes` say; what they can not mean becomes U+FFFD.
    #[must_use]
    pub(crate) fn text(self, bytes: &[u8]) -> Cow<'_, str> {
        self.0.decode_without_bom_handling(bytes).0
    }

    /// A name in a part's header, which is UTF-8 wherever it can be: clients write names so even
    /// where their form is in another encoding.
    #[must_use]
    pub(crate) fn name(self, bytes: &[u8]) -> Cow<'_, str> {
        std::str::from_utf8(bytes).map_or_else(|_| self.text(bytes), Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(label: &str) -> Charset {
        Charset::named(label.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn a_text_is_read_in_its_own_encoding() {
        assert_eq!(named("iso-8859-1").text(b"na\xefve"), "na\u{ef}ve");
        assert_eq!(named("Shift_JIS").text(b"\x93\xfa\x96\x7b"), "\u{65e5}\u{672c}");
        assert_eq!(named("utf-8").text(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(Charset::named(b"no-such-charset"), None);
    }

    #[test]
    fn a_name_that_is_utf_8_is_not_read_as_anything_else() {
        let latin = named("latin1");
        assert_eq!(latin.name("na\u{ef}ve".as_bytes()), "na\u{ef}ve");
        assert_eq!(latin.name(b"na\xefve"), "na\u{ef}ve");
        assert_eq!(Charset::default().name(b"na\xefve"), "na\u{fffd}ve");
    }
}
