//! A directory for something that takes a while: a download, a layer that is being unpacked.
//!
//! It is gone when the work ends, and when its process dies it is seen to be nobody's by its lock.
//! Which finished layers the work counts on is written in it, so that nobody prunes them before there
//! is an image that has them.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{ImageError, Place, digest::Digest, error::Context};
use crate::lock::Lock;

/// The file with what the work counts on, a digest a line.
const COUNTS_ON: &str = "layers";

/// A directory of one's own until it is dropped.
#[derive(Debug)]
pub(super) struct Work {
    dir: PathBuf,
    next: AtomicU64,
    _lock: Lock,
}

impl Work {
    /// Where something in it is.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where something new in it may be, whatever else is.
    pub(super) fn fresh(&self, what: &str) -> PathBuf {
        self.at(&format!("{what}-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// From now on nobody prunes this layer. Said before the layer is looked for, by who holds the
    /// store's lock.
    pub(super) fn count_on(&self, layer: &Digest, _held: &Lock) -> Result<(), ImageError> {
        let path = self.at(COUNTS_ON);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{}", layer.digits()));
        written.context(|| path.display().to_string())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "left for the next sweep");
        }
    }
}

impl Place {
    /// A new one. Between its making and its lock nobody sweeps, by the store's lock.
    pub(super) fn work(&self) -> Result<Work, ImageError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let _held = self.add()?;
        loop {
            let name = format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let dir = self.dir.join("work").join(name);
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                // A process that had this id before died.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.context(|| dir.display().to_string())?;
                    let lock =
                        Lock::attempt_directory(&dir).context(|| "a new directory's lock")?;
                    let lock = lock.expect("nobody sweeps, and nobody else knows the name");
                    return Ok(Work { dir, next: AtomicU64::new(0), _lock: lock });
                }
            }
        }
    }

    /// What dead processes left. By the store's lock nobody makes a new one meanwhile.
    pub(super) fn dead_work(&self, _held: &Lock) -> Result<Vec<(PathBuf, Lock)>, ImageError> {
        let mut dead = Vec::new();
        for dir in self.all_work()? {
            let Some(lock) = unless_gone(Lock::attempt_directory(&dir))?.flatten() else {
                continue;
            };
            // One that was gone by the time it was locked may have a successor of the same name.
            if lock.is_current().context(|| dir.display().to_string())? {
                dead.push((dir, lock));
            }
        }
        Ok(dead)
    }

    /// The layers that work under way counts on.
    pub(super) fn counted_on(&self, _held: &Lock) -> Result<BTreeSet<Digest>, ImageError> {
        let mut layers = BTreeSet::new();
        for dir in self.all_work()? {
            let text = unless_gone(fs::read_to_string(dir.join(COUNTS_ON)))?.unwrap_or_default();
            layers.extend(text.lines().filter_map(Digest::from_digits));
        }
        Ok(layers)
    }

    fn all_work(&self) -> Result<Vec<PathBuf>, ImageError> {
        let read = || {
            let all = fs::read_dir(self.dir.join("work"))?.map(|it| Ok(it?.path()));
            all.collect::<io::Result<Vec<_>>>()
        };
        read().context(|| "the image store's work")
    }
}

/// Removes what dead processes left.
pub(super) fn sweep(dead: &[(PathBuf, Lock)]) -> Result<(), ImageError> {
    for (dir, _lock) in dead {
        let removed: Option<()> = unless_gone(fs::remove_dir_all(dir))?;
        tracing::info!(dir = %dir.display(), gone = removed.is_none(), "swept what a crash left");
    }
    Ok(())
}

/// Work that ends removes its directory when it likes.
fn unless_gone<T>(done: io::Result<T>) -> Result<Option<T>, ImageError> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some).context(|| "the image store's work"),
    }
}

/// Makes what was just made in a directory, or renamed into it, outlive a power cut.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
