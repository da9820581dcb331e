//! One file on its way in. Dropped at any moment, it leaves nothing but an abandoned row.

use std::{mem, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use fileyard_storage::{
    Store, StoreError,
    blob::{BlobWriter, Recorder, content_type},
    clock::Clock,
    failpoint,
    id::UploadId,
    job::Input,
    upload::{Multipart, Upload, UploadEvent},
};

use super::{Intake, IntakeError, UPLOAD_LEASE};
use crate::processor::Processor;

/// After how many bytes the disk's room is looked at again.
const LOOK_EVERY: u64 = 16 << 20;

/// An upload that receives bytes.
pub struct Receiving {
    claim: Claim,
    writer: Option<BlobWriter>,
    /// Its type is known, and taken.
    checked: bool,
}

/// An upload whose bytes are all stored, and that is nobody's job yet.
pub struct Received {
    claim: Claim,
    input: Input,
}

impl Receiving {
    pub(super) fn new(intake: Intake, upload: Upload) -> Self {
        let recorder = UploadRows {
            store: Arc::clone(&intake.0.store),
            clock: Arc::clone(&intake.0.clock),
            upload: upload.id,
        };
        let mut writer =
            intake.0.blobs.upload(upload.key(), intake.0.limits.max_size, Arc::new(recorder));
        writer.set_patient(false);
        intake.live().insert(upload.id);
        Self { claim: Claim { intake, upload, held: true }, writer: Some(writer), checked: false }
    }

    /// At most so many bytes will come, where that was announced: a small file takes little memory.
    #[must_use]
    pub fn announced(mut self, bytes: Option<u64>) -> Self {
        if let (Some(writer), Some(bytes)) = (&mut self.writer, bytes) {
            writer.expect_at_most(bytes);
        }
        self
    }

    /// Waits for its first memory as for any: its request has had some before.
    #[must_use]
    pub fn patient(mut self, patient: bool) -> Self {
        if let Some(writer) = &mut self.writer {
            writer.set_patient(patient);
        }
        self
    }

    /// Waits for `next`, the client's bytes, once there is memory for them.
    ///
    /// # Errors
    /// [`IntakeError::TooManyUploads`], [`IntakeError::SlowUpload`], or what the store said. Drop
    /// the upload then.
    pub async fn listen<T>(&mut self, next: impl Future<Output = T>) -> Result<T, IntakeError> {
        let writer = self.writer.as_mut().expect("a receiving upload has its writer");
        Ok(writer.listen(next).await?)
    }

    /// Takes more of the file; returns when there is room for more.
    ///
    /// # Errors
    /// [`IntakeError::TooLarge`], [`IntakeError::UnsupportedType`], [`IntakeError::DiskFull`], or what the store said. Drop the upload then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), IntakeError> {
        let limit = self.claim.intake.0.limits.max_size;
        let writer = self.writer.as_mut().expect("a receiving upload has its writer");
        if writer.offset() + bytes.len() as u64 > limit {
            return Err(IntakeError::TooLarge { limit });
        }
        let before = writer.offset();
        writer.write(bytes).await?;
        if before / LOOK_EVERY != writer.offset() / LOOK_EVERY {
            self.claim.intake.must_have_room()?;
        }
        failpoint::hit("mid-body");
        self.check_type()
    }

    /// Refuses what its processor will not take, as soon as that is known: a client need not send
    /// all of it first.
    fn check_type(&mut self) -> Result<(), IntakeError> {
        let Self { claim, writer: Some(writer), checked: checked @ false } = self else {
            return Ok(());
        };
        let Claim { intake, upload, .. } = claim;
        let processor = upload.processor.as_ref().and_then(|name| intake.processors().get(name));
        match (processor, writer.content_type(&upload.name)) {
            (Some(processor), Some(content_type)) => {
                *checked = true;
                accepted(processor, &upload.name, &content_type)
            }
            _ => Ok(()),
        }
    }

    /// The file is whole.
    ///
    /// # Errors
    /// What the store said; the upload is then abandoned.
    pub async fn finish(mut self) -> Result<Received, IntakeError> {
        let writer = self.writer.take().expect("a receiving upload has its writer");
        let written = writer.finish().await?;
        let upload = &self.claim.upload;
        let input = Input {
            name: upload.name.clone(),
            content_type: content_type(written.sniffed.as_deref(), &upload.name),
            size: written.size,
            sha256: written.sha256,
            key: upload.key(),
        };
        let claim = self.claim.pass_on();
        Ok(Received { claim, input })
    }

    /// Gives it up, and returns when nothing of it is left.
    pub async fn abandon(mut self) {
        if let Some(writer) = self.writer.take() {
            give_up(writer, self.claim.pass_on()).await;
        }
    }
}

impl Received {
    /// What it is, as a job will know it.
    #[must_use]
    pub fn input(&self) -> &Input {
        &self.input
    }

    pub(super) fn upload(&self) -> &Upload {
        &self.claim.upload
    }

    /// Gives it up, and returns when nothing of it is left.
    pub async fn abandon(mut self) {
        self.claim.abandon().await;
    }

    /// It is a job's now.
    pub(super) fn keep(mut self) {
        self.claim.held = false;
        self.claim.intake.live().remove(&self.claim.upload.id);
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            let claim = self.claim.pass_on();
            let tasks = claim.intake.0.tasks.clone();
            // Not a `Receiving`: a runtime that ends drops this task, which would make another.
            tasks.spawn(give_up(writer, claim));
        }
    }
}

/// The writer goes before its row: nothing may land after the row says abandoned.
async fn give_up(writer: BlobWriter, mut claim: Claim) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(upload = %claim.upload.id, %error, "could not abort a write");
    }
    claim.abandon().await;
}

/// Whether a processor takes a file of this name and type.
pub(super) fn accepted(
    processor: &Processor,
    name: &str,
    content_type: &str,
) -> Result<(), IntakeError> {
    if processor.accepts(content_type, name) {
        return Ok(());
    }
    Err(IntakeError::UnsupportedType {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        accepts: processor.accepts.clone(),
    })
}

/// This process's claim on an upload: while it is held, a sweep leaves the upload alone; dropped
/// while held, it abandons the upload.
struct Claim {
    intake: Intake,
    upload: Upload,
    held: bool,
}

impl Claim {
    /// Moves it out of what is being dropped or taken apart; what stays behind holds nothing.
    fn pass_on(&mut self) -> Self {
        let held = mem::take(&mut self.held);
        Self { intake: self.intake.clone(), upload: self.upload.clone(), held }
    }

    async fn abandon(&mut self) {
        if mem::take(&mut self.held) {
            self.intake.abandon(self.upload.id).await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if mem::take(&mut self.held) {
            let (intake, id) = (self.intake.clone(), self.upload.id);
            self.intake.0.tasks.spawn(async move { intake.abandon(id).await });
        }
    }
}

/// Keeps an upload's row abreast of its writer.
struct UploadRows {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    upload: UploadId,
}

impl UploadRows {
    async fn apply(&self, event: UploadEvent) -> Result<(), StoreError> {
        self.store.apply_to_upload(self.upload, event, self.clock.now()).await.map(drop)
    }
}

#[async_trait]
impl Recorder for UploadRows {
    async fn begun(&self, multipart: &Multipart) -> Result<(), StoreError> {
        self.apply(UploadEvent::BeginMultipart { multipart: multipart.clone() }).await
    }

    async fn advanced(&self, offset: u64) -> Result<(), StoreError> {
        let lease_until = self.clock.now().after(UPLOAD_LEASE);
        self.apply(UploadEvent::Advance { offset, lease_until }).await
    }
}
