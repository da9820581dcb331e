//! A program's request body, as a stream with a limit to its silences.

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderMap, header};

use super::PATIENCE;
use crate::incoming::{BodyError, Incoming};

/// Its bytes as they come.
pub(super) fn stream(body: Body) -> impl Stream<Item = Result<Bytes, BodyError>> {
    let body = Some(Incoming::patient(body, PATIENCE));
    stream::unfold(body, async |body| {
        let mut body = body?;
        match body.chunk().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(body))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// How long it will be, where that was said.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
