//! The one store of an install's blobs, wherever they are kept.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio_util::task::TaskTracker;

use super::{
    BlobConfig, BlobError, BlobKey, BlobWriter, Recorder,
    config::Kind,
    local::{self, Local},
    part::{self, PIECE},
    piece::Pieces,
    remote::{self, Remote},
};
use crate::{
    id::{AttemptNo, JobId, Tenant},
    upload::Multipart,
};

/// A store of blobs. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    home: Home,
    part_size: u64,
    pieces: Pieces,
    tasks: TaskTracker,
}

#[derive(Debug, Clone)]
pub(super) enum Home {
    Local(Arc<Local>),
    Remote(Arc<Remote>),
}

/// A blob on its way out.
pub struct BlobRead {
    /// Of the whole blob, also where only a range of it was asked for.
    pub size: u64,
    /// Its bytes, or those of the range, in chunks of at most a few MiB.
    pub stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl std::fmt::Debug for BlobRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobRead").field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobStore {
    /// The store that `config` names. For local files: `data/blobs`, and `data/tmp/blobs`, which is
    /// emptied, so the data directory's lock must be held. Of S3 nothing is asked yet: see
    /// [`BlobStore::claim`].
    ///
    /// # Errors
    /// [`BlobError::Misconfigured`], naming the key; or what the file system says.
    pub fn open(config: &BlobConfig, data: &Path) -> Result<Self, BlobError> {
        let part_size = config.checked_part_size()?;
        let home = match config.kind()? {
            Kind::Local => Home::Local(Arc::new(Local::open(data)?)),
            Kind::Memory => Home::Remote(Arc::new(Remote::memory())),
            Kind::S3 { bucket, prefix } => {
                Home::Remote(Arc::new(Remote::s3(config, &bucket, &prefix)?))
            }
        };
        let tasks = TaskTracker::new();
        // Closed only means that `settled` may see the end; tasks are still taken.
        tasks.close();
        Ok(Self { home, part_size, pieces: Pieces::default(), tasks })
    }

    /// A writer of one blob of at most `max_size` bytes (its size, where that is known: it decides
    /// the size of the parts). Nothing happens in the store before its first write or its finish.
    pub fn writer(&self, key: BlobKey, max_size: u64, recorder: Arc<dyn Recorder>) -> BlobWriter {
        BlobWriter::new(self.clone(), key, max_size, recorder)
    }

    /// The most memory that one writer of at most `max_size` bytes holds.
    #[must_use]
    pub fn writer_memory(&self, max_size: u64) -> u64 {
        let pieces = 4 * PIECE as u64;
        match self.home {
            Home::Local(_) => pieces,
            Home::Remote(_) => {
                pieces + (2 * part::part_size(self.part_size, max_size)).min(max_size)
            }
        }
    }

