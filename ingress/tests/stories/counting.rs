//! Rows that count how often a job is read, and do nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
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

pub(crate) struct Counting<S> {
    rows: S,
    jobs_read: Arc<AtomicUsize>,
}

impl<S> Counting<S> {
    pub(crate) fn new(rows: S, jobs_read: Arc<AtomicUsize>) -> Self {
        Self { rows, jobs_read }
    }
}

#[async_trait]
impl<S: Store> Store for Counting<S> {
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
impl<S: Store> JobStore for Counting<S> {
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.jobs_read.fetch_add(1, Ordering::SeqCst);
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
        self.rows.apply(id, event, now).await
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

#[async_trait]
impl<S: Store> UploadStore for Counting<S> {
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

#[async_trait]
impl<S: Store> AttemptStore for Counting<S> {
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
impl<S: Store> IdempotencyStore for Counting<S> {
    async fn key(&self, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError> {
        self.rows.key(key).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<(), StoreError> {
        self.rows.forget_keys(before).await
    }
}

#[async_trait]
impl<S: Store> PrunedStore for Counting<S> {
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
