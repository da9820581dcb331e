//! Blobs as files below `data/blobs`, each written beside it in `data/tmp/blobs` and moved in whole.
//!
//! Of its own, and not over `object_store::local`: that one stages beside the final files under
//! names that its own `list` hides and its `delete` refuses, it has no multipart ids to record, and
//! it sets no mode. What has to be right here (fsync the file, rename, fsync each directory that
//! changed) is short.

mod dir;
mod session;

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use tokio::task::spawn_blocking;

pub(super) use self::session::Session;

use self::session::Staged;
use super::{BlobError, BlobKey, BlobRead, store::Span};
use crate::failpoint;

/// How much of a file is read at once; each reader that does not take what it is given holds so much.
const READ: u64 = 256 << 10;
/// The least that is worth a read.
const LEAST: u64 = 64 << 10;
/// How much all readers together hold, as far as `LEAST` for each of them allows.
const TOGETHER: u64 = 16 << 20;

/// A data directory's blobs.
#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    staging: PathBuf,
    next: AtomicU64,
    /// Held while directories are made: who finds one there may count on its being durable.
    making: Mutex<()>,
    /// Each reader has one of its own.
    reading: Arc<()>,
}

impl Local {
    /// Makes both directories where they are missing, and empties the staging one: whoever wrote
    /// there is dead, because the caller holds the data directory's lock.
    pub(super) fn open(data: &Path) -> Result<Self, BlobError> {
        let wrong = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| BlobError::io(doing, &path, &error)
        };
        let (root, tmp) = (data.join("blobs"), data.join("tmp"));
        let staging = tmp.join("blobs");
        fs::create_dir_all(&tmp).map_err(wrong("make", &tmp))?;
        or_gone(fs::remove_dir_all(&staging)).map_err(wrong("empty", &staging))?;
        for dir in [&root, &tmp, &staging] {
            dir::make(dir).map_err(wrong("make", dir))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
                .map_err(wrong("protect", dir))?;
        }
        dir::sync(data).map_err(wrong("sync", data))?;
        let device = |dir: &Path| fs::metadata(dir).map(|m| m.dev()).map_err(wrong("look at", dir));
        if device(&root)? != device(&staging)? {
            return Err(BlobError::Misconfigured(format!(
                "{} and {} are on different file systems, so that a file cannot be moved from one \
                 to the other; mount the whole of {} as one",
                root.display(),
                staging.display(),
                data.display()
            )));
        }
        Ok(Self {
            root,
            staging,
            next: AtomicU64::new(0),
            making: Mutex::new(()),
            reading: Arc::new(()),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.path())
    }

    fn make_all(&self, dir: &Path) -> io::Result<()> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        dir::make_all(&self.root, dir)
    }

    pub(super) async fn session(self: &Arc<Self>, key: &BlobKey) -> Result<Session, BlobError> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let staged = self.staging.join(n.to_string());
        Ok(Session::new(self, key, blocking(move || Staged::create(staged)).await?))
    }

    pub(super) async fn get(&self, key: &BlobKey, span: &Span) -> Result<BlobRead, BlobError> {
        let (path, span, reading) = (self.path(key), span.clone(), Arc::clone(&self.reading));
        blocking(move || {
            let file = File::open(&path).map_err(|error| missing("open", &path, &error))?;
            let size =
                file.metadata().map_err(|error| BlobError::io("look at", &path, &error))?.len();
            let range = span.within(size);
            let stream = stream::try_unfold((file, path, range), move |(file, path, range)| {
                let share = TOGETHER / Arc::strong_count(&reading) as u64;
                read(file, path, range, share.clamp(LEAST, READ))
            });
            Ok(BlobRead { size, stream: stream.boxed() })
        })
        .await
    }

    /// Gone already is gone.
    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.remove(self.path(key), |path| fs::remove_file(path)).await
    }

    /// Everything below `dir`, and it; gone already is gone.
    pub(super) async fn delete_all(&self, dir: &str) -> Result<(), BlobError> {
        self.remove(self.root.join(dir), |path| fs::remove_dir_all(path)).await
    }

    /// Whoever did this before may have been killed in the middle: what is gone already is seen to
    /// its end all the same.
    async fn remove(
        &self,
        path: PathBuf,
        remove: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BlobError> {
        let root = self.root.clone();
        blocking(move || {
            or_gone(remove(&path)).map_err(|error| BlobError::io("remove", &path, &error))?;
            failpoint::hit("file-removed");
            let Some(parent) = path.parent() else { return Ok(()) };
            // Absent: a neighbour's delete has pruned it, after a sync of its own.
            or_gone(dir::sync(parent)).map_err(|error| BlobError::io("sync", parent, &error))?;
            // An empty directory is nothing to keep; one with something in it refuses.
            parent
                .ancestors()
                .take_while(|dir| *dir != root && or_gone(fs::remove_dir(dir)).is_ok())
                .for_each(drop);
            Ok(())
        })
        .await
    }

    /// The paths below `dir`, relative to the root.
    pub(super) async fn list(&self, dir: &str) -> Result<Vec<String>, BlobError> {
        let (root, start) = (self.root.clone(), self.root.join(dir));
        blocking(move || {
            let (mut found, mut open) = (Vec::new(), vec![start]);
            while let Some(dir) = open.pop() {
                let entries = match fs::read_dir(&dir) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    entries => entries.map_err(|error| BlobError::io("list", &dir, &error))?,
                };
                for entry in entries {
                    let entry = entry.map_err(|error| BlobError::io("list", &dir, &error))?;
                    let path = entry.path();
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        open.push(path);
                    } else if let Some(path) = path.strip_prefix(&root).ok().and_then(Path::to_str)
                    {
                        found.push(path.to_owned());
                    }
                }
            }
            Ok(found)
        })
        .await
    }

    /// That a file can be made and removed now.
    pub(super) async fn ready(&self) -> Result<(), BlobError> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let (root, staged) = (self.root.clone(), self.staging.join(n.to_string()));
        blocking(move || {
            fs::metadata(&root).map_err(|error| BlobError::io("look at", &root, &error))?;
            Staged::create(staged).map(drop)
        })
        .await
    }
}

/// Gone already is gone.
fn or_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn missing(doing: &str, path: &Path, error: &io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound {
        BlobError::NotFound(path.display().to_string())
    } else {
        BlobError::io(doing, path, error)
    }
}

/// At most so many bytes of a range, and what is left to read; `None` at its end.
async fn read(
    file: File,
    path: PathBuf,
    range: Range<u64>,
    most: u64,
) -> Result<Option<(Bytes, (File, PathBuf, Range<u64>))>, BlobError> {
    if range.is_empty() {
        return Ok(None);
    }
    blocking(move || {
        let want = usize::try_from(most.min(range.end - range.start))
            .expect("a read is a fraction of a MiB");
        let mut chunk = BytesMut::zeroed(want);
        file.read_exact_at(&mut chunk, range.start)
            .map_err(|error| BlobError::io("read", &path, &error))?;
        let rest = range.start + want as u64..range.end;
        Ok(Some((chunk.freeze(), (file, path, rest))))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    spawn_blocking(work).await.map_err(|error| BlobError::died(&error))?
}
