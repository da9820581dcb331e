//! What is left of a job that was pruned: blobs that no row names any more, still to be removed.
//!
//! A job goes in one transaction with its attempts, with its upload where no other job has that, and
//! with the key of its request; this row is made in the same. Only then are its blobs removed, and at
//! last this row. So nobody finds a job of which half is there, and a crash leaves nothing for ever.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobKey,
    clock::Timestamp,
    error::StoreError,
    id::{JobId, Tenant},
    job::Job,
};

/// One pruned job's row. Whatever is stored under the job's own name is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The job that was.
    pub job: JobId,
    /// Whose it was.
    pub tenant: Tenant,
    /// Its input, where no other job has that.
    pub input: Option<BlobKey>,
}

/// The rows of pruned jobs, and how they come to be.
#[async_trait]
pub trait PrunedStore: Send + Sync {
    /// Prunes jobs that ended before `before`, the longest ended first, at most `limit`. One of whose
    /// attempts something may be left is not taken yet. Returns how many it was; fewer than there
    /// are, but never none, where their rows are so large that all of them would fill the memory.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Pruned jobs by id, behind `after`, at most `limit`.
    async fn pruned(&self, after: Option<JobId>, limit: usize) -> Result<Vec<Pruned>, StoreError>;

    /// Forgets pruned jobs whose blobs are removed.
    async fn forget_pruned(&self, jobs: Vec<JobId>) -> Result<(), StoreError>;
}

impl Pruned {
    /// What is left of `job`, whose input may be `shared` with another one.
    #[must_use]
    pub fn new(job: &Job, shared: bool) -> Self {
        let input = (!shared).then(|| job.asked.input.key.clone());
        Self { job: job.id(), tenant: job.asked.tenant.clone(), input }
    }
}
