//! What can go wrong with a row, in the words its caller needs to act on it.

use crate::job::Refusal;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such row: the id is well-formed and unknown.
    #[error("{0} is not known here")]
    NotFound(String),
    /// The row is there and its rules do not permit the change.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A row with that id or key is already there.
    #[error("{0} is already there")]
    Conflict(String),
    /// Another request has the idempotency key.
    #[error("another request has this idempotency key")]
    KeyTaken,
    /// The database could not be reached or read; nothing was changed, and trying again may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// COMMIT itself failed, so nobody knows whether the change is there. The process must end.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// A row that this version cannot read.
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
}
