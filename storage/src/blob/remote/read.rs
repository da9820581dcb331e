//! Reading an object to its end, across a connection that breaks.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{GetOptions, GetRange, GetResult, path::Path};
use tokio::time::timeout;

use super::{CALL, Remote};
use crate::blob::BlobError;

struct Read {
    home: Arc<Remote>,
    path: Path,
    etag: Option<String>,
    left: Range<u64>,
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    /// Bytes came since it was last begun: so beginning again gets somewhere.
    moved: bool,
}

/// The bytes of `result`. Where the connection breaks, the rest is asked for once more; where that
/// brings nothing either, the reader is told.
pub(super) fn resuming(
    home: Arc<Remote>,
    path: Path,
    result: GetResult,
) -> BoxStream<'static, Result<Bytes, BlobError>> {
    let (etag, left) = (result.meta.e_tag.clone(), result.range.clone());
    let chunks = result.into_stream();
    let read = Read { home, path, etag, left, chunks, moved: false };
    stream::try_unfold(read, |mut read| async move {
        let chunk = read.next().await?;
        Ok(chunk.map(|chunk| (chunk, read)))
    })
    .boxed()
}

impl Read {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            if self.left.is_empty() {
                return Ok(None);
            }
            let place = &self.home.place;
            let broken = match timeout(CALL, self.chunks.next()).await {
                Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
                Ok(Some(Ok(chunk))) => {
                    self.left.start += chunk.len() as u64;
                    self.moved = true;
                    return Ok(Some(chunk));
                }
                Ok(Some(Err(error))) => place.explain("read", &error),
                Ok(None) => BlobError::Unavailable(format!(
                    "{} ended {} bytes early",
                    self.path,
                    self.left.end - self.left.start
                )),
                Err(_) => place.silent("read", CALL),
            };
            if !self.moved {
                return Err(broken);
            }
            self.begin_again().await?;
        }
    }

    async fn begin_again(&mut self) -> Result<(), BlobError> {
        self.moved = false;
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.left.clone())),
            if_match: self.etag.clone(),
            ..GetOptions::default()
        };
        let again = self.home.api.get_opts(&self.path, options);
        self.chunks = self.home.call(CALL, "read", again).await?.into_stream();
        Ok(())
    }
}
