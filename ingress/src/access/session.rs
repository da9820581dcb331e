//! A session: what a browser has after somebody logged in, in place of the key.
//!
//! Nothing of it is kept here. Its cookie says when it ends and is signed with what comes of the
//! key, so another key ends every session, and nothing else but time ends one that was stolen.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use fileyard_storage::clock::Timestamp;
use http::{HeaderMap, HeaderValue, header};

use super::key::ApiKey;

/// How long one lasts.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The cookie that begins a session.
pub(super) fn begin(key: &ApiKey, now: Timestamp, secure: bool) -> HeaderValue {
    let ends = now.after(LIFE).0 / 1000;
    let signature = BASE64.encode(key.sign(&ends.to_string()));
    cookie(&format!("{ends}.{signature}"), LIFE, secure)
}

/// The cookie that ends one.
pub(super) fn end(secure: bool) -> HeaderValue {
    cookie("", Duration::ZERO, secure)
}

/// Whether a client has a session that has not ended.
pub(super) fn is_valid(key: &ApiKey, headers: &HeaderMap, now: Timestamp, secure: bool) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    // Another server on this host may have set one of the same name: any good one will do.
    pairs.any(|(name, value)| name.trim() == self::name(secure) && is_good(key, value.trim(), now))
}

fn is_good(key: &ApiKey, value: &str, now: Timestamp) -> bool {
    let Some((ends, signature)) = value.split_once('.') else { return false };
    let signature = BASE64.decode(signature).unwrap_or_default();
    key.signed(ends, &signature)
        && ends.parse::<i64>().is_ok_and(|ends| now.0 < ends.saturating_mul(1000))
}

/// With the prefix, a browser takes it from nobody but this very host, by https.
fn name(secure: bool) -> &'static str {
    if secure { "__Host-fileyard" } else { "fileyard" }
}

fn cookie(value: &str, life: Duration, secure: bool) -> HeaderValue {
    let (name, life) = (name(secure), life.as_secs());
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).expect("digits and base64 are a header's value")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_good_until_it_ends_and_with_its_own_key_alone() {
        let key: ApiKey = "the-key-of-this-server".parse().unwrap();
        let other: ApiKey = "the-key-of-another-one".parse().unwrap();
        let now = Timestamp(1_767_323_045_678);
        let set = begin(&key, now, false);
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        let good = |cookie: &str| is_valid(&key, &with(cookie), now, false);
        assert!(good(pair));
        assert!(good(&format!("a=b; {pair};c=d")) && good(&format!("fileyard=x; {pair}")));
        assert!(!is_valid(&other, &with(pair), now, false), "another key");
        assert!(!is_valid(&key, &with(pair), now, true), "not by https");
        let last = now.after(LIFE - Duration::from_secs(1));
        assert!(is_valid(&key, &with(pair), last, false));
        assert!(!is_valid(&key, &with(pair), now.after(LIFE), false), "it has ended");

        let (ends, signature) = pair.strip_prefix("fileyard=").unwrap().split_once('.').unwrap();
        let longer = format!("fileyard={}.{signature}", ends.parse::<i64>().unwrap() + 1);
        for forged in [&longer, "fileyard=", "fileyard=.", "fileyard=9999999999.", "x", ""] {
            assert!(!good(forged), "{forged}");
        }
        assert!(!is_valid(&key, &HeaderMap::new(), now, false));
    }

    #[test]
    fn a_cookie_is_for_no_script_and_no_other_site() {
        let key: ApiKey = "the-key-of-this-server".parse().unwrap();
        let set = |secure| begin(&key, Timestamp(0), secure).to_str().unwrap().to_owned();
        let plain = "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict";
        assert!(set(false).starts_with("fileyard=2592000.") && set(false).ends_with(plain));
        assert!(set(true).starts_with("__Host-fileyard="));
        assert!(set(true).ends_with(&format!("{plain}; Secure")));
        assert!(end(false).to_str().unwrap().starts_with("fileyard=; Path=/; Max-Age=0;"));
    }
}
