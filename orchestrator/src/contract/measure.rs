//! How much a running container has written to `/out`: looked at from outside, while it writes.
//!
//! The walk is by descriptors and follows nothing, like [`super::collect`]'s, but judges no kinds
//! and no names: that is for the end. What vanishes meanwhile is not there. It ends at the first
//! limit that is broken, so that it never sees more than the limits allow.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::fs::{AtFlags, FileType, Stat, statat};

use super::{
    RESULT, blocking,
    collect::{Limits, SPARE_DIRECTORIES},
    descend, quota, result,
};
use crate::{
    engine::{ContainerId, HostDirs},
    processor::Processor,
};

/// Deeper than anything that is taken in the end.
const MAX_DEPTH: usize = 64;
/// A walk longer than this goes no further: what it has seen by then is what it says.
const LONGEST: Duration = Duration::from_secs(2);
/// By how much a file may take more room than it is long: no file system's blocks are larger.
const ROUNDING: u64 = 64 << 10;

/// What is in a running container's `/out`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of disk that are taken by it.
    pub allocated: u64,
    /// Which limit it broke, in words.
    pub over: Option<String>,
}

/// Looks at an attempt's `/out`, for no longer than a few seconds. Where there is none, it is empty.
///
/// # Errors
/// When it could not be looked at.
pub async fn measure(
    dirs: &HostDirs,
    id: &ContainerId,
    processor: &Processor,
) -> io::Result<Usage> {
    let out = dirs.out(id);
    let limits = Limits { files: processor.max_outputs, bytes: processor.max_output_size };
    let walk = move || match descend::ours(&out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Usage::default()),
        dir => {
            let usage = walk(&dir?, limits)?;
            Ok(Usage { allocated: usage.allocated.max(quota::taken(&out)), ..usage })
        }
    };
    blocking(walk).await
}

fn walk(out: &OwnedFd, limits: Limits) -> io::Result<Usage> {
    let until = Instant::now() + LONGEST;
    let mut seen = Seen { limits, files: 0, directories: 0, bytes: 0, allocated: 0 };
    let mut pending = vec![(0, String::new())];
    while let Some((depth, path)) = pending.pop() {
        let dir = match descend::below(out, &path) {
            Ok(dir) => dir,
            Err(error) if went(&error) => continue,
            Err(error) => return Err(error),
        };
        // One more than may be there: then one is over the limit.
        let most = seen.limits.files.saturating_add(seen.max_directories()).saturating_add(2);
        let Some(names) = descend::names(&dir, most)? else {
            return Ok(seen.usage(Some(seen.too_many())));
        };
        for name in &names {
            let stat = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
            {
                Ok(stat) => stat,
                Err(error) if went(&error) => continue,
                Err(error) => return Err(error),
            };
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let is_result = path.is_empty() && name.to_bytes() == RESULT.as_bytes();
            if let Some(over) = seen.count(&stat, is_directory, is_result) {
                return Ok(seen.usage(Some(over)));
            }
            // A name that is not UTF-8 is not taken in the end, nor what is below it.
            if let (true, Ok(name)) = (is_directory, name.to_str()) {
                if depth == MAX_DEPTH {
                    let over = format!("it has directories more than {MAX_DEPTH} deep");
                    return Ok(seen.usage(Some(over)));
                }
                pending.push((depth + 1, format!("{path}/{name}")));
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(seen.usage(None))
}

/// It was there when its directory was read.
fn went(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
        // A link is where a directory was.
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

struct Seen {
    limits: Limits,
    /// And whatever else is no directory.
    files: usize,
    directories: usize,
    /// As their sizes say: holes count, as they do in the end.
    bytes: u64,
    allocated: u64,
}

impl Seen {
    /// Which limit this breaks.
    fn count(&mut self, stat: &Stat, is_directory: bool, is_result: bool) -> Option<String> {
        let whole = |value: i64| u64::try_from(value).unwrap_or(0);
        let (size, blocks) = (whole(stat.st_size), whole(stat.st_blocks).saturating_mul(512));
        // A file of two names, as one that is being renamed may have, is there once.
        #[allow(clippy::unnecessary_cast, reason = "it is narrower on other machines")]
        let links = if is_directory { 1 } else { (stat.st_nlink as u64).max(1) };
        self.allocated = self.allocated.saturating_add(blocks / links);
        if is_directory {
            self.directories += 1;
        } else if is_result {
            // No output, as far as it is taken at all.
            self.bytes = self.bytes.saturating_add(size.saturating_sub(result::MAX_SIZE));
        } else {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(size / links);
        }
        if self.files > self.limits.files || self.directories > self.max_directories() {
            return Some(self.too_many());
        }
        // Room that was taken beyond a file's end is in no size.
        let rounding = ROUNDING.saturating_mul((self.files + self.directories) as u64);
        let explained = self.limits.bytes.saturating_add(rounding).saturating_add(result::MAX_SIZE);
        if self.bytes > self.limits.bytes || self.allocated > explained {
            return Some(format!(
                "its outputs are more than {} bytes (max_output_size)",
                self.limits.bytes
            ));
        }
        None
    }

    fn max_directories(&self) -> usize {
        self.limits.files.saturating_add(SPARE_DIRECTORIES)
    }

    fn too_many(&self) -> String {
        format!(
            "its outputs are more than {} files (max_outputs) or {} directories",
            self.limits.files,
            self.max_directories()
        )
    }

    fn usage(&self, over: Option<String>) -> Usage {
        Usage { allocated: self.allocated, over }
    }
}

#[cfg(test)]
mod tests;
