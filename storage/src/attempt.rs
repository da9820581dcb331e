//! The attempt: one container run for a job, from its claim until nothing of it is left.
//!
//! `live -> ended(outcome) -> removed`. The row names the container, its directories and its log;
//! an ended attempt that is not removed is a clean-up still owed, which a restart finds here.

mod given;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobKey,
    clock::Timestamp,
    error::StoreError,
    id::{AttemptNo, Fence, JobId, ProcessorName, Tenant},
    job::{ExitFacts, Job, Place, Refusal},
    upload::Multipart,
};

pub use self::given::{Contract, Gift, Given, GivenOutput, GivenResult, Stored};

/// One attempt's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Of which job.
    pub job: JobId,
    /// Which one.
    pub no: AttemptNo,
    /// Whose.
    pub tenant: Tenant,
    /// Of which processor: it may be gone from the config while this is cleaned up.
    pub processor: ProcessorName,
    /// The engine its container is on.
    pub engine: String,
    /// How its container is given its work, whatever the config says by now.
    #[serde(default)]
    pub contract: Contract,
    /// The image that its container is made of, as its engine knows it: `sha256:` and digits. `None`
    /// where the engine did not have it when the job was claimed.
    #[serde(default)]
    pub image: Option<String>,
    /// The owner's, as long as it lives.
    pub fence: Fence,
    /// When it was claimed.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: AttemptState,
    /// How its container exited, once that is known.
    pub exit: Option<ExitFacts>,
    /// Its log in the store, once it is there.
    pub log: Option<StoredLog>,
    /// The store's own uploads of outputs and logs that were begun, by any of its owners: what is
    /// still open of them is aborted before the attempt is removed.
    pub multiparts: Vec<PendingMultipart>,
    /// What its program gave back by `urls`; by `files` there is nothing before it is collected.
    #[serde(default)]
    pub given: Given,
}

/// An upload of an output or a log as an S3-compatible store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMultipart {
    /// Of which blob.
    pub key: BlobKey,
    /// As the store knows it.
    pub multipart: Multipart,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum AttemptState {
    /// Its job is running and this is the current attempt.
    Live,
    /// Its job went on without it; container or directories may still be there.
    Ended {
        /// How.
        outcome: Outcome,
    },
    /// Nothing of it is left but this row and its log.
    Removed {
        /// How it ended.
        outcome: Outcome,
    },
}

/// What became of an attempt's job when the attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job succeeded.
    Succeeded,
    /// The job failed.
    Failed,
    /// The job waits for another attempt.
    Retried,
    /// A person cancelled the job; the container may still run.
    Cancelled,
}

/// A log as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLog {
    /// The owner that stored it: part of its key.
    pub fence: Fence,
    /// Of the blob.
    pub size: u64,
    /// Of the bare text, without times and sequence numbers.
    pub text_size: u64,
    /// Bytes of bare text that were dropped between its first and its last part; `None` when the
    /// engine rotated some away and nobody knows how many.
    pub dropped: Option<u64>,
}

/// What may be done to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEvent {
    /// Its job has a new owner.
    Adopt {
        /// Whose fence this is.
        fence: Fence,
    },
    /// Its container exited.
    Exit {
        /// How.
        exit: ExitFacts,
    },
    /// Its job went on without it.
    End {
        /// How.
        outcome: Outcome,
    },
    /// The store gave an output or a log an upload: to be recorded before the first part.
    BeginMultipart {
        /// Which.
        pending: PendingMultipart,
    },
    /// Its program gives something back by `urls`: until its exit is recorded, and not a moment
    /// longer.
    Give {
        /// The owner that serves it.
        fence: Fence,
        /// What.
        gift: Gift,
    },
    /// Its log is in the store.
    StoreLog {
        /// Where, and how large.
        log: StoredLog,
    },
    /// Container and directories are gone.
    Remove,
}

/// What a job's change does to its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptChange {
    /// There is a new one.
    Begin(Box<Attempt>),
    /// The current one changes.
    Apply(AttemptNo, AttemptEvent),
}

/// The rows of attempts.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// One attempt, if there is one.
    async fn attempt(&self, job: JobId, no: AttemptNo) -> Result<Option<Attempt>, StoreError>;

    /// Every attempt that is not removed, oldest job first: what may still have a container or a
    /// directory.
    async fn unremoved(&self) -> Result<Vec<Attempt>, StoreError>;

    /// Loads, applies, stores.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the rules do not permit it, or the event is one that only a
    /// change of the job may bring: see [`Attempt::apply_alone`].
    async fn apply_to_attempt(
        &self,
        job: JobId,
        no: AttemptNo,
        event: AttemptEvent,
    ) -> Result<Attempt, StoreError>;
}

impl Attempt {
    /// The row of an attempt whose job has just been claimed; `job` is as it will be.
    #[must_use]
    pub fn new(job: &Job, no: AttemptNo, engine: &str, contract: Contract, now: Timestamp) -> Self {
        Self {
            job: job.id(),
            no,
            tenant: job.asked.tenant.clone(),
            processor: job.asked.processor.clone(),
            engine: engine.to_owned(),
            contract,
            image: None,
            fence: job.fence,
            created_at: now,
            state: AttemptState::Live,
            exit: None,
            log: None,
            multiparts: Vec::new(),
            given: Given::default(),
        }
    }

