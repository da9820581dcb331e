//! Whether a client would rather have a page or JSON.

use http::{HeaderMap, header};

/// Whether `Accept` prefers `text/html`: only then is a page sent, so that a program that says
/// nothing, or `*/*`, gets JSON.
#[must_use]
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    let html = quality(&accept, "text", "html");
    html > 0 && html > quality(&accept, "application", "json")
}

/// The quality of a type in thousandths, by the most specific range that names it (RFC 9110,
/// 12.5.1). 0 where none does.
fn quality(accept: &str, kind: &str, subtype: &str) -> u32 {
    let (mut best, mut quality) = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specific = match name.split_once('/') {
            Some((k, s)) if k == kind && s == subtype => 3,
            Some((k, "*")) if k == kind => 2,
            Some(("*", "*")) => 1,
            _ => 0,
        };
        if specific > best {
            best = specific;
            quality = parts
                .filter_map(|param| param.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .map_or(1000, |(_, q)| thousandths(q.trim()));
        }
    }
    quality
}

fn thousandths(q: &str) -> u32 {
    match q.parse::<f32>() {
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_page_is_for_those_who_prefer_one() {
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, html) in [
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("text/html, application/json", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0, */*;q=0", false),
            ("text/plain", false),
            ("garbage;;;=,,/", false),
            (firefox, true),
            ("text/html", true),
            ("TEXT/HTML;Q=0.5, */*;q=0.1", true),
            ("text/*, application/json;q=0.9", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_html(&headers), html, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
