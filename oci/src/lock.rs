//! File locks. They go with the process that holds them, however it ends, and exclude threads of one
//! process from each other as they do processes.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::retry_on_intr,
};

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits until nobody else holds it.
    pub(crate) fn exclusive(path: &Path) -> io::Result<Self> {
        Self::take(open(path)?, FlockOperation::LockExclusive)
    }

    /// Waits until nobody holds it alone.
    pub(crate) fn shared(path: &Path) -> io::Result<Self> {
        Self::take(open(path)?, FlockOperation::LockShared)
    }

    /// `None` when somebody holds it alone.
    pub(crate) fn attempt_shared(path: &Path) -> io::Result<Option<Self>> {
        unless_held(Self::take(open(path)?, FlockOperation::NonBlockingLockShared))
    }

    /// `None` when somebody else holds it.
    pub(crate) fn attempt(path: &Path) -> io::Result<Option<Self>> {
        unless_held(Self::take(open(path)?, FlockOperation::NonBlockingLockExclusive))
    }

    /// The same of a directory.
    pub(crate) fn attempt_directory(path: &Path) -> io::Result<Option<Self>> {
        unless_held(Self::take(File::open(path)?, FlockOperation::NonBlockingLockExclusive))
    }

    /// Whether it is still the lock that others find at its path: who removes a lock's file does so
    /// while it holds the lock.
    pub(crate) fn is_current(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() > 0)
    }

    fn take(file: File, how: FlockOperation) -> io::Result<Self> {
        retry_on_intr(|| flock(&file, how))?;
        Ok(Self(file))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn unless_held(taken: io::Result<Lock>) -> io::Result<Option<Lock>> {
    match taken {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        taken => taken.map(Some),
    }
}
