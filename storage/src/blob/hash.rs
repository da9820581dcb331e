//! The digest of what passes, made beside the writing and not in its way.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{BlobError, Digest, lane::Lane};

/// A SHA-256 in the making, on a thread of its own.
pub(super) struct Hasher(Lane<Sha256>);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Lane::new(Sha256::new()))
    }

    /// Waits until the piece before is hashed, not until this one is.
    pub(super) async fn update(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.0
            .run(move |hash| {
                hash.update(&piece);
                Ok(())
            })
            .await
    }

    pub(super) async fn finish(&mut self) -> Result<Digest, BlobError> {
        Ok(Digest(self.0.take().await?.finalize().into()))
    }
}
