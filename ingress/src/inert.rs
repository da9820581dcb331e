//! How stored bytes are sent, which came from strangers: so that a browser runs, frames and guesses
//! nothing of them, whatever they are.
//!
//! What a file is called and what it says it is are data here; nothing in it is looked at.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What keeps a browser from running, framing or guessing anything in a file.
pub(crate) fn inert(headers: &mut HeaderMap) {
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let policy = "sandbox; default-src 'none'; frame-ancestors 'none'";
    set(headers, header::CONTENT_SECURITY_POLICY, policy);
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

/// The same for a file of this name and this type. It is a download, unless it is of a type that
/// has nothing in it to run.
pub(crate) fn file(headers: &mut HeaderMap, name: &str, content_type: &str) {
    inert(headers);
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let disposition = if is_shown(&kind) { "inline" } else { "attachment" };
    set(headers, header::CONTENT_DISPOSITION, &named(disposition, name));
    // A page's policy lets scripts and styles of this server run. With a type that is neither, and
    // no guessing, a stored file is none of them even for a page that markup got into.
    let sent = if is_code(&kind) { "application/octet-stream" } else { content_type };
    set(headers, header::CONTENT_TYPE, sent);
}

/// Pictures made of pixels, and text. Not SVG and HTML, which have scripts; not PDF, whose viewer
/// does not work in a sandbox, and which is not shown outside one.
fn is_shown(kind: &str) -> bool {
    matches!(
        kind,
        "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/avif" | "text/plain"
    )
}

/// What a browser takes from `<script>` and `<link rel=stylesheet>` when it may not guess.
fn is_code(kind: &str) -> bool {
    let scripts = ["javascript", "ecmascript", "jscript", "livescript", "vbscript"];
    kind == "text/css" || scripts.iter().any(|script| kind.contains(script))
}

/// A content type comes from a row; one that is no header's value is nobody's loss.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let fallback = HeaderValue::from_static("application/octet-stream");
    headers.insert(name, HeaderValue::try_from(value).unwrap_or(fallback));
}

/// A disposition with the name twice: as ASCII, and as it is (RFC 6266, RFC 8187).
fn named(disposition: &str, name: &str) -> String {
    const ATTR: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '%' | '/') => c,
            _ => '_',
        })
        .collect();
    format!(
        "{disposition}; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, ATTR)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(content_type: &str) -> (String, String) {
        let mut headers = HeaderMap::new();
        file(&mut headers, "a", content_type);
        let text = |name| headers[name].to_str().unwrap_or_default().to_owned();
        let disposition = text(header::CONTENT_DISPOSITION);
        let (disposition, _) = disposition.split_once(';').unwrap_or_default();
        (disposition.to_owned(), text(header::CONTENT_TYPE))
    }

    #[test]
    fn only_what_has_nothing_to_run_is_shown() {
        for kind in ["image/png", "IMAGE/JPEG", "image/gif", "image/webp", "text/plain; charset=x"]
        {
            assert_eq!(sent(kind), ("inline".into(), kind.into()));
        }
        for kind in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "application/octet-stream",
            "video/mp4",
            "text/html; charset=utf-8",
            "text/plainer",
            "",
        ] {
            assert_eq!(sent(kind), ("attachment".into(), kind.into()));
        }
    }

    #[test]
    fn no_file_is_a_script_or_a_style() {
        for kind in [
            "text/javascript",
            "application/x-javascript; charset=utf-8",
            "Text/ECMAScript",
            "text/javascript1.5",
            "text/jscript",
            "text/css",
            "bad\nheader",
        ] {
            assert_eq!(sent(kind), ("attachment".into(), "application/octet-stream".into()));
        }
    }

    #[test]
    fn a_name_can_not_leave_its_header() {
        for (name, header) in [
            ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
            ("\"\r\nX: y", "attachment; filename=\"___X: y\"; filename*=UTF-8''%22%0D%0AX%3A%20y"),
            ("ü%.png", "attachment; filename=\"__.png\"; filename*=UTF-8''%C3%BC%25.png"),
            ("../x\\y", "attachment; filename=\".._x_y\"; filename*=UTF-8''..%2Fx%5Cy"),
        ] {
            assert_eq!(named("attachment", name), header);
            assert!(HeaderValue::try_from(named("attachment", name)).is_ok());
        }
    }
}
