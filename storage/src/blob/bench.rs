//! What `script/bench` switches off, to see what each part of an upload costs: cargo feature
//! `bench`, never in a release. A store that forgets what it takes breaks the promise.
//!
//! It is asked for in `store.url`: `null://` takes bytes and forgets them, and `?hash=off` behind
//! any store (`?hash=off` alone is local files) makes no digests: every one is then of zeros.

use super::{BlobConfig, Digest};

const UNHASHED: &str = "?hash=off";

/// What is switched off; by itself, nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bench {
    /// Bytes are forgotten.
    pub(super) discard: bool,
    /// Bytes are not hashed.
    pub(super) unhashed: bool,
}

impl Bench {
    /// What a config asks for, and the config without it.
    pub(super) fn of(config: &BlobConfig) -> (Self, BlobConfig) {
        let mut config = config.clone();
        let mut bench = Self::default();
        if let Some(url) = config.url.strip_suffix(UNHASHED) {
            bench.unhashed = true;
            config.url = url.to_owned();
        }
        if config.url == "null://" {
            bench.discard = true;
            // The install's marker is kept somewhere while it runs.
            config.url = "memory://".to_owned();
        }
        (bench, config)
    }
}

/// The digest of what was not hashed.
pub(super) const NO_DIGEST: Digest = Digest([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_is_switched_off() {
        let of = |url: &str| {
            let config = BlobConfig { url: url.into(), ..BlobConfig::default() };
            let (Bench { discard, unhashed }, config) = Bench::of(&config);
            (discard, unhashed, config.url)
        };
        assert_eq!(of(""), (false, false, String::new()));
        assert_eq!(of("?hash=off"), (false, true, String::new()));
        assert_eq!(of("null://"), (true, false, "memory://".to_owned()));
        assert_eq!(of("null://?hash=off"), (true, true, "memory://".to_owned()));
        assert_eq!(of("s3://b/p?hash=off"), (false, true, "s3://b/p".to_owned()));
    }
}
