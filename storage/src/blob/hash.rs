//! The digest of what passes, made beside the writing and not in its way.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{BlobError, Digest, lane::Lane};

/// A SHA-256 in the making, on a thread of its own.
pub(super) enum Hasher {
    On(Lane<Sha256>),
    #[cfg(feature = "bench")]
    Off,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self::On(Lane::new(Sha256::new()))
    }

    /// Waits until the piece before is hashed, not until this one is.
    pub(super) async fn update(&mut self, piece: Bytes) -> Result<(), BlobError> {
        match self {
            Self::On(lane) => {
                let step = move |hash: &mut Sha256| {
                    hash.update(&piece);
                    Ok(())
                };
                lane.run(step).await
            }
            #[cfg(feature = "bench")]
            Self::Off => Ok(()),
        }
    }

    pub(super) async fn finish(&mut self) -> Result<Digest, BlobError> {
        match self {
            Self::On(lane) => Ok(Digest(lane.take().await?.finalize().into())),
            #[cfg(feature = "bench")]
            Self::Off => Ok(super::bench::NO_DIGEST),
        }
    }
}
