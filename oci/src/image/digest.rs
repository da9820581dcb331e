//! SHA-256 digests, as images name what they are made of.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ImageError;

const ALGORITHM: &str = "sha256:";

/// A digest; only one that is well-formed is ever made, so its digits are a safe file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// Of what was hashed.
    pub(super) fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As it is written: `sha256:` and 64 digits.
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        let digits = text.strip_prefix(ALGORITHM).and_then(Self::from_digits);
        digits.ok_or_else(|| {
            let words = format!("{text:?} is no digest: sha256: and 64 hexadecimal digits are one");
            ImageError::Image(words)
        })
    }

    /// From its 64 digits alone.
    pub(super) fn from_digits(digits: &str) -> Option<Self> {
        let plain = digits.len() == 64 && digits.bytes().all(is_digit);
        plain.then(|| Self(digits.to_owned()))
    }

    /// Its 64 digits.
    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}

/// The digits of a digest's beginning, where `text` is one: twelve or more, as lists show them.
pub(super) fn beginning(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(ALGORITHM)?;
    ((12..=64).contains(&digits.len()) && digits.bytes().all(is_digit)).then_some(digits)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}
