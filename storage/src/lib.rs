//! The model and all that is durable: rows (uploads, jobs, attempts) and blobs.
//!
//! This crate decides nothing: it holds the nouns, the rules of their lives, and the backends that
//! keep them. It knows no HTTP and starts no container.

pub mod attempt;
pub mod blob;
pub mod clock;
#[cfg(test)]
mod conformance;
pub mod error;
pub mod failpoint;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod memory;
pub mod pruned;
pub mod sqlite;
pub mod upload;

pub use error::StoreError;
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// All the rows of one install, behind one value.
///
/// The nouns' traits stand beside their rules; a backend implements all of them over one database,
/// so that one transaction may touch several.
#[async_trait::async_trait]
pub trait Store:
    job::JobStore
    + upload::UploadStore
    + attempt::AttemptStore
    + idempotency::IdempotencyStore
    + pruned::PrunedStore
{
    /// Whose rows these are: drawn once, when the database was made.
    fn install(&self) -> id::InstallId;

    /// Whether no other process can own anything here while this one lives. Then a predecessor is
    /// known to be dead and adoption waits for no lease.
    fn is_exclusive(&self) -> bool;

    /// Whether it can be written to now.
    async fn ready(&self) -> Result<(), StoreError>;
}
