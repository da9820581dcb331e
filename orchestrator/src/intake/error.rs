//! Why a client's wish was refused, with what it needs to ask better.

use fileyard_storage::{StoreError, blob::BlobError, id::JobId};

use crate::processor::{BadParam, NoSuchProcessor};

/// Why intake did not do what a client asked. Nothing is half-done behind it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// No processor of that name, or none was named and there is no default.
    #[error(transparent)]
    Processor(#[from] NoSuchProcessor),
    /// A param is undeclared, missing or out of bounds.
    #[error(transparent)]
    Param(#[from] BadParam),
    /// The processor does not take files like this one.
    #[error("{name:?} is {content_type}, which is not accepted; accepted: {}", accepts.join(", "))]
    UnsupportedType {
        /// The file.
        name: String,
        /// What its content says it is.
        content_type: String,
        /// What would be taken.
        accepts: Vec<String>,
    },
    /// The file is larger than `uploads.max_size`.
    #[error("the file is larger than {limit} bytes, the largest that is taken")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The request has no file.
    #[error("the request has no file")]
    NoFile,
    /// No such job.
    #[error("job {0} is not known here")]
    UnknownJob(JobId),
    /// Another request with the same idempotency key is not answered yet.
    #[error("another request with this Idempotency-Key is still under way; repeat this one later")]
    KeyInProgress,
    /// The idempotency key was another request's.
    #[error(
        "this Idempotency-Key was used for another request: other files, names, processor or params"
    )]
    KeyMismatch,
    /// The job's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The store of blobs did not do its part; trying again may help.
    #[error("the store is not available: {0}")]
    StoreUnavailable(String),
    /// No room for the file.
    #[error("there is no room for the file: {0}")]
    DiskFull(String),
    /// There was no memory for its first part in time; trying again later may help.
    #[error(
        "too many uploads are under way, and none of them made room in time; try again in a while"
    )]
    TooManyUploads,
    /// Others waited for the memory that it held and did not fill.
    #[error(
        "others waited while this upload sent less than 64 KiB a second for 30 s; try again later, \
         or from a faster link"
    )]
    SlowUpload,
    /// The database did not do its part; trying again may help.
    #[error("the database is not available: {0}")]
    DatabaseUnavailable(String),
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<BlobError> for IntakeError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NoSpace(detail) => Self::DiskFull(detail),
            BlobError::Row(error) => error.into(),
            BlobError::TooLarge { limit } => Self::TooLarge { limit },
            BlobError::Crowded => Self::TooManyUploads,
            BlobError::Slow => Self::SlowUpload,
            other => Self::StoreUnavailable(other.to_string()),
        }
    }
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::KeyTaken => Self::KeyInProgress,
            StoreError::Refused(refusal) => Self::Conflict(refusal.to_string()),
            other => Self::DatabaseUnavailable(other.to_string()),
        }
    }
}
