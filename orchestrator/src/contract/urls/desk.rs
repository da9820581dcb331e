//! Where one attempt's program is served: its input out, its outputs, result and progress in.
//!
//! Nobody gets past [`Desk::admit`] without this attempt's token, and its row is asked every time
//! whether the attempt still lives. What comes in is judged, bounded and stored here; what it means
//! for the job is decided elsewhere, once the container has exited.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fileyard_storage::{
    Store, StoreError,
    attempt::{Attempt, AttemptEvent, Gift, GivenResult, Stored},
    blob::{BlobStore, Digest},
    clock::Clock,
    id::Fence,
    job::{Input, Job, Progress},
};
use futures::{Stream, StreamExt};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use super::tally::Limits;
use super::{Claims, Key, put::Put, tally::Tally};
use crate::{
    contract::{progress, result},
    disk::Disk,
    engine::ContainerId,
};

/// Outputs that one program may send at once; others wait their turn.
const PUTS: usize = 4;
/// Of a progress report.
const MAX_PROGRESS: u64 = 4 << 10;
/// How long what is being sent may take to be cut.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// One attempt's desk. Clones are the same desk.
#[derive(Clone)]
pub struct Desk(pub(super) Arc<Counter>);

/// What stands behind a desk.
pub(crate) struct Counter {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: BlobStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Disk,
    pub(crate) key: Key,
    pub(crate) id: ContainerId,
    pub(crate) job: Job,
    pub(crate) fence: Fence,
    /// Hears what the program says of itself.
    pub(crate) said: Box<dyn Fn(Progress) + Send + Sync>,
    /// Told when something is over its limit, so that the container is stopped.
    pub(crate) over: watch::Sender<bool>,
    pub(crate) open: Open,
}

/// What a desk keeps in mind while it is open.
pub(crate) struct Open {
    pub(super) tally: Mutex<Tally>,
    pub(super) turns: Arc<Semaphore>,
    pub(super) closed: CancellationToken,
    /// Outputs that are being sent, or taken back.
    pub(super) puts: TaskTracker,
    /// The last failure of ours that the program was told of.
    trouble: Mutex<Option<String>>,
}

/// That a request had this attempt's token, and the attempt lived.
pub struct Pass(Desk);

