//! Blobs as files below `data/blobs`, each written beside it in `data/tmp/blobs` and moved in whole.
//!
//! Of its own, and not over `object_store::local`: that one stages beside the final files under
//! names that its own `list` hides and its `delete` refuses, it has no multipart ids to record, and
//! it sets no mode. What has to be right here (fsync the file, rename, fsync each directory that
//! changed) is short.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use tokio::task::spawn_blocking;

use super::{BlobError, BlobKey, BlobRead, lane::Lane, store::Span};

/// How much of a file is read at once.
const READ: u64 = 256 << 10;

/// A data directory's blobs.
#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    staging: PathBuf,
    next: AtomicU64,
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
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(wrong("empty", &staging)(error));
            }
            _ => {}
        }
        for dir in [&root, &staging] {
            make_dir(dir).map_err(wrong("make", dir))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
                .map_err(wrong("protect", dir))?;
        }
        sync_dir(data).map_err(wrong("sync", data))?;
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
        Ok(Self { root, staging, next: AtomicU64::new(0) })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.path())
    }

    pub(super) async fn session(self: &Arc<Self>, key: &BlobKey) -> Result<Session, BlobError> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let staged = self.staging.join(n.to_string());
        let lane = Lane::new(blocking(move || Staged::create(staged)).await?);
        Ok(Session { home: Arc::clone(self), key: key.clone(), lane, stored: 0, placing: false })
    }

    pub(super) async fn get(&self, key: &BlobKey, span: &Span) -> Result<BlobRead, BlobError> {
        let (path, span) = (self.path(key), span.clone());
        blocking(move || {
            let file = File::open(&path).map_err(|error| missing("open", &path, &error))?;
            let size =
                file.metadata().map_err(|error| BlobError::io("look at", &path, &error))?.len();
            let range = span.within(size);
            let stream =
                stream::try_unfold((file, path, range), |(file, path, range)| async move {
                    if range.is_empty() {
                        return Ok(None);
                    }
                    let next = blocking(move || {
                        let want = usize::try_from(READ.min(range.end - range.start))
                            .expect("a read is a fraction of a MiB");
                        let mut chunk = BytesMut::zeroed(want);
                        file.read_exact_at(&mut chunk, range.start)
                            .map_err(|error| BlobError::io("read", &path, &error))?;
                        Ok((chunk.freeze(), (file, path, range.start + want as u64..range.end)))
                    });
                    next.await.map(Some)
                });
            Ok(BlobRead { size, stream: stream.boxed() })
        })
        .await
    }

    /// Gone already is gone.
    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let (root, path) = (self.root.clone(), self.path(key));
        blocking(move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                done => done.map_err(|error| BlobError::io("remove", &path, &error))?,
            }
            let Some(parent) = path.parent() else { return Ok(()) };
            // Absent: a neighbour's delete has pruned it, after a sync of its own.
            match sync_dir(parent) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BlobError::io("sync", parent, &error));
                }
                _ => {}
            }
            // An empty directory is nothing to keep; one with something in it refuses.
            parent
                .ancestors()
                .take_while(|dir| *dir != root && fs::remove_dir(dir).is_ok())
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

/// A blob on its way into a file.
pub(super) struct Session {
    home: Arc<Local>,
    key: BlobKey,
    lane: Lane<Staged>,
    stored: u64,
    placing: bool,
}

impl Session {
    /// Begins to write `piece`, once the piece before is written.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
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
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// On return the blob is there, and stays there when the power goes.
    pub(super) async fn finish(&mut self) -> Result<(), BlobError> {
        let staged = self.lane.take().await?;
        let (home, target) = (Arc::clone(&self.home), self.home.path(&self.key));
        self.placing = true;
        blocking(move || staged.place(&home.root, &target)).await
    }

    pub(super) async fn abort(&mut self) -> Result<(), BlobError> {
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
struct Staged {
    file: File,
    path: PathBuf,
    placed: bool,
}

impl Staged {
    fn create(path: PathBuf) -> Result<Self, BlobError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BlobError::io("make", &path, &error))?;
        Ok(Self { file, path, placed: false })
    }

    /// Makes the file durable, then gives it its name, durably.
    fn place(mut self, root: &Path, target: &Path) -> Result<(), BlobError> {
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
        let parent = target.parent().unwrap_or(root);
        // A neighbour's delete may remove the directory between the two steps: then again.
        let mut tries = 0;
        loop {
            tries += 1;
            let moved = make_dirs(root, parent).and_then(|()| fs::rename(&self.path, target));
            match moved {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 20 => {}
                Err(error) => return wrong("move a file to", target, error),
            }
        }
        self.placed = true;
        sync_dir(parent).or_else(|error| wrong("sync", parent, error))
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

/// `dir` and what is missing between it and `root`, each durable in its parent.
fn make_dirs(root: &Path, dir: &Path) -> io::Result<()> {
    if dir == root || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(root, parent)?;
        make_dir(dir)?;
        sync_dir(parent)?;
    }
    Ok(())
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn missing(doing: &str, path: &Path, error: &io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound {
        BlobError::NotFound(path.display().to_string())
    } else {
        BlobError::io(doing, path, error)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    spawn_blocking(work).await.map_err(|error| BlobError::died(&error))?
}
