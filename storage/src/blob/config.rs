//! Where the blobs are to be kept.

use std::fmt;

use super::{
    BlobError, Patience,
    part::{self, MAX_PARTS, MIB, MIN_PART},
};

/// The `[store]` section, checked only as far as its types go.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobConfig {
    /// Empty for files in the data directory, `s3://bucket/prefix`, or `memory://`.
    pub url: String,
    /// The S3 service; empty for Amazon's own.
    pub endpoint: String,
    /// The S3 region.
    pub region: String,
    /// The bucket is in the path of a URL, not in its host name.
    pub path_style: bool,
    /// Names the keys.
    pub access_key_id: String,
    /// Never printed.
    pub secret_access_key: String,
    /// In bytes; a writer uses more where 10,000 parts would not be enough.
    pub part_size: u64,
    /// What uploads may hold in memory together, in bytes.
    pub memory: u64,
    /// How long they wait for it.
    pub patience: Patience,
}

impl Default for BlobConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            endpoint: String::new(),
            region: "us-east-1".into(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key: String::new(),
            part_size: 8 * MIB,
            memory: 256 * MIB,
            patience: Patience::default(),
        }
    }
}

impl fmt::Debug for BlobConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.secret_access_key.is_empty() { "" } else { "(secret)" };
        f.debug_struct("BlobConfig")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &secret)
            .field("part_size", &self.part_size)
            .field("memory", &self.memory)
            .finish()
    }
}

/// Which of the three homes a config asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Memory,
    S3 { bucket: String, prefix: String },
}

impl BlobConfig {
    pub(super) fn kind(&self) -> Result<Kind, BlobError> {
        let wrong = |what: &str| {
            Err(BlobError::Misconfigured(format!(
                "store.url is {:?}: {what}. It is \"\" (files in the data directory), \
                 \"s3://bucket/prefix\" or \"memory://\"",
                self.url
            )))
        };
        if self.url.is_empty() {
            return Ok(Kind::Local);
        }
        if self.url == "memory://" || self.url == "memory:" {
            return Ok(Kind::Memory);
        }
        let Some(place) = self.url.strip_prefix("s3://") else {
            return wrong("that kind of store is not known");
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return wrong("the bucket is missing");
        }
        if !bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return wrong("that is no name of a bucket");
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
            || prefix.split('/').any(|part| part == "." || part == "..")
            || prefix.contains("//")
        {
            return wrong("a prefix is made of ASCII letters, digits, and -._ between slashes");
        }
        Ok(Kind::S3 { bucket: bucket.into(), prefix: prefix.into() })
    }

    /// The size of a part of an upload of at most `max_size` bytes, which is held in memory until
    /// it is stored; none where blobs are files.
    #[must_use]
    pub fn part_in_memory(&self, max_size: u64) -> Option<u64> {
        let in_parts = matches!(self.kind(), Ok(Kind::S3 { .. } | Kind::Memory));
        in_parts.then(|| part::part_size(self.part_size, max_size))
    }

    /// The part size as it is used: whole MiB, and no less than S3 takes.
    pub(super) fn checked_part_size(&self) -> Result<u64, BlobError> {
        const LARGEST: u64 = 5 << 30;
        if self.part_size < MIN_PART || self.part_size > LARGEST {
            return Err(BlobError::Misconfigured(format!(
                "store.part_size is {} bytes; S3 takes parts from 5 MiB to 5 GiB, {MAX_PARTS} of \
                 them",
                self.part_size
            )));
        }
        Ok(self.part_size.next_multiple_of(MIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Kind, BlobError> {
        BlobConfig { url: url.into(), ..BlobConfig::default() }.kind()
    }

    #[test]
    fn a_url_names_one_of_the_three_homes() {
        let s3 = |bucket: &str, prefix: &str| {
            Ok(Kind::S3 { bucket: bucket.into(), prefix: prefix.into() })
        };
        assert_eq!(of(""), Ok(Kind::Local));
        assert_eq!(of("memory://"), Ok(Kind::Memory));
        assert_eq!(of("s3://files"), s3("files", ""));
        assert_eq!(of("s3://files/"), s3("files", ""));
        assert_eq!(of("s3://files/a/b/"), s3("files", "a/b"));
        for wrong in
            ["s3:", "s3://", "s3:///x", "s3://b/..", "s3://b/ü", "s3://b/a//b", "file:///x", "x"]
        {
            let Err(BlobError::Misconfigured(text)) = of(wrong) else { panic!("{wrong}") };
            assert!(text.contains(wrong), "{text}");
        }
    }

    #[test]
    fn a_part_size_that_s3_refuses_is_refused_at_once() {
        let of = |part_size| BlobConfig { part_size, ..BlobConfig::default() }.checked_part_size();
        assert_eq!(of(5 * MIB), Ok(5 * MIB));
        assert_eq!(of(8 * MIB + 1), Ok(9 * MIB));
        assert!(of(5 * MIB - 1).is_err());
        assert!(of((5 << 30) + 1).is_err());
    }

    #[test]
    fn the_secret_is_never_printed() {
        let config = BlobConfig { secret_access_key: "hunter2".into(), ..BlobConfig::default() };
        assert!(!format!("{config:?} {config:#?}").contains("hunter2"));
    }
}
