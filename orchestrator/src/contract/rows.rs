//! The attempt's row, kept abreast of what is stored in its name.

use std::sync::Arc;

use async_trait::async_trait;
use fileyard_storage::{
    Store, StoreError,
    attempt::{AttemptEvent, PendingMultipart},
    blob::{BlobKey, Recorder},
    id::{AttemptNo, JobId},
    upload::Multipart,
};

/// Names in the attempt's row what its outputs and log begin in the store.
pub(crate) struct AttemptRows {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) job: JobId,
    pub(crate) attempt: AttemptNo,
    pub(crate) key: BlobKey,
}

#[async_trait]
impl Recorder for AttemptRows {
    async fn begun(&self, multipart: &Multipart) -> Result<(), StoreError> {
        let pending = PendingMultipart { key: self.key.clone(), multipart: multipart.clone() };
        let event = AttemptEvent::BeginMultipart { pending };
        self.store.apply_to_attempt(self.job, self.attempt, event).await.map(drop)
    }

    /// The job's own heartbeat keeps its lease.
    async fn advanced(&self, _offset: u64) -> Result<(), StoreError> {
        Ok(())
    }
}
