//! A path in a layer.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::image::{
    ImageError,
    limits::{MOST_DEPTH, MOST_PATH},
};

/// A path below a layer's root, without anything that leads up; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside(PathBuf);

impl Inside {
    /// From a tar. Absolute ones are below the root too.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let refused = |why: &str| Err(ImageError::Image(why.to_owned()));
        if bytes.len() > MOST_PATH || bytes.contains(&0) {
            return refused("its path is too long, or has a zero byte in it");
        }
        let mut path = PathBuf::new();
        let parts = bytes.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        for (depth, part) in parts.enumerate() {
            if part == b".." {
                return refused("a path with `..` in it may lead out of the layer");
            }
            if depth >= MOST_DEPTH {
                return refused("it is in more directories than can be");
            }
            path.push(OsStr::from_bytes(part));
        }
        Ok(Self(path))
    }

    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }

    /// The directory it is in, and its name there; `None` for the root.
    pub(super) fn split(&self) -> Option<(&Path, &OsStr)> {
        Some((self.0.parent()?, self.0.file_name()?))
    }

    /// Whether it is in the root's directory `name`.
    pub(super) fn is_below(&self, name: &str) -> bool {
        self.0.starts_with(name) && self.0 != Path::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_the_root_or_refused() {
        for (written, expected) in [
            ("./", ""),
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            ("/etc/passwd", "etc/passwd"),
            ("...", "..."),
            ("a/..b", "a/..b"),
        ] {
            let path = Inside::parse(written.as_bytes()).unwrap();
            assert_eq!(path.as_path(), Path::new(expected), "{written}");
        }
        let (deep, long) = ("a/".repeat(MOST_DEPTH + 1), "a".repeat(MOST_PATH + 1));
        for wrong in ["..", "../a", "a/../../b", "a/..", "/..", "a\0b", &deep, &long] {
            assert!(Inside::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
