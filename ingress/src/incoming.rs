//! A request's body on its way in: with a limit to its silences, and read on politely when its
//! answer is already known.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, header};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a body may stand still.
const IDLE: Duration = Duration::from_secs(30);
/// How long a refused body is read on, and how much of it: a client that still sends would take a
/// closed connection for a broken one, and never read why it was refused.
const DRAIN: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 64 * 1024 * 1024;

/// A body that arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: BodyDataStream,
    /// The client sends nothing before it is told to go on, which reading does.
    waits: bool,
    ended: bool,
}

/// Why a body does not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Nothing came for too long.
    #[error("no byte came for {} s", IDLE.as_secs())]
    Slow,
    /// The connection ended, or its framing is wrong.
    #[error("the body ended early: {0}")]
    Cut(String),
}

impl Incoming {
    /// The body of a request with these headers.
    #[must_use]
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        Self { stream: body.into_data_stream(), waits, ended: false }
    }

    /// More of it; `None` when it has ended as announced.
    ///
    /// # Errors
    /// [`BodyError`]; it has then ended.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.waits = false;
        let result = match timeout(IDLE, self.stream.next()).await {
            Ok(Some(Ok(bytes))) => return Ok(Some(bytes)),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(BodyError::Cut(error.to_string())),
            Err(_) => Err(BodyError::Slow),
        };
        self.ended = true;
        result
    }

    /// Reads on and forgets, within bounds, while the answer is on its way.
    pub(crate) async fn drain(mut self) {
        if self.waits || self.ended {
            return;
        }
        let until = Instant::now() + DRAIN;
        let mut left = DRAIN_BYTES;
        while let Ok(Some(Ok(bytes))) = timeout_at(until, self.stream.next()).await {
            let Some(rest) = left.checked_sub(bytes.len()) else { return };
            left = rest;
        }
    }
}
