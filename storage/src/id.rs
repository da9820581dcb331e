//! Ids and names: newtypes parsed once, at the edge, so that nothing behind it checks again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not an id or a name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct Malformed {
    text: String,
    what: &'static str,
}

impl Malformed {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), what }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, a UUIDv7: sorts by the time it was made.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "an id is made on purpose")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// From its number; tests use it for ids that do not change.
            #[must_use]
            pub const fn from_u128(n: u128) -> Self {
                Self(Uuid::from_u128(n))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            /// Accepts the one spelling that `Display` gives, so that an id has one URL.
            fn from_str(text: &str) -> Result<Self, Malformed> {
                match Uuid::try_parse(text) {
                    Ok(id) if id.hyphenated().to_string() == text => Ok(Self(id)),
                    _ => Err(Malformed::new(text, $what)),
                }
            }
        }
    };
}

id!(/// One job. 
    JobId, "a job id");
id!(/// One upload. 
    UploadId, "an upload id");
id!(/// The jobs of one request. 
    BatchId, "a batch id");
id!(/// One fileyard with its database. 
    InstallId, "an install id");

id!(/// One request that brought an idempotency key. 
    ClaimId, "a claim's id");

/// A key that a client gave to a request: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientKey(String);

impl ClientKey {
    /// The bare key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_client_key(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whose rows and blobs these are; `default` until there are several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// As it stands in a row or a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self("default".into())
    }
}

/// A processor's name: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessorName(String);

impl ProcessorName {
    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

macro_rules! label {
    ($name:ident, $is:ident, $what:literal) => {
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                if $is(text) { Ok(Self(text.to_owned())) } else { Err(Malformed::new(text, $what)) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

label!(Tenant, is_label, "a tenant: lower-case letters, digits and hyphens, at most 63");
label!(
    ProcessorName,
    is_label,
    "a processor's name: lower-case letters, digits and hyphens, at most 63"
);
label!(ClientKey, is_client_key, "a key: 1 to 255 visible ASCII characters");

/// Names the current owner of a job: it rises on every claim and every adoption.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// The next owner's.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which container run of a job: 1 is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNo(pub u32);

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = JobId::new();
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        for wrong in ["", "x", &id.to_string().to_uppercase(), &id.to_string().replace('-', "")] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let ids: Vec<_> = (0..100).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_clients_key_is_short_and_visible() {
        for good in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"\\/;,", &"x".repeat(255)] {
            assert!(good.parse::<ClientKey>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "\t", "ü", "a\n", &"x".repeat(256)] {
            assert!(bad.parse::<ClientKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_processor_name_is_a_label() {
        for good in ["a", "mp4", "a-b", &"x".repeat(63)] {
            assert!(good.parse::<ProcessorName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "ü", &"x".repeat(64)] {
            assert!(bad.parse::<ProcessorName>().is_err(), "{bad}");
        }
    }
}
