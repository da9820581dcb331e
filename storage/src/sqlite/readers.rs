//! A few connections that read, each on a blocking thread while it does.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::{self, OpenError};
use crate::StoreError;

/// How many reads go on at once; the others wait their turn without a thread.
const READERS: usize = 4;

/// A pool of connections.
#[derive(Debug)]
pub(super) struct Readers {
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let idle: Result<Vec<_>, _> = (0..READERS).map(|_| open::readable(path)).collect();
        let idle = idle.map_err(|error| OpenError::of(path, &error))?;
        Ok(Self { turns: Arc::new(Semaphore::new(READERS)), idle: Arc::new(Mutex::new(idle)) })
    }

    /// What `f` reads. Nothing of it stays open when this returns.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable("it is being closed".into());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| closed())?;
        let pool = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let db = lock(&pool).pop().ok_or_else(closed)?;
            let read = f(&db);
            lock(&pool).push(db);
            // Held until here, also when whoever asked has gone away meanwhile.
            drop(turn);
            read
        });
        read.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

fn lock(pool: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
