//! A blob on its way into an object: one PUT where it fits in one part, else equal parts.
//!
//! A part is filled while the part before it is in flight, and no more is held. The service's id
//! of the upload is recorded before the first part is sent, because a service keeps the parts of
//! an upload that nobody ends.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{multipart::PartId, path::Path};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{JOIN, Remote, for_bytes};
use crate::{
    blob::{BlobError, BlobKey, Recorder, part::MAX_PARTS},
    upload::Multipart,
};

/// How long an abort waits for the part in flight. A part that lands after its upload was ended
/// may stay behind, so it is better to let it land first.
const LANDING: Duration = Duration::from_secs(10);

/// How long the service may take to begin an upload, and how long it is asked again for one.
const BEGIN: Duration = Duration::from_secs(15);

/// What the service has of a blob that is being written.
pub(in crate::blob) struct Session {
    home: Arc<Remote>,
    path: Path,
    part_size: u64,
    part: Vec<Bytes>,
    filled: u64,
    upload: Option<String>,
    landed: Vec<PartId>,
    stored: u64,
    flying: Option<Flying>,
    /// The service may have made an upload whose id never came.
    astray: bool,
    /// The object itself may be there, or may come to be.
    object: bool,
}

struct Flying {
    size: u64,
    task: JoinHandle<Result<PartId, BlobError>>,
}

impl Session {
    pub(in crate::blob) fn new(home: &Arc<Remote>, key: &BlobKey, part_size: u64) -> Self {
        Self {
            home: Arc::clone(home),
            path: home.path(&key.path()),
            part_size,
            part: Vec::new(),
            filled: 0,
            upload: None,
            landed: Vec::new(),
            stored: 0,
            flying: None,
            astray: false,
            object: false,
        }
    }

    /// Takes one piece. A full part goes out only when more follows: so a blob of exactly one part
    /// is one PUT.
    pub(in crate::blob) async fn write(
        &mut self,
        piece: Bytes,
        recorder: &dyn Recorder,
    ) -> Result<(), BlobError> {
        if self.filled >= self.part_size {
            self.send(recorder).await?;
        }
        self.filled += piece.len() as u64;
        self.part.push(piece);
        Ok(())
    }

    /// Sends a part that is full, though more may not follow: others wait for its memory.
    pub(in crate::blob) async fn flush(
        &mut self,
        recorder: &dyn Recorder,
    ) -> Result<(), BlobError> {
        if self.filled >= self.part_size { self.send(recorder).await } else { Ok(()) }
    }

    /// Bytes that the service has confirmed.
    pub(in crate::blob) fn stored(&self) -> u64 {
        self.stored
    }

    pub(in crate::blob) async fn finish(
        &mut self,
        recorder: &dyn Recorder,
    ) -> Result<(), BlobError> {
        if self.upload.is_none() {
            self.object = true;
            let whole = self.home.payload(self.part.drain(..));
            return self.home.put(&self.path, whole).await;
        }
        self.send(recorder).await?;
        self.land().await?;
        self.join().await
    }

    /// Sends the part that is filled, once the one before it has landed.
    async fn send(&mut self, recorder: &dyn Recorder) -> Result<(), BlobError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => self.begin(recorder).await?,
        };
        self.land().await?;
        let (index, size) = (self.landed.len(), self.filled);
        if index as u64 >= MAX_PARTS {
            return Err(BlobError::TooLarge { limit: self.part_size * MAX_PARTS });
        }
        let payload = self.home.payload(self.part.drain(..));
        self.filled = 0;
        let (home, path) = (Arc::clone(&self.home), self.path.clone());
        // A task, so that it goes on while the next part is filled. Where the body is signed (see
        // `s3`), that hashes the part once more, in this task: some milliseconds of a worker's time
        // for 8 MiB, and the service's own proof of what arrived.
        let task = tokio::spawn(async move {
            let put = home.api.put_part(&path, &upload, index, payload);
            home.call(for_bytes(usize::try_from(size).unwrap_or(usize::MAX)), "write", put).await
        });
        self.flying = Some(Flying { size, task });
        Ok(())
    }

    /// Asks for an upload, again where there was no answer. Each time may have made one whose id
    /// never came: those are ended as soon as one did.
    async fn begin(&mut self, recorder: &dyn Recorder) -> Result<String, BlobError> {
        let (from, mut pause) = (Instant::now(), Duration::from_millis(200));
        let id = loop {
            let begin = self.home.quick.create_multipart(&self.path);
            match self.home.call(BEGIN, "begin an upload of", begin).await {
                Ok(id) => break id,
                Err(BlobError::Unavailable(why)) => {
                    self.astray = true;
                    if from.elapsed() + pause > BEGIN {
                        return Err(BlobError::Unavailable(why));
                    }
                    tracing::debug!(why, "asking again for an upload");
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        };
        self.upload = Some(id.clone());
        if self.astray {
            self.home.abort_open_path(&self.path, Some(&id)).await?;
            self.astray = false;
        }
        recorder.begun(&Multipart { id: id.clone(), part_size: self.part_size }).await?;
        Ok(id)
    }

    async fn land(&mut self) -> Result<(), BlobError> {
        if let Some(flying) = &mut self.flying {
            let landed = (&mut flying.task).await.map_err(|error| BlobError::died(&error));
            self.stored += flying.size;
            self.flying = None;
            self.landed.push(landed??);
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<(), BlobError> {
        let Some(upload) = &self.upload else { return Ok(()) };
        self.object = true;
        let parts = std::mem::take(&mut self.landed);
        let join = || self.home.api.complete_multipart(&self.path, upload, parts.clone());
        match self.home.patient_call(JOIN, "join the parts of", join).await {
            Ok(_) => Ok(()),
            // No such upload: a first try went through and its answer was lost. The key is this
            // blob's alone, so what is there is what was joined.
            Err(BlobError::NotFound(_)) if self.home.size(&self.path).await == Ok(self.stored) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes everything back.
    pub(in crate::blob) async fn abort(&mut self) -> Result<(), BlobError> {
        self.part = Vec::new();
        if let Some(Flying { mut task, .. }) = self.flying.take()
            && timeout(LANDING, &mut task).await.is_err()
        {
            task.abort();
            // Its result is of no use: the upload ends either way.
            let _ = task.await;
        }
        if let Some(upload) = self.upload.take() {
            self.home.abort_path(&self.path, &upload).await?;
        }
        if std::mem::take(&mut self.astray) {
            self.home.abort_open_path(&self.path, None).await?;
        }
        if std::mem::take(&mut self.object) {
            self.home.delete_path(&self.path).await?;
        }
        Ok(())
    }
}
