//! What was collected, into the blob store.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, OnceLock},
};

use bytes::BytesMut;
use fileyard_storage::{
    blob::{BlobError, BlobKey, BlobStore, Recorder, content_type},
    failpoint,
    job::Output,
};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::{fs::File, io::AsyncReadExt as _};

use super::{CollectError, Collected, blocking, collect::CollectedFile, descend};

/// Two: one file's last sync goes on while the next is read, and memory stays bounded.
const AT_ONCE: usize = 2;
const PIECE: usize = 256 * 1024;

/// Stores each file at the key of its place, and says what is there then: the manifest.
///
/// # Errors
/// The store's, as [`CollectError::Store`], or [`CollectError::Io`]. What was stored by then stays,
/// and is overwritten when this is repeated with the same keys. None of it is under way any more: what is
/// taken back later would be what a next try stored by the same name.
pub async fn store_outputs(
    collected: Collected,
    key: impl Fn(u32) -> BlobKey,
    recorder: impl Fn(&BlobKey) -> Arc<dyn Recorder>,
    blobs: &BlobStore,
) -> Result<(Value, Vec<Output>), CollectError> {
    let Collected { result, files, out } = collected;
    let out = Arc::new(out);
    let failure = OnceLock::new();
    let files = files.into_iter().zip(0..).take_while(|_| failure.get().is_none());
    let mut stored = stream::iter(files)
        .map(|(file, index)| {
            let key = key(index);
            let recorder = recorder(&key);
            store_one(Arc::clone(&out), file, key, recorder, blobs)
        })
        .buffered(AT_ONCE);
    let mut outputs = Vec::new();
    while let Some(output) = stored.next().await {
        match output {
            Ok(output) => outputs.push(output),
            Err(error) => {
                failure.get_or_init(|| error);
                continue;
            }
        }
        if outputs.len() == 1 {
            failpoint::hit("mid-collect");
        }
    }
    drop(stored);
    failure.into_inner().map_or(Ok((result, outputs)), Err)
}

async fn store_one(
    out: Arc<OwnedFd>,
    CollectedFile { name, size }: CollectedFile,
    key: BlobKey,
    recorder: Arc<dyn Recorder>,
    blobs: &BlobStore,
) -> Result<Output, CollectError> {
    let path = name.clone();
    let open = move || {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        descend::regular(descend::below(&*out, dir)?, name)
    };
    let (file, _) = blocking(open).await?;
    let mut file = File::from_std(file);
    let mut writer = blobs.writer(key, size, recorder);
    let mut piece = BytesMut::with_capacity(PIECE);
    while file.read_buf(&mut piece).await? > 0 {
        writer.write(piece.split().freeze()).await?;
        piece.reserve(PIECE);
    }
    if writer.offset() != size {
        writer.abort().await?;
        return Err(io::Error::other(format!("/out/{name} changed while it was read")).into());
    }
    let written = writer.finish().await?;
    Ok(Output {
        content_type: content_type(written.sniffed.as_deref(), &name),
        name,
        size: written.size,
        sha256: written.sha256,
        place: None,
    })
}

impl From<BlobError> for CollectError {
    fn from(error: BlobError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests;
