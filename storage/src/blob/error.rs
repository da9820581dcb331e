//! What can go wrong with a blob, in words that say what to do about it.

use std::{io, path::Path};

use crate::StoreError;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("{0} is not in the store")]
    NotFound(String),
    /// The store could not be reached, or failed; trying again later may help.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store answers and will go on refusing until somebody changes the config, the keys, the
    /// bucket or this machine's clock.
    #[error("the store cannot be used: {0}")]
    Misconfigured(String),
    /// The store's marker names another install, whose blobs these are.
    #[error(
        "{store} holds the files of another install ({owner}), not of this one ({ours}). Give \
         this install a prefix or a directory of its own in store.url, or, if that other install \
         is gone for good, make this one its owner with `fileyard check --take-over-store`"
    )]
    OtherInstall {
        /// Which store.
        store: String,
        /// Whose it is.
        owner: String,
        /// Who asked.
        ours: String,
    },
    /// The disk or the store is full.
    #[error("no space is left: {0}")]
    NoSpace(String),
    /// More arrived than the writer was made for.
    #[error("larger than the {limit} bytes that were allowed")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// There was no memory for an upload's first part in time.
    #[error("too many uploads are under way; try again in a while")]
    Crowded,
    /// Others waited for the memory that this upload held and did not fill.
    #[error("the upload was too slow while others waited for its place")]
    Slow,
    /// The row that has to name what is in the store could not be written.
    #[error(transparent)]
    Row(#[from] StoreError),
}

impl BlobError {
    /// What an error of the file system means here; `doing` reads like "write".
    pub(super) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let text = format!("could not {doing} {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(text),
            _ => Self::Unavailable(text),
        }
    }

    /// A task of the store's own died, which is a bug that its caller must survive.
    pub(super) fn died(error: &tokio::task::JoinError) -> Self {
        Self::Unavailable(format!("a task of the store ended early: {error}"))
    }
}
