//! The API key: what it must be like, and whether a client has it.
//!
//! The key itself is forgotten as soon as it is read: what stays is its digest, to compare with, and
//! a secret derived from it, to sign sessions with. Neither is ever shown.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The shortest key that is taken: a person's password may be guessed, a random text of this length
/// is not.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;

/// What a client must know.
#[derive(Clone)]
pub struct ApiKey {
    digest: [u8; 32],
    signing: [u8; 32],
}

/// Why a text is no [`ApiKey`]; it does not tell the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could be guessed.
    #[error(
        "is too short: it must have at least {SHORTEST} characters; `openssl rand -hex 32` makes a good one"
    )]
    Short,
    /// It would not fit into a header.
    #[error("is too long: it may have at most {LONGEST} characters")]
    Long,
    /// It can not be sent.
    #[error(
        "has a character that can not be sent in a header: letters, digits and punctuation of ASCII can, spaces can not; `openssl rand -hex 32` makes a good one"
    )]
    Unsendable,
}

impl FromStr for ApiKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyError::Unsendable);
        }
        match text.len() {
            0..SHORTEST => Err(KeyError::Short),
            SHORTEST..=LONGEST => Ok(Self {
                digest: Sha256::digest(text).into(),
                signing: mac(text.as_bytes(), b"fileyard sessions, 1"),
            }),
            _ => Err(KeyError::Long),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(never shown)")
    }
}

impl ApiKey {
    /// Whether this is the key, in a time that does not depend on where it differs.
    pub(super) fn is(&self, sent: &[u8]) -> bool {
        let sent: [u8; 32] = Sha256::digest(sent).into();
        sent.ct_eq(&self.digest).into()
    }

    /// A signature that only who has the key can make.
    pub(super) fn sign(&self, text: &str) -> [u8; 32] {
        mac(&self.signing, text.as_bytes())
    }

    /// Whether a signature is that of `text`.
    pub(super) fn signed(&self, text: &str, signature: &[u8]) -> bool {
        self.sign(text).as_slice().ct_eq(signature).into()
    }
}

/// What a client sends as its key, if it sends one (RFC 6750). Credentials of another scheme are a
/// wrong key.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let sent = headers.get(header::AUTHORIZATION)?.as_bytes();
    Some(match sent.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => b"",
    })
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_is_long_enough_and_can_be_sent() {
        for (text, error) in [
            ("", KeyError::Short),
            ("fifteen-letters", KeyError::Short),
            ("sixteen letters!", KeyError::Unsendable),
            ("sixteen-letters\n", KeyError::Unsendable),
            ("sixteen-létters!", KeyError::Unsendable),
        ] {
            assert_eq!(text.parse::<ApiKey>().unwrap_err(), error, "{text:?}");
        }
        assert_eq!("x".repeat(513).parse::<ApiKey>().unwrap_err(), KeyError::Long);
        let key: ApiKey = "sixteen-letters!".parse().unwrap();
        assert!(key.is(b"sixteen-letters!"));
        for other in ["", "sixteen-letters", "sixteen-letters!!", "Sixteen-letters!"] {
            assert!(!key.is(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let key: ApiKey = "a-key-nobody-may-see".parse().unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(never shown)");
    }

    #[test]
    fn a_signature_is_of_one_text_and_one_key() {
        let (a, b): (ApiKey, ApiKey) =
            ("a".repeat(16).parse().unwrap(), "b".repeat(16).parse().unwrap());
        let signature = a.sign("text");
        assert!(a.signed("text", &signature));
        assert!(!a.signed("texts", &signature) && !b.signed("text", &signature));
        assert!(!a.signed("text", &signature[..31]) && !a.signed("text", b""));
    }

    #[test]
    fn only_a_bearer_has_a_key() {
        for (sent, key) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("BEARER abc", "abc"),
            ("Basic abc", ""),
            ("abc", ""),
            ("Bearer", ""),
            ("Bearerabc", ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, sent.parse().unwrap());
            assert_eq!(bearer(&headers), Some(key.as_bytes()), "{sent}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
