//! Entity tags: whether a client has already what it asks for.

use http::{HeaderMap, header};

/// Whether the bytes of this tag are known to a client that sent these headers (RFC 9110, 13.1.2).
#[must_use]
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter();
    tags.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}
