//! The upload: bytes on their way in, with a row of their own from before the first byte.
//!
//! `receiving(lease) -> complete | abandoned`. A receiving upload is owned by the task that reads
//! it; what a dead owner left is abandoned, and an abandoned row stays as a tombstone until a
//! sweep has removed what may have landed late.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    blob::{BlobKey, Digest},
    clock::Timestamp,
    error::StoreError,
    id::{JobId, ProcessorName, Tenant, UploadId},
    idempotency::{Claim, Settling},
    job::{Job, NewJob, Refusal},
};

/// One upload's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The id its job will have.
    pub job: JobId,
    /// Null until the form that brings it has named one.
    pub processor: Option<ProcessorName>,
    /// As the sender named it.
    pub name: String,
    /// When it began.
    pub created_at: Timestamp,
    /// Its request's claim on an idempotency key, where the request brought one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Where it stands.
    pub state: UploadState,
}

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum UploadState {
    /// Bytes arrive.
    Receiving {
        /// Until when its owner may be silent.
        lease_until: Timestamp,
        /// Bytes that are in the store.
        offset: u64,
        /// The store's own upload, once one was begun.
        multipart: Option<Multipart>,
    },
    /// All bytes are in the store, and a job has them.
    Complete {
        /// Bytes.
        size: u64,
        /// Of the whole content.
        sha256: Digest,
        /// Sniffed, else by extension.
        content_type: String,
    },
    /// There will be no job; whatever landed is to be removed.
    Abandoned {
        /// Since when.
        at: Timestamp,
        /// The store's own upload, to be aborted.
        multipart: Option<Multipart>,
    },
}

/// An upload as an S3-compatible store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multipart {
    /// The store's id.
    pub id: String,
    /// All parts but the last are of this size.
    pub part_size: u64,
}

/// What may be done to an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadEvent {
    /// The store gave it an id: to be recorded before the first part.
    BeginMultipart {
        /// The store's.
        multipart: Multipart,
    },
    /// Bytes are in the store.
    Advance {
        /// How many in all.
        offset: u64,
        /// Until when its owner may be silent.
        lease_until: Timestamp,
    },
    /// All bytes are in the store.
    Complete {
        /// Bytes.
        size: u64,
        /// Of the whole content.
        sha256: Digest,
        /// Sniffed, else by extension.
        content_type: String,
    },
    /// There will be no job.
    Abandon,
}

/// One file of a request that is complete: its upload's last event, and the job that gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its upload.
    pub upload: UploadId,
    /// The job.
    pub job: NewJob,
}

/// The rows of uploads.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// A new row. Its claim, if it has one, is made with it or stands already.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the reserved job id is taken,
    /// [`StoreError::KeyTaken`] when another request has its key.
    async fn begin(&self, upload: Upload) -> Result<(), StoreError>;

    /// One upload, if there is one.
    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError>;

    /// Loads, applies, stores. An upload that is abandoned frees the key that it had claimed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the rules do not permit it; [`UploadEvent::Complete`] comes only
    /// by [`UploadStore::complete`].
    async fn apply_to_upload(
        &self,
        id: UploadId,
        event: UploadEvent,
        now: Timestamp,
    ) -> Result<Upload, StoreError>;

    /// Every upload complete and every job queued, in one transaction, with what is remembered of
    /// their request; the jobs in the same order.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when any of the uploads is not receiving, [`StoreError::Conflict`]
    /// when a job's id is not the one its upload reserved, [`StoreError::KeyTaken`] when the claim
    /// does not stand any more; nothing was changed.
    async fn complete(
        &self,
        arrivals: Vec<Arrival>,
        settling: Option<Settling>,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError>;

    /// Uploads that receive, oldest first, at most `limit`.
    async fn receiving(&self, limit: usize) -> Result<Vec<Upload>, StoreError>;

    /// Uploads that are abandoned, the longest abandoned first, at most `limit`.
    async fn abandoned(&self, limit: usize) -> Result<Vec<Upload>, StoreError>;

    /// Forgets an abandoned upload; any other is left as it is.
    async fn forget_upload(&self, id: UploadId) -> Result<(), StoreError>;
}

impl Upload {
    /// Where its bytes are.
    #[must_use]
    pub fn key(&self) -> BlobKey {
        BlobKey::Input { tenant: self.tenant.clone(), upload: self.id }
    }

    /// What `event` makes of this upload, or why it may not.
    ///
    /// # Errors
    /// [`Refusal`]; the upload is then as it was.
    pub fn apply(&self, event: &UploadEvent, now: Timestamp) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let UploadState::Receiving { lease_until, offset, multipart } = &mut next.state else {
            return Err(Refusal::NoSuchEdge {
                noun: "upload",
                from: self.state.name(),
                event: event.name(),
            });
        };
        match event {
            // The row can name one: a second would leave the first in the store for ever.
            UploadEvent::BeginMultipart { multipart: begun }
                if multipart.as_ref().is_some_and(|there| there != begun) =>
            {
                let event = "begin a second multipart upload";
                return Err(Refusal::NoSuchEdge { noun: "upload", from: "receiving", event });
            }
            UploadEvent::BeginMultipart { multipart: begun } => *multipart = Some(begun.clone()),
            UploadEvent::Advance { offset: to, lease_until: until } => {
                *offset = (*offset).max(*to);
                *lease_until = *until;
            }
            UploadEvent::Complete { size, sha256, content_type } => {
                next.state = UploadState::Complete {
                    size: *size,
                    sha256: *sha256,
                    content_type: content_type.clone(),
                };
            }
            UploadEvent::Abandon => {
                next.state = UploadState::Abandoned { at: now, multipart: multipart.take() };
            }
        }
        Ok(next)
    }
}

impl Upload {
    /// As [`Upload::apply`], for an event that does not come with a new job. To become complete is
    /// refused here: the upload and its job are one change.
    ///
    /// # Errors
    /// [`Refusal`]; the upload is then as it was.
    pub fn apply_alone(&self, event: &UploadEvent, now: Timestamp) -> Result<Self, Refusal> {
        if let UploadEvent::Complete { .. } = event {
            let (noun, event) = ("upload", event.name());
            return Err(Refusal::OnlyTogether { noun, event, with: "job" });
        }
        self.apply(event, now)
    }
}

impl Arrival {
    /// Its upload as complete and its job as queued, or why not.
    ///
    /// # Errors
    /// As [`UploadStore::complete`].
    pub fn land(&self, upload: &Upload, now: Timestamp) -> Result<(Upload, Job), StoreError> {
        let complete = upload.apply(&self.completion(), now)?;
        if self.job.id != upload.job || self.job.upload != upload.id {
            let there = format!("upload {}, with the job id {} reserved,", upload.id, upload.job);
            return Err(StoreError::Conflict(there));
        }
        Ok((complete, Job::new(self.job.clone(), now)))
    }

    /// The last event of its upload.
    #[must_use]
    pub fn completion(&self) -> UploadEvent {
        let input = &self.job.input;
        UploadEvent::Complete {
            size: input.size,
            sha256: input.sha256,
            content_type: input.content_type.clone(),
        }
    }
}

impl UploadState {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Receiving { .. } => "receiving",
            Self::Complete { .. } => "complete",
            Self::Abandoned { .. } => "abandoned",
        }
    }
}

impl UploadEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::BeginMultipart { .. } => "begin its multipart upload",
            Self::Advance { .. } => "advance",
            Self::Complete { .. } => "become complete",
            Self::Abandon => "be abandoned",
        }
    }
}

#[cfg(test)]
mod tests;
