//! Blobs: their keys, and the one store that keeps them.
//!
//! Every key is a variant of [`BlobKey`] and nothing else formats a path. Keys are ASCII and made
//! of ids alone: file names live in rows.

mod store;

#[cfg(feature = "bench")]
mod bench;
mod claim;
mod config;
mod digest;
mod error;
mod hash;
mod key;
mod lane;
mod lease;
mod local;
mod part;
mod piece;
mod remote;
mod room;
mod seat;
mod sniff;
mod writer;

pub use self::{
    config::BlobConfig,
    digest::Digest,
    error::BlobError,
    key::BlobKey,
    room::Patience,
    sniff::content_type,
    store::{BlobRead, BlobStore},
    writer::BlobWriter,
};

use async_trait::async_trait;

use crate::{StoreError, upload::Multipart};

/// Told what a writer does in the store, so that a row can name it before it is there.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// The store gave the blob an upload id. Called before the first part is sent; when this fails
    /// the writer aborts the upload and fails.
    async fn begun(&self, multipart: &Multipart) -> Result<(), StoreError>;

    /// So many bytes in all are in the store's hands.
    async fn advanced(&self, offset: u64) -> Result<(), StoreError>;
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// In bytes.
    pub size: u64,
    /// Of the whole content.
    pub sha256: Digest,
    /// Sniffed from the first bytes, if they are of a known kind.
    pub sniffed: Option<String>,
}
