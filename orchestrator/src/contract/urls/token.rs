//! A token: who may use an attempt's addresses, and for how long at most.
//!
//! It says tenant, job, attempt and time, and is signed (HMAC-SHA256, RFC 2104), so that none can be
//! guessed or changed. It is not what decides: the attempt's row does, on every request, and the
//! time is only the last word where a row should ever be wrong.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use fileyard_storage::{
    clock::Timestamp,
    id::{AttemptNo, JobId, Tenant},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Key;

/// What else this key might ever sign is not a token.
const DOMAIN: &[u8] = b"fileyard urls token 1\0";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose.
    pub tenant: Tenant,
    /// Of which job.
    pub job: JobId,
    /// Of which attempt.
    pub attempt: AttemptNo,
    /// It is nothing from then on.
    pub expires: Timestamp,
}

impl Claims {
    /// As it stands in an address: letters, digits, `-`, `_` and `.`.
    #[must_use]
    pub fn sign(&self, key: &Key) -> String {
        let Self { tenant, job, attempt, expires } = self;
        let said = format!("{tenant}.{job}.{attempt}.{}", expires.0);
        let signature = BASE64.encode(mac(key, &said).finalize().into_bytes());
        format!("{said}.{signature}")
    }

    /// What a token says, if this key signed exactly that.
    #[must_use]
    pub fn read(token: &str, key: &Key) -> Option<Self> {
        let (said, signature) = token.rsplit_once('.')?;
        mac(key, said).verify_slice(&BASE64.decode(signature).ok()?).ok()?;
        let mut parts = said.split('.');
        let claims = Self {
            tenant: parts.next()?.parse().ok()?,
            job: parts.next()?.parse().ok()?,
            attempt: AttemptNo(parts.next()?.parse().ok()?),
            expires: Timestamp(parts.next()?.parse().ok()?),
        };
        parts.next().is_none().then_some(claims)
    }
}

fn mac(key: &Key, said: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key.bytes()).expect("HMAC takes a key of any length");
    mac.update(DOMAIN);
    mac.update(said.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_no_other_text_is_one() {
        let (key, other) = (Key::new(), Key::new());
        let claims = Claims {
            tenant: Tenant::default(),
            job: JobId::from_u128(7),
            attempt: AttemptNo(3),
            expires: Timestamp(1_767_323_045_678),
        };
        let token = claims.sign(&key);
        assert_eq!(Claims::read(&token, &key), Some(claims));
        assert_eq!(Claims::read(&token, &other), None);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{token}");
        for (from, to) in
            [("default", "defaul"), (".3.", ".4."), ("678.", "679."), ("-0000-", "-0001-")]
        {
            let changed = token.replacen(from, to, 1);
            assert_ne!(changed, token);
            assert_eq!(Claims::read(&changed, &key), None, "{changed}");
        }
        // Every bit of the signature counts, also those that a last letter might hide.
        for end in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=".chars() {
            let changed = format!("{}{end}", &token[..token.len() - 1]);
            assert_eq!(Claims::read(&changed, &key).is_some(), changed == token, "{changed}");
        }
        for text in ["", ".", "....", "default.x.1.2.AAAA", &token[1..], &token[..token.len() - 1]]
        {
            assert_eq!(Claims::read(text, &key), None, "{text}");
        }
    }
}