    /// One blob, or a range of it, as far as the blob goes.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], or why the store cannot be read.
    pub async fn get(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobRead, BlobError> {
        let span = Span(range);
        match &self.home {
            Home::Local(home) => home.get(key, &span).await,
            Home::Remote(home) => home.get(key, &span).await,
        }
    }

    /// Removes one blob; gone already is gone.
    ///
    /// # Errors
    /// [`BlobError`], and then the blob may still be there.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match &self.home {
            Home::Local(home) => home.delete(key).await,
            Home::Remote(home) => home.delete(key).await,
        }
    }

    /// Ends an upload that a row names, with all its parts; gone already is gone.
    ///
    /// # Errors
    /// [`BlobError`], and then parts may still be there.
    pub async fn abort(&self, key: &BlobKey, multipart: &Multipart) -> Result<(), BlobError> {
        match &self.home {
            // A dead process's staging file went when the store was opened.
            Home::Local(_) => Ok(()),
            Home::Remote(home) => home.abort(key, &multipart.id).await,
        }
    }

    /// Ends every upload that the store has open on exactly this key: also one whose id no row
    /// names, because its process died between the two. Nobody may be writing the blob.
    ///
    /// # Errors
    /// [`BlobError`], and then parts may still be there.
    pub async fn abort_open(&self, key: &BlobKey) -> Result<(), BlobError> {
        match &self.home {
            Home::Local(_) => Ok(()),
            Home::Remote(home) => home.abort_open(key).await,
        }
    }

    /// Every output and log of one attempt, whichever of its owners stored it.
    ///
    /// # Errors
    /// [`BlobError`] when the store cannot be listed.
    pub async fn list_attempt(
        &self,
        tenant: &Tenant,
        job: JobId,
        attempt: AttemptNo,
    ) -> Result<Vec<BlobKey>, BlobError> {
        let dir = BlobKey::job_dir(tenant, job);
        let paths = match &self.home {
            Home::Local(home) => home.list(&dir).await?,
            Home::Remote(home) => home.list(&dir).await?,
        };
        let mut keys: Vec<_> = paths
            .iter()
            .filter_map(|path| BlobKey::parse(path))
            .filter(|key| match key {
                BlobKey::Output { attempt: of, .. } | BlobKey::Log { attempt: of, .. } => {
                    *of == attempt
                }
                BlobKey::Marker | BlobKey::Probe | BlobKey::Input { .. } => false,
            })
            .collect();
        keys.sort();
        Ok(keys)
    }

    /// Where the files are, if they are files.
    #[must_use]
    pub fn local_root(&self) -> Option<&Path> {
        match &self.home {
            Home::Local(home) => Some(home.root()),
            Home::Remote(_) => None,
        }
    }

    /// The file of one blob, if blobs are files; whether it is there is not looked at.
    #[must_use]
    pub fn local_path(&self, key: &BlobKey) -> Option<PathBuf> {
        match &self.home {
            Home::Local(home) => Some(home.path(key)),
            Home::Remote(_) => None,
        }
    }

    /// Returns once no writer is at work, and none that was dropped is still being taken back.
    pub async fn settled(&self) {
        self.tasks.wait().await;
    }

    pub(super) fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(super) async fn session(&self, key: &BlobKey, max_size: u64) -> Result<Session, BlobError> {
        match &self.home {
            Home::Local(home) => home.session(key).await.map(Session::Local),
            Home::Remote(home) => {
                let part_size = part::part_size(self.part_size, max_size);
                Ok(Session::Remote(remote::Session::new(home, key, part_size)))
            }
        }
    }
}

/// What the store has of a blob that is being written.
pub(super) enum Session {
    Local(local::Session),
    Remote(remote::Session),
}

impl Session {
    pub(super) async fn write(
        &mut self,
        piece: Bytes,
        recorder: &dyn Recorder,
    ) -> Result<(), BlobError> {
        match self {
            Self::Local(session) => session.write(piece).await,
            Self::Remote(session) => session.write(piece, recorder).await,
        }
    }

    pub(super) fn stored(&self) -> u64 {
        match self {
            Self::Local(session) => session.stored(),
            Self::Remote(session) => session.stored(),
        }
    }

    pub(super) async fn finish(&mut self, recorder: &dyn Recorder) -> Result<(), BlobError> {
        match self {
            Self::Local(session) => session.finish().await,
            Self::Remote(session) => session.finish(recorder).await,
        }
    }

    pub(super) async fn abort(&mut self) -> Result<(), BlobError> {
        match self {
            Self::Local(session) => session.abort().await,
            Self::Remote(session) => session.abort().await,
        }
    }
}

/// Which bytes of a blob were asked for.
#[derive(Debug, Clone)]
pub(super) struct Span(pub(super) Option<Range<u64>>);

impl Span {
    /// The part of it that a blob of `size` bytes has.
    pub(super) fn within(&self, size: u64) -> Range<u64> {
        let asked = self.0.clone().unwrap_or(0..size);
        let end = asked.end.min(size);
        asked.start.min(end)..end
    }
}
