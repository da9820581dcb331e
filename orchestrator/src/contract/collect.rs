//! What is taken out of `/out`, once its container has exited: found and judged, not yet stored.
//!
//! The walk is by descriptors, follows nothing, opens only what it has seen to be a regular file or
//! a directory, and ends at its bounds. It never descends by recursion and never reads a directory
//! further than the limit that it would break.

use std::{
    ffi::{CStr, CString},
    io::{self, Read as _},
    os::fd::OwnedFd,
};

use fileyard_storage::blob::BlobError;
use rustix::{
    fs::{AtFlags, FileType, statat},
    io::Errno,
};
use serde_json::Value;

use super::{RESULT, blocking, descend, quota, result};
use crate::{
    engine::{ContainerId, HostDirs},
    processor::Processor,
};

pub(super) const MAX_DEPTH: usize = 32;
pub(super) const MAX_NAME: usize = 1024;
/// Directories may be as many as files, and so many more.
pub(super) const SPARE_DIRECTORIES: usize = 1000;

/// What a container gave back: still where it wrote it.
#[derive(Debug)]
pub struct Collected {
    /// `/out/result.json`, or null.
    pub result: Value,
    /// The outputs, by name.
    pub files: Vec<CollectedFile>,
    pub(super) out: OwnedFd,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedFile {
    /// Its path below `/out`, with `/` between the parts.
    pub name: String,
    /// In bytes; holes count.
    pub size: u64,
}

/// Why nothing is taken.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Something of a kind, name or depth that is not taken, or an invalid result.
    #[error("{0}")]
    BadOutput(String),
    /// Too many files, or too many bytes.
    #[error("{0}")]
    OutputLimit(String),
    /// The directory could not be read: not the container's fault.
    #[error("its outputs could not be read: {0}")]
    Io(#[from] io::Error),
    /// They could not be stored: not the container's fault either.
    #[error("its outputs could not be stored: {0}")]
    Store(BlobError),
}

/// Looks at everything under the attempt's `/out`.
///
/// Only once the container has exited: nobody may change anything meanwhile.
///
/// # Errors
/// [`CollectError`]; of several faults the first by name, so that the same files give the same error.
pub async fn collect(
    dirs: &HostDirs,
    id: &ContainerId,
    processor: &Processor,
) -> Result<Collected, CollectError> {
    let attempt = dirs.attempt(id);
    let limits = Limits { files: processor.max_outputs, bytes: processor.max_output_size };
    let walk = move || {
        let attempt = descend::ours(&attempt)?;
        let out = descend::directory(&attempt, "out")?;
        if !quota::is_covered(&attempt, &out)? {
            return Err(io::Error::other("its /out is not mounted").into());
        }
        walk(out, limits)
    };
    blocking(walk).await
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

fn walk(out: OwnedFd, limits: Limits) -> Result<Collected, CollectError> {
    let mut found =
        Found { limits, result: Value::Null, files: Vec::new(), directories: 0, bytes: 0 };
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        let dir = descend::below(&out, &path)?;
        let names = descend::names(&dir, found.room())?.ok_or_else(|| found.too_many())?;
        for name in &names {
            if let Some(directory) = found.take(&dir, &path, name)? {
                pending.push(directory);
            }
        }
    }
    found.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Collected { result: found.result, files: found.files, out })
}

struct Found {
    limits: Limits,
    result: Value,
    files: Vec<CollectedFile>,
    directories: usize,
    bytes: u64,
}

