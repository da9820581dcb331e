//! Intake: every write that a client may ask for. It needs storage alone, no engine.
//!
//! The order of an upload is the promise: its row before its first byte, its bytes, then one
//! transaction that completes it and queues its job; only then is anything acknowledged. Whatever
//! is dropped on the way is abandoned, and what a crash leaves is abandoned by a sweep.

mod error;
mod once;
mod receiving;

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fileyard_storage::{
    Store, StoreError,
    blob::BlobStore,
    clock::{Clock, Timestamp},
    failpoint,
    id::{BatchId, JobId, ProcessorName, Tenant, UploadId},
    job::{Job, JobEvent, NewJob},
    upload::{Arrival, Upload, UploadEvent, UploadState},
};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use self::{
    error::IntakeError,
    once::{Earlier, Once},
    receiving::{Received, Receiving},
};
use crate::{
    disk::Disk,
    hint::{Hint, Hints},
    processor::Processors,
};

/// How long a key is remembered.
const KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long an upload's owner may be silent.
pub const UPLOAD_LEASE: Duration = Duration::from_secs(30);

/// Accepts uploads, makes jobs of them, and cancels jobs. Cheap to clone.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

/// What uploads are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// A file, in bytes.
    pub max_size: u64,
    /// Files in one request.
    pub max_files: usize,
}

/// What the files of a request are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// The processor's name as the client wrote it; none for the default one.
    pub processor: Option<String>,
    /// The params as the client wrote them.
    pub params: BTreeMap<String, String>,
    /// The request's own key, where it brought one.
    pub once: Option<Once>,
}

/// What a request became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Set when it brought several files.
    pub batch: Option<BatchId>,
    /// In file order.
    pub jobs: Vec<Job>,
    /// Whether that was so before: the request repeats one that was answered.
    pub repeated: bool,
}

struct Inner {
    store: Arc<dyn Store>,
    blobs: BlobStore,
    clock: Arc<dyn Clock>,
    processors: Processors,
    limits: UploadLimits,
    disk: Disk,
    hints: Hints,
    tasks: TaskTracker,
    /// Uploads that a task of this process owns: a sweep keeps their leases and leaves them alone.
    live: Mutex<HashSet<UploadId>>,
}