    /// What `event` makes of this attempt, or why it may not.
    ///
    /// # Errors
    /// [`Refusal`]; the attempt is then as it was.
    pub fn apply(&self, event: &AttemptEvent) -> Result<Self, Refusal> {
        let mut next = self.clone();
        match (event, self.state) {
            (AttemptEvent::Adopt { fence }, AttemptState::Live) => {
                next.fence = *fence;
                next.given.cut();
            }
            (AttemptEvent::Exit { exit }, AttemptState::Live) => next.exit = Some(exit.clone()),
            (AttemptEvent::End { outcome }, AttemptState::Live) => {
                next.state = AttemptState::Ended { outcome: *outcome };
            }
            (
                AttemptEvent::BeginMultipart { pending },
                AttemptState::Live | AttemptState::Ended { .. },
            ) => next.multiparts.push(pending.clone()),
            (AttemptEvent::Give { fence, .. }, AttemptState::Live) if *fence != self.fence => {
                return Err(Refusal::Stale { given: *fence, current: self.fence });
            }
            (AttemptEvent::Give { fence, gift }, AttemptState::Live) if self.takes() => {
                next.given.take(gift, *fence)?;
                if let Gift::Store { index, .. } = gift {
                    // The store has ended that upload itself.
                    let key = self.output_key(Place { fence: *fence, index: *index });
                    next.multiparts.retain(|pending| pending.key != key);
                }
            }
            (AttemptEvent::StoreLog { log }, AttemptState::Live) if log.fence != self.fence => {
                return Err(Refusal::Stale { given: log.fence, current: self.fence });
            }
            // Whoever cleans up after the end may have a newer fence than the last owner's, but an
            // older owner must not put its log in the place of its successor's.
            (AttemptEvent::StoreLog { log }, AttemptState::Ended { .. })
                if log.fence < self.newest_log() =>
            {
                return Err(Refusal::Stale { given: log.fence, current: self.newest_log() });
            }
            (AttemptEvent::StoreLog { log }, AttemptState::Live | AttemptState::Ended { .. }) => {
                next.log = Some(log.clone());
            }
            (AttemptEvent::Remove, AttemptState::Ended { outcome }) => {
                next.state = AttemptState::Removed { outcome };
                next.multiparts.clear();
                next.given = Given::default();
            }
            (event, state) => {
                return Err(Refusal::NoSuchEdge {
                    noun: "attempt",
                    from: if self.exit.is_some() && state == AttemptState::Live {
                        "exited"
                    } else {
                        state.name()
                    },
                    event: event.name(),
                });
            }
        }
        Ok(next)
    }

    /// As [`Attempt::apply`], for an event that does not come with a change of its job. Adoption,
    /// exit and end would otherwise part the two rows, so they are refused here.
    ///
    /// # Errors
    /// [`Refusal`]; the attempt is then as it was.
    pub fn apply_alone(&self, event: &AttemptEvent) -> Result<Self, Refusal> {
        match event {
            AttemptEvent::BeginMultipart { .. }
            | AttemptEvent::Give { .. }
            | AttemptEvent::StoreLog { .. }
            | AttemptEvent::Remove => self.apply(event),
            AttemptEvent::Adopt { .. } | AttemptEvent::Exit { .. } | AttemptEvent::End { .. } => {
                Err(Refusal::OnlyTogether { noun: "attempt", event: event.name(), with: "job" })
            }
        }
    }

    /// Whether its program may still give something back: it is its job's current attempt, and its
    /// exit is not recorded. Both change with its job's row, so this says what that one would: the
    /// job runs, and nothing of it is collected yet.
    #[must_use]
    pub fn takes(&self) -> bool {
        self.state == AttemptState::Live && self.exit.is_none()
    }

    /// Where an output that came by `urls` is.
    #[must_use]
    pub fn output_key(&self, place: Place) -> BlobKey {
        place.key(&self.tenant, self.job, self.no)
    }

    /// Whose log no older one takes the place of: who cleaned up stored it last.
    fn newest_log(&self) -> Fence {
        self.log.as_ref().map_or(self.fence, |log| log.fence.max(self.fence))
    }

    /// Where its log is, once it is stored.
    #[must_use]
    pub fn log_key(&self, fence: Fence) -> BlobKey {
        BlobKey::Log { tenant: self.tenant.clone(), job: self.job, attempt: self.no, fence }
    }
}

impl AttemptState {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended { .. } => "ended",
            Self::Removed { .. } => "removed",
        }
    }
}

impl AttemptEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Adopt { .. } => "be adopted",
            Self::Exit { .. } => "exit",
            Self::End { .. } => "end",
            Self::BeginMultipart { .. } => "begin a multipart upload",
            Self::Give { .. } => "give anything back",
            Self::StoreLog { .. } => "have its log stored",
            Self::Remove => "be removed",
        }
    }
}

#[cfg(test)]
mod tests;
