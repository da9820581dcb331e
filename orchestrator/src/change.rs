//! Which jobs' rows change, told to whoever waits for one of them.
//!
//! [`Told`] stands before the rows and tells of every change, wherever it is made. What is told is
//! that something changed and never what: who hears it reads the row. Like any hint it may be lost,
//! for another process may write too, so whoever waits also looks now and then by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use fileyard_storage::{
    Store, StoreError,
    attempt::{Attempt, AttemptEvent, AttemptStore},
    clock::Timestamp,
    id::{AttemptNo, InstallId, JobId, UploadId},
    idempotency::{Idempotency, IdempotencyKey, IdempotencyStore, Settling},
    job::{Job, JobEvent, JobFilter, JobStore, Params, QueueQuery},
    pruned::{Pruned, PrunedStore},
    upload::{Arrival, Upload, UploadEvent, UploadStore},
};
use tokio::sync::watch;

/// Where changes are told and heard. Cheap to clone; it holds only what somebody waits for.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Mutex<HashMap<JobId, Heard>>>);

#[derive(Debug)]
struct Heard {
    count: watch::Sender<u64>,
    subscriptions: usize,
}

/// Hears of one job's changes, from its making until it is dropped.
#[derive(Debug)]
pub struct Subscription {
    changes: Changes,
    id: JobId,
    count: watch::Receiver<u64>,
}

impl Changes {
    /// Subscribes to one job. Whoever then reads the row misses nothing that comes after.
    #[must_use]
    pub fn of(&self, id: JobId) -> Subscription {
        let mut heard = self.heard();
        let entry = heard
            .entry(id)
            .or_insert_with(|| Heard { count: watch::Sender::new(0), subscriptions: 0 });
        entry.subscriptions += 1;
        Subscription { changes: self.clone(), id, count: entry.count.subscribe() }
    }

    /// How many jobs somebody waits for.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.heard().len()
    }

    fn tell(&self, id: JobId) {
        if let Some(heard) = self.heard().get(&id) {
            heard.count.send_modify(|count| *count += 1);
        }
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<JobId, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// How many changes were heard of so far; a receiver of it wakes with the next one.
    #[must_use]
    pub fn count(&self) -> watch::Receiver<u64> {
        self.count.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut heard = self.changes.heard();
        if let Some(entry) = heard.get_mut(&self.id) {
            entry.subscriptions -= 1;
            if entry.subscriptions == 0 {
                heard.remove(&self.id);
            }
        }
    }
}

/// Rows that tell of their changes. Everything that writes is to write through it.
pub struct Told<S> {
    rows: S,
    changes: Changes,
}

impl<S: Store> Told<S> {
    /// These rows, with their changes told there.
    #[must_use]
    pub fn new(rows: S, changes: Changes) -> Self {
        Self { rows, changes }
    }
}

#[async_trait]
impl<S: Store> Store for Told<S> {
    fn install(&self) -> InstallId {
        self.rows.install()
    }

    fn is_exclusive(&self) -> bool {
        self.rows.is_exclusive()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.rows.ready().await
    }
}

#[async_trait]
impl<S: Store> JobStore for Told<S> {
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.rows.job(id).await
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        self.rows.jobs(filter, before, limit).await
    }

    async fn apply(&self, id: JobId, event: JobEvent, now: Timestamp) -> Result<Job, StoreError> {
        let applied = self.rows.apply(id, event, now).await;
        // Also after an error: of a commit whose outcome is unknown nobody knows better.
        self.changes.tell(id);
        applied
    }

    async fn retry(
        &self,
        of: JobId,
        again: JobId,
        params: Params,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        self.rows.retry(of, again, params, now).await
    }

    async fn queued(&self, query: &QueueQuery) -> Result<Vec<Job>, StoreError> {
        self.rows.queued(query).await
    }

    async fn waiting_since(&self, since: Timestamp, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.rows.waiting_since(since, limit).await
    }

    async fn running(&self) -> Result<Vec<Job>, StoreError> {
        self.rows.running().await
    }
}

/// A job that is new has nobody who waits for it, so what makes one tells nothing.
#[async_trait]
impl<S: Store> UploadStore for Told<S> {
    async fn begin(&self, upload: Upload) -> Result<(), StoreError> {
        self.rows.begin(upload).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.rows.upload(id).await
    }

    async fn apply_to_upload(
        &self,
        id: UploadId,
        event: UploadEvent,
        now: Timestamp,
    ) -> Result<Upload, StoreError> {
        self.rows.apply_to_upload(id, event, now).await
    }

    async fn complete(
        &self,
        arrivals: Vec<Arrival>,
        settling: Option<Settling>,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        self.rows.complete(arrivals, settling, now).await
    }

    async fn receiving(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        self.rows.receiving(limit).await
    }

    async fn abandoned(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        self.rows.abandoned(limit).await
    }

    async fn forget_upload(&self, id: UploadId) -> Result<(), StoreError> {
        self.rows.forget_upload(id).await
    }
}

/// What changes in an attempt's row alone is no part of its job.
#[async_trait]
impl<S: Store> AttemptStore for Told<S> {
    async fn attempt(&self, job: JobId, no: AttemptNo) -> Result<Option<Attempt>, StoreError> {
        self.rows.attempt(job, no).await
    }

    async fn unremoved(&self) -> Result<Vec<Attempt>, StoreError> {
        self.rows.unremoved().await
    }

    async fn apply_to_attempt(
        &self,
        job: JobId,
        no: AttemptNo,
        event: AttemptEvent,
    ) -> Result<Attempt, StoreError> {
        self.rows.apply_to_attempt(job, no, event).await
    }
}

#[async_trait]
impl<S: Store> IdempotencyStore for Told<S> {
    async fn key(&self, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError> {
        self.rows.key(key).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<(), StoreError> {
        self.rows.forget_keys(before).await
    }
}

/// A job that is pruned ended long ago: nobody waits for it.
#[async_trait]
impl<S: Store> PrunedStore for Told<S> {
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.rows.prune(before, limit).await
    }

    async fn pruned(&self, after: Option<JobId>, limit: usize) -> Result<Vec<Pruned>, StoreError> {
        self.rows.pruned(after, limit).await
    }

    async fn forget_pruned(&self, jobs: Vec<JobId>) -> Result<(), StoreError> {
        self.rows.forget_pruned(jobs).await
    }
}