impl Found {
    /// Judges one name; the path of a directory is to be walked too.
    fn take(
        &mut self,
        dir: &OwnedFd,
        path: &str,
        raw: &CString,
    ) -> Result<Option<String>, CollectError> {
        let name = join(path, raw)?;
        let stat = match statat(dir, raw, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(CollectError::Io(gone(&name))),
            other => other.map_err(io::Error::from)?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if name == RESULT => Err(bad(&name, "is a directory")),
            FileType::Directory => {
                self.directories += 1;
                if self.directories > self.max_directories() {
                    return Err(self.too_many());
                }
                Ok(Some(name))
            }
            FileType::RegularFile if stat.st_nlink > 1 => {
                Err(bad(&name, "is a hard link; each output must be a file of its own"))
            }
            FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                if name == RESULT {
                    self.result = read_result(dir, size)?;
                } else {
                    self.add(name, size)?;
                }
                Ok(None)
            }
            kind => Err(bad(&name, words(kind))),
        }
    }

    fn add(&mut self, name: String, size: u64) -> Result<(), CollectError> {
        if self.files.len() == self.limits.files {
            return Err(self.too_many());
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.bytes {
            let message =
                format!("its outputs are more than {} bytes (max_output_size)", self.limits.bytes);
            return Err(CollectError::OutputLimit(message));
        }
        self.files.push(CollectedFile { name, size });
        Ok(())
    }

    /// How many names may still come: files, directories and the result.
    fn room(&self) -> usize {
        let directories = self.max_directories() - self.directories;
        (self.limits.files - self.files.len()).saturating_add(directories).saturating_add(1)
    }

    fn max_directories(&self) -> usize {
        self.limits.files.saturating_add(SPARE_DIRECTORIES)
    }

    fn too_many(&self) -> CollectError {
        CollectError::OutputLimit(format!(
            "its outputs are more than {} files (max_outputs) or {} directories",
            self.limits.files,
            self.max_directories()
        ))
    }
}

/// The path of `raw` in the directory `path`, if it is one that is taken.
fn join(path: &str, raw: &CStr) -> Result<String, CollectError> {
    let shown = || {
        format!("{path}{}{}", if path.is_empty() { "" } else { "/" }, raw.to_bytes().escape_ascii())
    };
    let Ok(name) = raw.to_str() else {
        return Err(bad(&shown(), "has a name that is not UTF-8"));
    };
    if name.chars().any(char::is_control) {
        return Err(bad(&shown(), "has a control character in its name"));
    }
    let joined = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    if joined.split('/').count() > MAX_DEPTH {
        return Err(bad(&joined, &format!("is more than {MAX_DEPTH} deep")));
    }
    if joined.len() > MAX_NAME {
        return Err(bad(&joined, &format!("has a path of more than {MAX_NAME} bytes")));
    }
    Ok(joined)
}

fn read_result(dir: &OwnedFd, size: u64) -> Result<Value, CollectError> {
    let too_large = || bad(RESULT, &format!("is larger than {} bytes", result::MAX_SIZE));
    if size > result::MAX_SIZE {
        return Err(too_large());
    }
    let mut json = Vec::new();
    let (file, _) = descend::regular(dir, RESULT)?;
    file.take(result::MAX_SIZE + 1).read_to_end(&mut json)?;
    if json.len() as u64 > result::MAX_SIZE {
        return Err(too_large());
    }
    result::parse(&json).map_err(|wrong| bad(RESULT, &format!("is {wrong}")))
}

fn bad(name: &str, wrong: &str) -> CollectError {
    // The end says which file it is; a path may be long and comes from a stranger.
    let count = name.chars().count();
    let shown: String = name.chars().skip(count.saturating_sub(200)).collect();
    let dots = if count > 200 { "..." } else { "" };
    CollectError::BadOutput(format!("/out/{dots}{shown} {wrong}"))
}

fn gone(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("/out/{name} vanished while it was looked at"))
}

fn words(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "is a symbolic link; only regular files are taken",
        FileType::Fifo => "is a FIFO; only regular files are taken",
        FileType::Socket => "is a socket; only regular files are taken",
        FileType::CharacterDevice | FileType::BlockDevice => {
            "is a device; only regular files are taken"
        }
        _ => "is of an unknown kind; only regular files are taken",
    }
}

#[cfg(test)]
pub(super) use self::tests::deep_tree;

#[cfg(test)]
mod tests;
