//! Attempts in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    StoreError,
    attempt::{Attempt, AttemptEvent, AttemptState, AttemptStore},
    id::{AttemptNo, JobId},
};

#[async_trait]
impl AttemptStore for MemoryStore {
    async fn attempt(&self, job: JobId, no: AttemptNo) -> Result<Option<Attempt>, StoreError> {
        Ok(self.tables().attempts.get(&(job, no)).cloned())
    }

    async fn unremoved(&self) -> Result<Vec<Attempt>, StoreError> {
        let tables = self.tables();
        let unremoved = tables
            .attempts
            .values()
            .filter(|attempt| !matches!(attempt.state, AttemptState::Removed { .. }));
        Ok(unremoved.cloned().collect())
    }

    async fn apply_to_attempt(
        &self,
        job: JobId,
        no: AttemptNo,
        event: AttemptEvent,
    ) -> Result<Attempt, StoreError> {
        let mut tables = self.tables();
        let attempt = tables
            .attempts
            .get(&(job, no))
            .ok_or_else(|| StoreError::NotFound(format!("attempt {no} of job {job}")))?;
        let attempt = attempt.apply_alone(&event)?;
        tables.attempts.insert((job, no), attempt.clone());
        Ok(attempt)
    }
}