/// Why a desk did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// Not a token, not this attempt's, or one that is nothing any more.
    #[error("{0}")]
    NotAdmitted(&'static str),
    /// An output can not have this name.
    #[error("{0}")]
    BadName(String),
    /// What was sent as a result or as progress is none.
    #[error("{0}")]
    BadContent(String),
    /// More than this attempt may give back: its job will fail by it.
    #[error("{0}")]
    OverLimit(String),
    /// The bytes are not those that were announced.
    #[error("the output's SHA-256 is {got}, not the {announced} that was announced")]
    OtherDigest {
        /// By the sender.
        announced: Digest,
        /// Of what came.
        got: Digest,
    },
    /// No room.
    #[error("{0}")]
    DiskFull(String),
    /// Others waited for the memory that it held and did not fill.
    #[error("{0}")]
    Slow(String),
    /// Files or rows can not be reached now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a body was not taken.
#[derive(Debug)]
pub enum Sent<E> {
    /// It did not arrive: the sender's own trouble.
    Body(E),
    /// It was refused.
    Refused(DeskError),
}

const OVER: &str = "this attempt is over, and with it its addresses";
pub(super) const CUT: &str = "this attempt is over, and with it what was being sent";

impl Open {
    pub(crate) fn new(limits: Limits, row: &Attempt) -> Self {
        Self {
            tally: Mutex::new(Tally::new(limits, &row.given)),
            turns: Arc::new(Semaphore::new(PUTS)),
            closed: CancellationToken::new(),
            puts: TaskTracker::new(),
            trouble: Mutex::new(None),
        }
    }
}

impl Desk {
    pub(crate) fn new(counter: Counter) -> Self {
        Self(Arc::new(counter))
    }

    /// Lets whoever has this attempt's token in, as long as the attempt lives.
    ///
    /// # Errors
    /// [`DeskError::NotAdmitted`], or that the row can not be asked.
    pub async fn admit(&self, token: &str) -> Result<Pass, DeskError> {
        let no = |why| Err(DeskError::NotAdmitted(why));
        let it = &*self.0;
        let Some(claims) = Claims::read(token, &it.key) else {
            return no("this is not an address of an attempt");
        };
        let ours = (&it.job.asked.tenant, it.id.job, it.id.attempt);
        if (&claims.tenant, claims.job, claims.attempt) != ours {
            return no("this is another attempt's address");
        }
        if claims.expires <= it.clock.now() {
            return no("this address is older than any container may be");
        }
        let row = it.store.attempt(it.id.job, it.id.attempt).await;
        match row.map_err(|error| self.unavailable(error.to_string()))? {
            Some(row) if row.takes() && !it.open.closed.is_cancelled() => Ok(Pass(self.clone())),
            _ => no(OVER),
        }
    }

    /// Ends what is being sent, and returns once nothing of that can land any more; the last
    /// trouble of ours that the program met.
    pub(crate) async fn close(&self) -> Option<String> {
        let open = &self.0.open;
        open.closed.cancel();
        open.puts.close();
        if timeout(CLOSE_WITHIN, open.puts.wait()).await.is_err() {
            tracing::warn!(container = %self.0.id, "outputs that were cut are still being taken back");
        }
        open.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records what the program gives. The row refuses it once the attempt is over.
    pub(super) async fn give(&self, gift: Gift) -> Result<Attempt, DeskError> {
        let it = &*self.0;
        let event = AttemptEvent::Give { fence: it.fence, gift };
        match it.store.apply_to_attempt(it.id.job, it.id.attempt, event).await {
            Ok(row) => Ok(row),
            Err(StoreError::Refused(_) | StoreError::NotFound(_)) => {
                Err(DeskError::NotAdmitted(OVER))
            }
            Err(error) => Err(self.unavailable(error.to_string())),
        }
    }

    /// Records that the program sent more than it may: whatever it does now, its job fails by that.
    pub(super) async fn over(&self, words: String) -> DeskError {
        match self.give(Gift::Over { words: words.clone() }).await {
            Ok(_) => {
                self.0.over.send_replace(true);
                DeskError::OverLimit(words)
            }
            Err(error) => error,
        }
    }

    /// Refuses while the disk is nearly full.
    pub(super) fn must_have_room(&self) -> Result<(), DeskError> {
        self.0.disk.low().map_or(Ok(()), |words| Err(self.disk_full(words)))
    }

    pub(super) fn disk_full(&self, words: String) -> DeskError {
        self.trouble(&words);
        DeskError::DiskFull(words)
    }

    /// It may have been as fast as its work is: where it was alone, it would have been let be.
    pub(super) fn slow(&self, words: String) -> DeskError {
        self.trouble(&words);
        DeskError::Slow(words)
    }

    pub(super) fn unavailable(&self, words: String) -> DeskError {
        self.trouble(&words);
        DeskError::Unavailable(words)
    }

    /// Notes a failure that is ours: a program that ends badly after it is not to blame alone.
    fn trouble(&self, words: &str) {
        tracing::warn!(container = %self.0.id, "its program was told: {words}");
        let mut trouble = self.0.open.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = Some(words.to_owned());
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.open.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The attempt's input.
    #[must_use]
    pub fn input(&self) -> &Input {
        &self.0.0.job.asked.input
    }

    /// Of which job.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.0.0.job
    }

    /// Where the input is.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.0.0.blobs
    }

    /// Takes an output: all of it is stored and in the attempt's row on return, or nothing is; of two
    /// of one name only the one that began later.
    ///
    /// # Errors
    /// [`Sent`], and then nothing of it stays.
    pub async fn put<E>(
        &self,
        put: Put<'_>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, Sent<E>> {
        put.take(&self.0, body).await
    }

    /// Takes the result, in place of an earlier one. One that is no JSON is remembered as such,
    /// until another comes.
    ///
    /// # Errors
    /// [`Sent`].
    pub async fn result<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), Sent<E>> {
        let json = small(body, result::MAX_SIZE).await?;
        let parsed = match json {
            Some(json) => result::parse(&json),
            None => Err(format!("larger than {} bytes", result::MAX_SIZE)),
        };
        let (result, wrong) = match parsed {
            Ok(value) => (GivenResult::Valid { value }, None),
            Err(wrong) => {
                let words = format!("the result is {wrong}");
                (GivenResult::Invalid { words: words.clone() }, Some(words))
            }
        };
        self.0.give(Gift::Result { result }).await?;
        wrong.map_or(Ok(()), |words| Err(Sent::Refused(DeskError::BadContent(words))))
    }

    /// Takes a progress report: JSON with `fraction` and perhaps `message`, or a line as it would be
    /// on standard output, its mark left out or not.
    ///
    /// # Errors
    /// [`Sent`].
    pub async fn progress<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), Sent<E>> {
        let report = small(body, MAX_PROGRESS).await?;
        match report.as_deref().and_then(progress::report) {
            Some(said) => {
                (self.0.0.said)(said);
                Ok(())
            }
            None => Err(Sent::Refused(DeskError::BadContent(
                "progress is {\"fraction\": 0.4, \"message\": \"resizing\"} or a line such as \
                 `0.4 resizing`, at most 4 KiB"
                    .into(),
            ))),
        }
    }
}

/// A body that fits into memory; `None` when it is larger than that.
async fn small<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    most: u64,
) -> Result<Option<Vec<u8>>, Sent<E>> {
    let mut body = std::pin::pin!(body);
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(Sent::Body)?;
        if (all.len() + bytes.len()) as u64 > most {
            return Ok(None);
        }
        all.extend_from_slice(&bytes);
    }
    Ok(Some(all))
}

impl<E> From<DeskError> for Sent<E> {
    fn from(error: DeskError) -> Self {
        Self::Refused(error)
    }
}
