//! A request's body on its way in, with a limit to its silences.
//!
//! What is not read of it, because the answer is known before, is nobody's concern here: the
//! accept loop reads on for a while, so that the answer arrives.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use fileyard_storage::blob::Digest;
use futures::StreamExt;
use tokio::time::timeout;

use crate::digest::Hash;

/// How long a stranger's body may stand still.
const IDLE: Duration = Duration::from_secs(30);

/// A body that arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: BodyDataStream,
    idle: Duration,
    /// Of what was read, where that is wanted.
    hash: Option<Hash>,
}

/// Why a body does not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Nothing came for too long.
    #[error("no byte came for {} s", .0.as_secs())]
    Slow(Duration),
    /// The connection ended, or its framing is wrong.
    #[error("the body ended early: {0}")]
    Cut(String),
}

impl Incoming {
    /// A request's body. A client that waits to be told to go on is told so by the first read.
    #[must_use]
    pub(crate) fn new(body: Body) -> Self {
        Self::patient(body, IDLE)
    }

    /// The same, of a client that is known to think while it writes.
    #[must_use]
    pub(crate) fn patient(body: Body, idle: Duration) -> Self {
        Self { stream: body.into_data_stream(), idle, hash: None }
    }

    /// Wants the digest of all that is read from now on.
    pub(crate) fn hash(&mut self) {
        self.hash = Some(Hash::default());
    }

    /// The digest of what was read since; of no byte where it was not wanted.
    pub(crate) fn digest(&mut self) -> Digest {
        self.hash.take().unwrap_or_default().finish()
    }

    /// More of it; `None` when it has ended as announced.
    ///
    /// # Errors
    /// [`BodyError`]; it has then ended.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        match timeout(self.idle, self.stream.next()).await {
            Ok(Some(Ok(bytes))) => {
                if let Some(hash) = &mut self.hash {
                    hash.update(&bytes);
                }
                Ok(Some(bytes))
            }
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(BodyError::Cut(error.to_string())),
            Err(_) => Err(BodyError::Slow(self.idle)),
        }
    }
}
