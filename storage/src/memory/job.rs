//! Jobs in memory.

use async_trait::async_trait;

use super::{MemoryStore, Tables};
use crate::{
    StoreError,
    attempt::{Attempt, AttemptChange},
    clock::Timestamp,
    id::{JobId, ProcessorName},
    job::{Job, JobEvent, JobFilter, JobState, JobStore, Params, QueueQuery, StateName},
};

#[async_trait]
impl JobStore for MemoryStore {
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.tables().jobs.get(&id).cloned())
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let tables = self.tables();
        let newest_first = tables.jobs.values().rev();
        let page = newest_first
            .filter(|job| before.is_none_or(|before| job.id() < before))
            .filter(|job| filter.state.is_none_or(|state| job.state.name() == state))
            .filter(|job| filter.processor.as_ref().is_none_or(|it| job.asked.processor == *it))
            .filter(|job| filter.batch.is_none_or(|batch| job.asked.batch == Some(batch)));
        Ok(page.take(limit).cloned().collect())
    }

    async fn apply(&self, id: JobId, event: JobEvent, now: Timestamp) -> Result<Job, StoreError> {
        let mut tables = self.tables();
        let job = tables.jobs.get(&id).ok_or_else(|| StoreError::NotFound(format!("job {id}")))?;
        let change = job.apply(&event, now)?;
        let attempt = match change.attempt {
            Some(attempt) => Some(tables.changed(id, attempt)?),
            None => None,
        };
        if let Some(attempt) = attempt {
            tables.attempts.insert((id, attempt.no), attempt);
        }
        tables.jobs.insert(id, change.job.clone());
        Ok(change.job)
    }

    async fn retry(
        &self,
        of: JobId,
        again: JobId,
        params: Params,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        let mut tables = self.tables();
        let job = tables.jobs.get(&of).ok_or_else(|| StoreError::NotFound(format!("job {of}")))?;
        let job = job.again(again, params, now)?;
        if tables.jobs.contains_key(&again) {
            return Err(StoreError::Conflict(format!("job {again}")));
        }
        tables.jobs.insert(again, job.clone());
        Ok(job)
    }

    async fn queued(&self, query: &QueueQuery) -> Result<Vec<Job>, StoreError> {
        let skipped = |processor: &ProcessorName| query.skip.contains(processor);
        let mut due = self.tables().queue();
        due.retain(|(_, job)| job.state.is_due(query.due_by) && !skipped(&job.asked.processor));
        due.truncate(query.limit);
        Ok(due.into_iter().map(|(_, job)| job).collect())
    }

    async fn waiting_since(&self, since: Timestamp, limit: usize) -> Result<Vec<Job>, StoreError> {
        let mut waiting = self.tables().queue();
        waiting.retain(|(from, _)| *from < since);
        waiting.truncate(limit);
        Ok(waiting.into_iter().map(|(_, job)| job).collect())
    }

    async fn running(&self) -> Result<Vec<Job>, StoreError> {
        let tables = self.tables();
        let running = tables.jobs.values().filter(|job| job.state.name() == StateName::Running);
        Ok(running.cloned().collect())
    }
}

impl Tables {
    /// Every queued job with the time it waits since, in the order they are to be claimed.
    fn queue(&self) -> Vec<(Timestamp, Job)> {
        let mut queue: Vec<_> = self
            .jobs
            .values()
            .filter_map(|job| match job.state {
                JobState::Queued { since, .. } => Some((since, job.clone())),
                _ => None,
            })
            .collect();
        // The map is in the order of ids and this sort keeps it among equals.
        queue.sort_by_key(|(since, _)| *since);
        queue
    }

    /// An attempt's row as its job's change makes it.
    fn changed(&self, job: JobId, change: AttemptChange) -> Result<Attempt, StoreError> {
        match change {
            AttemptChange::Begin(attempt) => Ok(*attempt),
            AttemptChange::Apply(no, event) => {
                let attempt = self.attempts.get(&(job, no)).ok_or_else(|| {
                    StoreError::Corrupt(format!("job {job} has no row for its attempt {no}"))
                })?;
                Ok(attempt.apply(&event)?)
            }
        }
    }
}
