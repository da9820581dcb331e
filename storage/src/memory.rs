//! All rows in memory: a small, real store for tests and for trying things out.
//!
//! It keeps nothing. Every change is made under one lock and is there in whole or not at all: a
//! method first computes all rows as they will be, and only then puts them in.

mod attempt;
mod idempotency;
mod job;
mod pruned;
mod upload;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    Store, StoreError,
    attempt::Attempt,
    id::{AttemptNo, InstallId, JobId, UploadId},
    idempotency::{Idempotency, IdempotencyKey},
    job::Job,
    pruned::Pruned,
    upload::Upload,
};

/// Rows in memory. A clone is another handle on the same rows.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    install: InstallId,
    exclusive: bool,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    jobs: BTreeMap<JobId, Job>,
    uploads: BTreeMap<UploadId, Upload>,
    attempts: BTreeMap<(JobId, AttemptNo), Attempt>,
    keys: BTreeMap<IdempotencyKey, Idempotency>,
    pruned: BTreeMap<JobId, Pruned>,
}

impl MemoryStore {
    /// An empty store that several owners may share: adoption waits for a lease.
    #[must_use]
    pub fn new(install: InstallId) -> Self {
        Self { install, exclusive: false, tables: Arc::default() }
    }

    /// The same rows for a sole owner, as a locked data directory has: adoption waits for nothing.
    #[must_use]
    pub fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No method panics between two writes, so what a poisoned lock guards is whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn install(&self) -> InstallId {
        self.install
    }

    fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::conformance::store_conformance!(|| Box::new(MemoryStore::new(InstallId::new())));
}
