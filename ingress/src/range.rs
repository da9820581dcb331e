//! `Range` (RFC 9110, 14.2), for one range of bytes; several in one request are answered whole.

use std::ops::Range;

use http::{HeaderMap, header};

/// What of a blob is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes: never empty, never past its end.
    Part(Range<u64>),
    /// Nothing of it is in the range.
    Nothing,
}

/// What a request wants of a blob of `size` bytes with this entity tag.
///
/// What can not be read is ignored, as the standard says, and so is a range whose `If-Range` names
/// other bytes.
#[must_use]
pub(crate) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let Some(range) = headers.get(header::RANGE) else { return Wanted::Whole };
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    range.to_str().ok().and_then(parse).map_or(Wanted::Whole, |spec| spec.of(size))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spec {
    From(u64, Option<u64>),
    Last(u64),
}

/// The one range that a header asks for, if it asks for one.
pub(crate) fn parse(header: &str) -> Option<Spec> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => Some(Spec::Last(number(last)?)),
        (first, "") => Some(Spec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// Digits alone; more than fit are as good as the largest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

impl Spec {
    pub(crate) fn of(self, size: u64) -> Wanted {
        let part = match self {
            Self::From(first, last) => {
                first..last.map_or(size, |last| last.saturating_add(1).min(size))
            }
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        if part.is_empty() { Wanted::Nothing } else { Wanted::Part(part) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ask(range: &str, size: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        wanted(&headers, size, "\"tag\"")
    }

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..10),
            ("bytes=3-4", 3..5),
            ("bytes=9-", 9..10),
            ("bytes=5-100", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-100", 0..10),
            ("Bytes= 3-4", 3..5),
            ("bytes=0-99999999999999999999999", 0..10),
        ] {
            assert_eq!(ask(range, 10), Wanted::Part(part), "{range}");
        }
    }

    #[test]
    fn a_range_with_nothing_in_it_is_said_to_be_so() {
        for (range, size) in [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10)] {
            assert_eq!(ask(range, size), Wanted::Nothing, "{range}");
        }
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=99999999999999999999999-"] {
            assert_eq!(ask(range, 0), Wanted::Nothing, "{range}");
        }
    }

    #[test]
    fn what_can_not_be_read_and_several_ranges_are_answered_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=4-3",
            "bytes=+1-2",
            "bytes=1-+2",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=--1",
            "bytes=1-2-3",
        ] {
            assert_eq!(ask(range, 10), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-0".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"tag\""), Wanted::Whole);
        headers.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"tag\""), Wanted::Part(0..1));
    }
}
