//! What a backend does with the rows of jobs, and what it may be asked for.

use async_trait::async_trait;

use super::{Job, JobEvent, JobId, Params, StateName};
use crate::{
    clock::Timestamp,
    error::StoreError,
    id::{BatchId, ProcessorName},
};

/// Which jobs a list is of. Every field that is set narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<StateName>,
    /// Of this processor.
    pub processor: Option<ProcessorName>,
    /// Of this request.
    pub batch: Option<BatchId>,
}

/// Which queued jobs a dispatcher asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueQuery {
    /// Only those that are due then: see [`JobState::is_due`].
    pub due_by: Timestamp,
    /// Not of these processors: they have no slot, or are not configured.
    pub skip: Vec<ProcessorName>,
    /// At most so many.
    pub limit: usize,
}

/// The rows of jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// One job, if there is one.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs by id, newest first, older than `before`, at most `limit`; fewer, but never none, where
    /// their rows are so large that all of them would fill the memory.
    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError>;

    /// Loads, applies, and swaps if nobody was quicker; the attempt's row changes with it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the rules do not permit it, and then nothing was changed.
    async fn apply(&self, id: JobId, event: JobEvent, now: Timestamp) -> Result<Job, StoreError>;

    /// A new job that does again what an ended one was to do: see [`Job::again`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it has not ended, [`StoreError::Conflict`] when the new id is
    /// taken; nothing was changed.
    async fn retry(
        &self,
        of: JobId,
        again: JobId,
        params: Params,
        now: Timestamp,
    ) -> Result<Job, StoreError>;

    /// Queued jobs in the order they are to be claimed: by `since`, then by id.
    async fn queued(&self, query: &QueueQuery) -> Result<Vec<Job>, StoreError>;

    /// Queued jobs that have waited since before `since`, longest first, at most `limit`.
    async fn waiting_since(&self, since: Timestamp, limit: usize) -> Result<Vec<Job>, StoreError>;

    /// Every running job, oldest first.
    async fn running(&self) -> Result<Vec<Job>, StoreError>;
}
