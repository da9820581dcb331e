//! The one store of an install's blobs, wherever they are kept.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio_util::task::TaskTracker;

#[cfg(feature = "bench")]
use super::bench::Bench;
use super::{
    BlobConfig, BlobError, BlobKey, BlobWriter, Recorder,
    config::Kind,
    hash::Hasher,
    local::{self, Local},
    part::{self, MIB, PIECE},
    piece::Pieces,
    remote::{self, Remote},
    room::Room,
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
    rooms: Rooms,
    tasks: TaskTracker,
    #[cfg(feature = "bench")]
    bench: Bench,
}

#[derive(Debug, Clone)]
pub(super) enum Home {
    Local(Arc<Local>),
    Remote(Arc<Remote>),
}

/// Apart, so that uploads cannot keep results from being stored, nor the reverse.
#[derive(Debug, Clone)]
struct Rooms {
    uploads: Room,
    results: Room,
}

/// What uploads to local files hold together, whatever they may hold: more makes none faster, and a
/// hundred at once are to stay within 64 MiB with all else that a connection takes.
const LOCAL_UPLOADS: u64 = 4 * MIB;
/// And outputs and logs on their way to local files.
const LOCAL_RESULTS: u64 = 8 * MIB;
/// How many parts of outputs and logs are held in memory at once.
const RESULT_PARTS: u64 = 4;

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
        #[cfg(feature = "bench")]
        let (bench, config) = &Bench::of(config);
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
        if matches!(home, Home::Remote(_)) && part_size > config.memory {
            return Err(BlobError::Misconfigured(format!(
                "uploads.memory is {} bytes and does not hold one part of {part_size} bytes \
                 (store.part_size)",
                config.memory
            )));
        }
        let (uploads, results) = match home {
            Home::Local(_) => (LOCAL_UPLOADS.min(config.memory), LOCAL_RESULTS),
            Home::Remote(_) => (config.memory, RESULT_PARTS * part_size),
        };
        let room = |bytes: u64| Room::new((bytes / PIECE as u64) as usize, config.patience);
        Ok(Self {
            home,
            part_size,
            pieces: Pieces::default(),
            rooms: Rooms { uploads: room(uploads), results: room(results) },
            tasks,
            #[cfg(feature = "bench")]
            bench: *bench,
        })
    }

    /// A writer of one blob of at most `max_size` bytes (its size, where that is known: it decides
    /// the size of the parts). Nothing happens in the store before its first write or its finish.
    ///
    /// For what comes from this machine, as outputs and logs do. What a client sends is for
    /// [`BlobStore::upload`], because a client may stop sending.
    pub fn writer(&self, key: BlobKey, max_size: u64, recorder: Arc<dyn Recorder>) -> BlobWriter {
        BlobWriter::new(self.clone(), key, max_size, recorder, self.rooms.results.clone())
    }

    /// A writer of what a client sends, in the memory of all uploads together: its bytes are to be
    /// read through [`BlobWriter::listen`].
    pub fn upload(&self, key: BlobKey, max_size: u64, recorder: Arc<dyn Recorder>) -> BlobWriter {
        BlobWriter::new(self.clone(), key, max_size, recorder, self.rooms.uploads.clone())
    }

    /// The most memory that one writer of at most `max_size` bytes holds.
    #[must_use]
    pub fn writer_memory(&self, max_size: u64) -> u64 {
        // One filled, one waiting, and those that are hashed and written.
        let pieces = 8 * PIECE as u64;
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

    /// Removes all outputs and logs of a job, of whichever attempt and owner; gone already is gone.
    /// Nobody may be at work on the job any more.
    ///
    /// # Errors
    /// [`BlobError`], and then some of it may still be there.
    pub async fn delete_job(&self, tenant: &Tenant, job: JobId) -> Result<(), BlobError> {
        let dir = BlobKey::job_dir(tenant, job);
        match &self.home {
            Home::Local(home) => home.delete_all(&dir).await,
            Home::Remote(home) => home.delete_all(&dir).await,
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

    /// Whether blobs are sent in parts that are held in memory until they are stored.
    pub(super) fn in_parts(&self) -> bool {
        #[cfg(feature = "bench")]
        if self.bench.discard {
            return false;
        }
        matches!(self.home, Home::Remote(_))
    }

    /// Of a blob of at most so many bytes.
    pub(super) fn part_size(&self, max_size: u64) -> u64 {
        part::part_size(self.part_size, max_size)
    }

    /// Of one blob.
    pub(super) fn hasher(&self) -> Hasher {
        #[cfg(feature = "bench")]
        if self.bench.unhashed {
            return Hasher::Off;
        }
        Hasher::new()
    }

    pub(super) async fn session(&self, key: &BlobKey, max_size: u64) -> Result<Session, BlobError> {
        #[cfg(feature = "bench")]
        if self.bench.discard {
            return Ok(Session::Null(0));
        }
        match &self.home {
            Home::Local(home) => home.session(key).await.map(Session::Local),
            Home::Remote(home) => {
                let part_size = self.part_size(max_size);
                Ok(Session::Remote(remote::Session::new(home, key, part_size)))
            }
        }
    }
}

/// What the store has of a blob that is being written.
pub(super) enum Session {
    Local(local::Session),
    Remote(remote::Session),
    /// Forgets, and counts.
    #[cfg(feature = "bench")]
    Null(u64),
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
            #[cfg(feature = "bench")]
            Self::Null(size) => {
                *size += piece.len() as u64;
                Ok(())
            }
        }
    }

    /// Sends what is full.
    pub(super) async fn flush(&mut self, recorder: &dyn Recorder) -> Result<(), BlobError> {
        match self {
            Self::Remote(session) => session.flush(recorder).await,
            _ => Ok(()),
        }
    }

    pub(super) fn stored(&self) -> u64 {
        match self {
            Self::Local(session) => session.stored(),
            Self::Remote(session) => session.stored(),
            #[cfg(feature = "bench")]
            Self::Null(size) => *size,
        }
    }

    pub(super) async fn finish(&mut self, recorder: &dyn Recorder) -> Result<(), BlobError> {
        match self {
            Self::Local(session) => session.finish().await,
            Self::Remote(session) => session.finish(recorder).await,
            #[cfg(feature = "bench")]
            Self::Null(_) => Ok(()),
        }
    }

    pub(super) async fn abort(&mut self) -> Result<(), BlobError> {
        match self {
            Self::Local(session) => session.abort().await,
            Self::Remote(session) => session.abort().await,
            #[cfg(feature = "bench")]
            Self::Null(_) => Ok(()),
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
