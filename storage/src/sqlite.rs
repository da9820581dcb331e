//! All rows in one SQLite file below the data directory: durable with every reply.
//!
//! One thread writes (`writer.rs`), a few connections read (`readers.rs`), and no transaction lives
//! across an await. Whoever holds the data directory's lock owns everything in the file.
//!
//! A row is its noun as one JSON document, and every column that is queried is *generated* from that
//! document. A column can then not drift from the truth, the model can grow without a migration,
//! and nothing maps states to columns by hand.

mod attempt;
mod doc;
mod idempotency;
mod job;
mod lock;
mod open;
mod pruned;
mod readers;
mod upload;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

pub use self::{
    lock::{DataLock, LockError},
    open::{Looked, OpenError},
    writer::Counts,
};
use self::{
    readers::Readers,
    writer::{Turn, Writer},
};
use crate::{Store, StoreError, id::InstallId};

/// How long [`Store::ready`] waits for the writer.
const READY_WITHIN: Duration = Duration::from_secs(3);

/// Rows in SQLite.
///
/// The data directory's lock is held until this is dropped, which waits for what is being written.
#[derive(Debug)]
pub struct SqliteStore {
    install: InstallId,
    // Dropped in this order: the writer's connection, closed last, leaves no WAL behind.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens `data/fileyard.db`, made if it is not there, and takes the directory's lock.
    ///
    /// Blocks while it reads and, the first time, writes.
    ///
    /// # Errors
    /// [`OpenError`], whose text says what to do.
    pub fn open(data: &Path) -> Result<Self, OpenError> {
        Self::open_locked(DataLock::acquire(data)?)
    }

    /// As [`SqliteStore::open`], for a directory that is already locked.
    ///
    /// # Errors
    /// [`OpenError`], whose text says what to do.
    pub fn open_locked(lock: DataLock) -> Result<Self, OpenError> {
        let path = database(&lock);
        let (db, install) = open::writable(&path)?;
        let readers = Readers::open(&path)?;
        Ok(Self { install, readers, writer: Writer::start(db, lock)? })
    }

    /// Looks at the database in a directory that is already locked, and leaves it as it is: a schema
    /// of before stays, and what opened it before opens it again. `None` where there is none, or it
    /// is empty.
    ///
    /// # Errors
    /// [`OpenError`], as opening it would have had.
    pub fn look(lock: &DataLock) -> Result<Option<Looked>, OpenError> {
        let path = database(lock);
        if path.exists() { open::look(&path) } else { Ok(None) }
    }

    /// Becomes true when the outcome of a commit is unknown. The process must then end: only a new
    /// one can read from the file what was committed.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.writer.failed()
    }

    /// How many commands were written in how many commits, and how many in one.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.writer.counts()
    }
}

fn database(lock: &DataLock) -> PathBuf {
    lock.data().join("fileyard.db")
}

#[async_trait]
impl Store for SqliteStore {
    fn install(&self) -> InstallId {
        self.install
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let written = self.writer.run(Turn::First, |_| Ok(()));
        tokio::time::timeout(READY_WITHIN, written).await.unwrap_or_else(|_| {
            let silent = format!("nothing could be written for {} s", READY_WITHIN.as_secs());
            Err(StoreError::Unavailable(silent))
        })
    }
}

#[cfg(test)]
mod tests;
