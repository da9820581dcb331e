//! Before a container is made: its directories, and its input where that has to be copied.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::Path,
};

use bytes::Bytes;
use fileyard_storage::{
    blob::{BlobError, BlobStore, Digest},
    job::Input,
};
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{
    blocking,
    quota::{self, Quota},
};
use crate::engine::{ContainerId, ContainerSpec, HostDirs, InputFile};

/// Which boot an attempt was staged in.
const BOOT: &str = "boot";

/// Why an attempt can not be staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The input is not in the store, or is not what was uploaded.
    #[error("its input is no longer in the store as it was uploaded")]
    InputLost,
    /// The store can not be read now.
    #[error("its input can not be read: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("there is no room for its input: {0}")]
    NoSpace(String),
    /// Its directories can not be made.
    #[error("its directories can not be made: {0}")]
    Io(io::Error),
}

/// Makes the attempt's directories and puts the input in place, as far as that was not done before.
///
/// An `/out` that is there stays as it is, so this may be repeated; but only while there is no
/// container. Where blobs are files on this host, the input is only looked at: the blob itself is
/// bound. Where the host has quotas, this one is `/out`'s.
///
/// # Errors
/// [`StageError`]; it may be repeated after any.
pub async fn stage(
    dirs: &HostDirs,
    spec: &ContainerSpec,
    quota: Quota,
    blobs: &BlobStore,
) -> Result<(), StageError> {
    let (attempt, has_quotas) = (dirs.attempt(&spec.id), dirs.has_quotas());
    let out = spec.input.is_some().then(|| dirs.out(&spec.id));
    let owner = rustix::process::geteuid().is_root().then(|| dirs.user(spec.user));
    blocking(move || {
        private(&attempt)?;
        std::fs::write(attempt.join(BOOT), boot_id())?;
        let Some(out) = out else { return Ok(()) };
        private(&out)?;
        if has_quotas {
            quota::mount(&out, quota).map_err(|error| {
                let words = format!("its /out can not be given a quota: {error}");
                io::Error::new(error.kind(), words)
            })?;
        } else {
            quota::take_away(&out)?;
        }
        match owner {
            Some(user) => chown(&out, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    })
    .await?;
    let Some(input) = &spec.input else { return Ok(()) };
    let path = dirs.input(&spec.id, input);
    if dirs.copies_input() {
        copy(&dirs.attempt(&spec.id), &path, input, blobs).await
    } else if has_size(&path, input.size).await? {
        Ok(())
    } else {
        Err(StageError::InputLost)
    }
}

/// Whether the input is in the store, with the size that it was uploaded with: asked before a
/// container is started that would look for it there.
///
/// # Errors
/// [`StageError`]; it may be repeated after any.
pub async fn find(input: &Input, blobs: &BlobStore) -> Result<(), StageError> {
    let first = (input.size > 0).then_some(0..1);
    let found = blobs.get(&input.key, first).await?;
    if found.size == input.size { Ok(()) } else { Err(StageError::InputLost) }
}

/// Whether the machine has been up since this attempt was staged. Nothing syncs what a container
/// writes, so after a power loss its `/out` is not what it left.
#[must_use]
pub fn same_boot(dirs: &HostDirs, id: &ContainerId) -> bool {
    std::fs::read_to_string(dirs.attempt(id).join(BOOT)).is_ok_and(|then| then == boot_id())
}

/// From now on it is as if the machine had gone down since. Takes no room on a full disk.
pub fn disown(dirs: &HostDirs, id: &ContainerId) {
    if let Err(error) = std::fs::remove_file(dirs.attempt(id).join(BOOT)) {
        tracing::warn!(%error, "could not note that outputs were lost");
    }
}

/// Changes with every boot; empty where the kernel does not say.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// A copy has its name only once it is whole and verified.
async fn copy(
    attempt: &Path,
    path: &Path,
    input: &InputFile,
    blobs: &BlobStore,
) -> Result<(), StageError> {
    if has_size(path, input.size).await? {
        return Ok(());
    }
    let part = attempt.join("in.part");
    let mut blob = blobs.get(&input.key, None).await?.stream;
    let file = {
        let part = part.clone();
        blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(part)
        })
        .await?
    };
    let mut sink = Sink { file, sha256: Sha256::new() };
    while let Some(bytes) = blob.try_next().await? {
        sink = sink.take(bytes).await?;
    }
    if Digest(sink.sha256.finalize().into()) != input.sha256 {
        return Err(StageError::InputLost);
    }
    let (file, path) = (sink.file, path.to_owned());
    blocking(move || {
        file.set_permissions(Permissions::from_mode(0o444))?;
        path.parent().map_or(Ok(()), private)?;
        Ok(std::fs::rename(part, path)?)
    })
    .await
}

struct Sink {
    file: File,
    sha256: Sha256,
}

impl Sink {
    async fn take(mut self, bytes: Bytes) -> Result<Self, StageError> {
        blocking(move || {
            self.file.write_all(&bytes)?;
            self.sha256.update(&bytes);
            Ok(self)
        })
        .await
    }
}

fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

async fn has_size(path: &Path, size: u64) -> Result<bool, StageError> {
    match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        found => {
            let found = found?;
            Ok(found.is_file() && found.len() == size)
        }
    }
}

impl From<io::Error> for StageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<BlobError> for StageError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound(_) => Self::InputLost,
            BlobError::NoSpace(words) => Self::NoSpace(words),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