impl Intake {
    /// An intake over these stores.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        blobs: BlobStore,
        clock: Arc<dyn Clock>,
        processors: Processors,
        limits: UploadLimits,
        disk: Disk,
        hints: Hints,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            blobs,
            clock,
            processors,
            limits,
            disk,
            hints,
            tasks: TaskTracker::new(),
            live: Mutex::default(),
        }))
    }

    /// What can be asked for.
    #[must_use]
    pub fn processors(&self) -> &Processors {
        &self.0.processors
    }

    /// What uploads are held to.
    #[must_use]
    pub fn limits(&self) -> UploadLimits {
        self.0.limits
    }

    /// Runs `task` to its end even when nobody waits for it any more; a drain waits for it.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.0.tasks.spawn(task)
    }

    /// Waits until every tracked task has ended; new uploads are refused from now on.
    pub async fn drain(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Begins an upload: its row is committed when this returns, and no byte is stored before.
    ///
    /// # Errors
    /// [`IntakeError`]; nothing is left behind.
    pub async fn begin(
        &self,
        name: &str,
        processor: Option<&ProcessorName>,
    ) -> Result<Receiving, IntakeError> {
        self.begin_once(name, processor, None).await
    }

    /// As [`Intake::begin`], for a request with a key, which is claimed with the row.
    ///
    /// # Errors
    /// [`IntakeError::KeyInProgress`] also where another request was quicker.
    pub async fn begin_once(
        &self,
        name: &str,
        processor: Option<&ProcessorName>,
        once: Option<&Once>,
    ) -> Result<Receiving, IntakeError> {
        if self.0.tasks.is_closed() {
            return Err(IntakeError::ShuttingDown);
        }
        self.must_have_room()?;
        let now = self.0.clock.now();
        let upload = Upload {
            id: UploadId::new(),
            tenant: Tenant::default(),
            job: JobId::new(),
            processor: processor.cloned(),
            name: name.to_owned(),
            created_at: now,
            claim: once.map(Once::claim),
            state: UploadState::Receiving {
                lease_until: now.after(UPLOAD_LEASE),
                offset: 0,
                multipart: None,
            },
        };
        // Owned before its row is there, so that no sweep can see the row without its owner.
        let receiving = Receiving::new(self.clone(), upload.clone());
        self.0.store.begin(upload).await?;
        failpoint::hit("upload-row");
        Ok(receiving)
    }

    fn must_have_room(&self) -> Result<(), IntakeError> {
        self.0.disk.low().map_or(Ok(()), |low| Err(IntakeError::DiskFull(low)))
    }

    /// Makes jobs of complete uploads: all of them in one transaction, or none.
    ///
    /// # Errors
    /// [`IntakeError`]; the uploads are then abandoned.
    pub async fn submit(
        &self,
        files: Vec<Received>,
        order: Order,
    ) -> Result<Submitted, IntakeError> {
        match self.try_submit(&files, order).await {
            Ok(submitted) => {
                for file in files {
                    file.keep();
                }
                self.0.hints.send(Hint::Queued);
                Ok(submitted)
            }
            Err(error) => {
                for file in files {
                    file.abandon().await;
                }
                Err(error)
            }
        }
    }

    async fn try_submit(&self, files: &[Received], order: Order) -> Result<Submitted, IntakeError> {
        if files.is_empty() {
            return Err(IntakeError::NoFile);
        }
        let processor = self.0.processors.choose(order.processor.as_deref())?;
        let params = processor.check_params(&order.params)?;
        let settling = order.once.as_ref().map(|once| {
            let each = files.iter().map(|file| (&file.input().name[..], file.input().sha256));
            once.settling(order.fingerprint(each))
        });
        let batch = (files.len() > 1).then(BatchId::new);
        let mut arrivals = Vec::with_capacity(files.len());
        for file in files {
            let input = file.input();
            receiving::accepted(processor, &input.name, &input.content_type)?;
            let job = NewJob {
                id: file.upload().job,
                tenant: file.upload().tenant.clone(),
                processor: processor.name.clone(),
                params: params.clone(),
                upload: file.upload().id,
                input: input.clone(),
                batch,
                retry_of: None,
            };
            arrivals.push(Arrival { upload: file.upload().id, job });
        }
        failpoint::hit("blob-stored");
        let jobs = self.0.store.complete(arrivals, settling, self.0.clock.now()).await?;
        failpoint::hit("committed");
        Ok(Submitted { batch, jobs, repeated: false })
    }

    /// Cancels a job in whatever phase it is.
    ///
    /// # Errors
    /// [`IntakeError::Conflict`] when it has ended, [`IntakeError::UnknownJob`].
    pub async fn cancel(&self, id: JobId) -> Result<Job, IntakeError> {
        match self.0.store.apply(id, JobEvent::Cancel, self.0.clock.now()).await {
            Ok(job) => {
                self.0.hints.send(Hint::Changed(id));
                Ok(job)
            }
            Err(StoreError::NotFound(_)) => Err(IntakeError::UnknownJob(id)),
            Err(StoreError::Refused(_)) => {
                Err(IntakeError::Conflict(format!("job {id} has already ended")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does an ended job again, a success too: a new job on the same upload, with the same params
    /// where the processor still declares them so.
    ///
    /// # Errors
    /// [`IntakeError::Conflict`] when it has not ended, [`IntakeError::UnknownJob`], and what a new
    /// upload for its processor would be refused for today.
    pub async fn retry(&self, id: JobId) -> Result<Job, IntakeError> {
        if self.0.tasks.is_closed() {
            return Err(IntakeError::ShuttingDown);
        }
        let job = self.0.store.job(id).await?.ok_or(IntakeError::UnknownJob(id))?;
        let not_ended =
            || IntakeError::Conflict(format!("job {id} has not ended; cancel it first, or wait"));
        if !job.state.is_terminal() {
            return Err(not_ended());
        }
        let asked = &job.asked;
        let processor = self.0.processors.choose(Some(asked.processor.as_str()))?;
        let params = processor.recheck_params(&asked.params)?;
        receiving::accepted(processor, &asked.input.name, &asked.input.content_type)?;
        match self.0.store.retry(id, JobId::new(), params, self.0.clock.now()).await {
            Ok(job) => {
                self.0.hints.send(Hint::Queued);
                Ok(job)
            }
            Err(StoreError::Refused(_)) => Err(not_ended()),
            Err(StoreError::NotFound(_)) => Err(IntakeError::UnknownJob(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// One sweep over uploads: renews what this process owns, abandons what nobody owns, removes
    /// what abandoned ones left; and forgets old keys. With `start` every upload is somebody's who is dead.
    ///
    /// # Errors
    /// [`StoreError`] from the rows; blobs that can not be removed now are for a later sweep.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        const BATCH: usize = 1000;
        /// What lands late is removed with its tombstone.
        const TOMBSTONE: Duration = Duration::from_secs(3600);
        let now = self.0.clock.now();
        for upload in self.0.store.receiving(BATCH).await? {
            if self.is_live(upload.id) {
                let event =
                    UploadEvent::Advance { offset: 0, lease_until: now.after(UPLOAD_LEASE) };
                match self.0.store.apply_to_upload(upload.id, event, now).await {
                    // Refused: it has become complete since it was listed.
                    Ok(_) | Err(StoreError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            } else if self.owner_is_gone(&upload, now) && !failpoint::broken("abandon") {
                tracing::info!(upload = %upload.id, name = upload.name, "abandoned an upload whose owner is gone");
                self.abandon(upload.id).await;
            }
        }
        for upload in self.0.store.abandoned(BATCH).await? {
            let UploadState::Abandoned { at, .. } = upload.state else { continue };
            if now.since(at) >= TOMBSTONE && self.clear(&upload).await {
                self.0.store.forget_upload(upload.id).await?;
            }
        }
        self.0.store.forget_keys(now.before(KEYS_KEPT)).await
    }

    /// Abandons an upload and removes what it left. Failures are logged: the row is then still
    /// there for a sweep to find.
    async fn abandon(&self, id: UploadId) {
        let now = self.0.clock.now();
        match self.0.store.apply_to_upload(id, UploadEvent::Abandon, now).await {
            Ok(upload) => {
                self.clear(&upload).await;
            }
            // Never begun, or complete after all: then it is not ours to abandon.
            Err(StoreError::NotFound(_) | StoreError::Refused(_)) => {}
            Err(error) => tracing::warn!(upload = %id, %error, "could not abandon an upload"),
        }
        self.live().remove(&id);
    }

    /// Removes what an abandoned upload has in the store; whether nothing is left.
    async fn clear(&self, upload: &Upload) -> bool {
        let UploadState::Abandoned { multipart, .. } = &upload.state else { return false };
        let key = upload.key();
        let aborted = match multipart {
            Some(multipart) => self.0.blobs.abort(&key, multipart).await,
            // The store may have given it an id just before its owner died.
            None => self.0.blobs.abort_open(&key).await,
        };
        let cleared = match aborted {
            Ok(()) => self.0.blobs.delete(&key).await,
            failed => failed,
        };
        if let Err(error) = &cleared {
            tracing::warn!(upload = %upload.id, %error, "could not remove an abandoned upload's bytes");
        }
        cleared.is_ok()
    }

    fn owner_is_gone(&self, upload: &Upload, now: Timestamp) -> bool {
        match upload.state {
            UploadState::Receiving { lease_until, .. } => {
                self.0.store.is_exclusive() || lease_until < now
            }
            _ => false,
        }
    }

    fn is_live(&self, id: UploadId) -> bool {
        self.live().contains(&id)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashSet<UploadId>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
