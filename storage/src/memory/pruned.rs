//! Pruned jobs in memory.

use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, Tables};
use crate::{
    StoreError,
    attempt::{Attempt, AttemptState},
    clock::Timestamp,
    id::JobId,
    job::Job,
    pruned::{Pruned, PrunedStore},
};

#[async_trait]
impl PrunedStore for MemoryStore {
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut tables = self.tables();
        let mut ended = tables.ended(before);
        ended.truncate(limit);
        ended.iter().for_each(|job| tables.prune(job));
        Ok(ended.len())
    }

    async fn pruned(&self, after: Option<JobId>, limit: usize) -> Result<Vec<Pruned>, StoreError> {
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let tables = self.tables();
        let pruned = tables.pruned.range(behind).map(|(_, pruned)| pruned);
        Ok(pruned.take(limit).cloned().collect())
    }

    async fn forget_pruned(&self, jobs: Vec<JobId>) -> Result<(), StoreError> {
        let mut tables = self.tables();
        jobs.iter().for_each(|job| drop(tables.pruned.remove(job)));
        Ok(())
    }
}

impl Tables {
    /// What ended before then and has nothing left to clean up, the longest ended first.
    fn ended(&self, before: Timestamp) -> Vec<Job> {
        let removed = |it: &Attempt| matches!(it.state, AttemptState::Removed { .. });
        let mut ended: Vec<_> = self
            .jobs
            .values()
            .filter_map(|job| Some((job.finished_at.filter(|at| *at < before)?, job)))
            .filter(|(_, job)| !self.attempts.values().any(|it| it.job == job.id() && !removed(it)))
            .collect();
        ended.sort_by_key(|(at, _)| *at);
        ended.into_iter().map(|(_, job)| job.clone()).collect()
    }

    fn prune(&mut self, job: &Job) {
        let (id, upload) = (job.id(), job.asked.upload);
        let shared = self.jobs.values().any(|it| it.id() != id && it.asked.upload == upload);
        if let Some(claim) = self.uploads.get(&upload).and_then(|upload| upload.claim.as_ref())
            && self.keys.get(&claim.key).is_some_and(|row| row.made(id))
        {
            self.keys.remove(&claim.key);
        }
        if !shared {
            self.uploads.remove(&upload);
        }
        self.attempts.retain(|(of, _), _| *of != id);
        self.jobs.remove(&id);
        self.pruned.insert(id, Pruned::new(job, shared));
    }
}
