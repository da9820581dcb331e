//! The lock on a data directory: one process at a time, whatever state that process is in.
//!
//! It is the kernel's (flock): a process that dies by any means lets go of it, one that is merely
//! stopped does not. The pid in the file is only for the message.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataLock {
    data: PathBuf,
    file: File,
}

/// Why a data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by {}: stop that server, or name another directory",
        data.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
    )]
    Held {
        /// Which directory.
        data: PathBuf,
        /// Who, if the file said.
        pid: Option<u32>,
    },
    /// It can not be made, or its lock file can not be written.
    #[error("the data directory {} can not be used: {source}", data.display())]
    Io {
        /// Which directory.
        data: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataLock {
    /// Makes the directory, for this user alone, if it is not there, and locks it.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when another process has it.
    pub fn acquire(data: &Path) -> Result<Self, LockError> {
        let broken = |source| LockError::Io { data: data.to_owned(), source };
        make_dir(data).map_err(broken)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data.join("lock"))
            .map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Unreadable or half-written is no pid; the refusal stands all the same.
                let _ = file.take(32).read_to_string(&mut text);
                let pid = text.trim().parse().ok();
                return Err(LockError::Held { data: data.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(broken(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(broken)?;
        Ok(Self { data: data.to_owned(), file })
    }

    /// The directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // So that the next one's pid is not taken for ours in the moment before it is written.
        let _ = self.file.set_len(0);
    }
}

fn make_dir(data: &Path) -> io::Result<()> {
    if data.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    // The directory's own entry must outlive a power cut, or all that is in it does not.
    let parent = data.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
