//! The finished log, from its directory into the blob store.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use fileyard_storage::{
    attempt::StoredLog,
    blob::{BlobError, BlobKey, BlobStore, Recorder},
    id::Fence,
};

use super::{
    live::{Live, Step},
    record::Text,
    render::Renderer,
};

/// More than the bounds of a log let through, even where it is nothing but short lines.
const MAX_SIZE: u64 = 128 * 1024 * 1024;

/// Stores the log in `dir`, as one blob of the same records. No directory is an empty log.
///
/// # Errors
/// The store's; a directory that cannot be read is [`BlobError::Unavailable`] too. It may be tried
/// again under the same key.
pub async fn store(
    dir: &Path,
    blobs: &BlobStore,
    key: BlobKey,
    fence: Fence,
    recorder: Arc<dyn Recorder>,
) -> Result<StoredLog, BlobError> {
    let mut live = Live::open(dir);
    let mut writer = blobs.writer(key, MAX_SIZE, recorder);
    let mut renderer = Renderer::new(false);
    let mut bare = Vec::new();
    let (mut text_size, mut dropped) = (0, Some(0));
    loop {
        let records = match live.next().await {
            Ok(Step::Records(records)) => records,
            Ok(Step::End | Step::Gone) => break,
            // Our own disk will not read better later, and a job does not wait for its log.
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the rest of a log could not be read");
                dropped = None;
                break;
            }
        };
        let mut lines = Vec::new();
        for record in &records {
            record.write_to(&mut lines);
            renderer.render(record, &mut bare);
            text_size += bare.len() as u64;
            bare.clear();
            if let Text::Gap(missing) = record.text {
                dropped = dropped.zip(missing).map(|(dropped, missing)| dropped + missing);
            }
        }
        writer.write(Bytes::from(lines)).await?;
    }
    let written = writer.finish().await?;
    Ok(StoredLog { fence, size: written.size, text_size, dropped })
}
