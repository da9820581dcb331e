//! A blob on its way into a file: staged, synced, renamed, and the directories synced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{Local, blocking, dir};
use crate::blob::{BlobError, BlobKey, lane::Lane};

/// A blob on its way into a file.
pub(in crate::blob) struct Session {
    home: Arc<Local>,
    key: BlobKey,
    lane: Lane<Staged>,
    stored: u64,
    placing: bool,
}

impl Session {
    pub(super) fn new(home: &Arc<Local>, key: &BlobKey, staged: Staged) -> Self {
        let (home, key, lane) = (Arc::clone(home), key.clone(), Lane::new(staged));
        Self { home, key, lane, stored: 0, placing: false }
    }

    /// Begins to write `piece`, once the piece before is written.
    pub(in crate::blob) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        let size = piece.len() as u64;
        self.lane
            .run(move |staged| {
                staged
                    .file
                    .write_all(&piece)
                    .map_err(|error| BlobError::io("write", &staged.path, &error))
            })
            .await?;
        self.stored += size;
        Ok(())
    }

    /// Bytes handed to the file.
    pub(in crate::blob) fn stored(&self) -> u64 {
        self.stored
    }

    /// On return the blob is there, and stays there when the power goes.
    pub(in crate::blob) async fn finish(&mut self) -> Result<(), BlobError> {
        let staged = self.lane.take().await?;
        let (home, target) = (Arc::clone(&self.home), self.home.path(&self.key));
        self.placing = true;
        blocking(move || staged.place(&home, &target)).await
    }

    pub(in crate::blob) async fn abort(&mut self) -> Result<(), BlobError> {
        match self.lane.take().await {
            Ok(staged) => blocking(move || staged.remove()).await,
            // It has its name, and could not be made to keep it.
            Err(_) if self.placing => self.home.delete(&self.key).await,
            // The failed step dropped the staged file, which removed it.
            Err(_) => Ok(()),
        }
    }
}

/// A file in the staging directory. It goes when this value goes, unless it was placed.
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    placed: bool,
}

impl Staged {
    pub(super) fn create(path: PathBuf) -> Result<Self, BlobError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BlobError::io("make", &path, &error))?;
        Ok(Self { file, path, placed: false })
    }

    /// Makes the file durable, then gives it its name, durably.
    fn place(mut self, home: &Local, target: &Path) -> Result<(), BlobError> {
        // Readable to all, writable to none: the file itself is bound into containers, whose user
        // is another. The directory above lets nobody else in.
        let wrong = |doing, path: &Path, error| Err(BlobError::io(doing, path, &error));
        if let Err(error) = self
            .file
            .set_permissions(fs::Permissions::from_mode(0o444))
            .and_then(|()| self.file.sync_all())
        {
            return wrong("write", &self.path, error);
        }
        let parent = target.parent().unwrap_or(&home.root);
        // A neighbour's delete may remove the directory between the two steps: then again.
        let mut tries = 0;
        loop {
            tries += 1;
            let moved = home.make_all(parent).and_then(|()| fs::rename(&self.path, target));
            match moved {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 20 => {}
                Err(error) => return wrong("move a file to", target, error),
            }
        }
        self.placed = true;
        dir::sync(parent).or_else(|error| wrong("sync", parent, error))
    }

    fn remove(mut self) -> Result<(), BlobError> {
        self.placed = true;
        fs::remove_file(&self.path).map_err(|error| BlobError::io("remove", &self.path, &error))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a staged file stays until the next start");
        }
    }
}
