//! The job: one complete upload given to one processor. Its row is the truth about it.
//!
//! Types, rules and the store's trait. Nothing here knows a database, HTTP or an async runtime;
//! nothing here decides what should happen next, only what may.

mod event;
#[cfg(test)]
mod grid;
#[cfg(test)]
mod properties;
mod reason;
#[cfg(test)]
mod serial;
mod store;
mod transition;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    event::{Event, EventKind, Gone, JobEvent, OwnerEvent},
    reason::{Budget, ExitFacts, Reason, ReasonCode, StopCause},
    store::{JobFilter, JobStore, QueueQuery},
    transition::{Change, MAX_BACKOFF, MAX_EVENTS, MAX_WORDS, Refusal},
};
pub use crate::id::JobId;
use crate::{
    blob::{BlobKey, Digest},
    clock::Timestamp,
    id::{AttemptNo, BatchId, Fence, ProcessorName, Tenant, UploadId},
};

/// A job's declared params, by name.
pub type Params = BTreeMap<String, Value>;

/// What a complete upload asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// Reserved when the upload began.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What will work on it.
    pub processor: ProcessorName,
    /// Checked against the processor's declarations.
    pub params: Params,
    /// The upload that is its input.
    pub upload: UploadId,
    /// The facts of that upload, as they were when it was complete.
    pub input: Input,
    /// The request it came in, when that brought several files.
    pub batch: Option<BatchId>,
    /// The job a person asked to run again.
    pub retry_of: Option<JobId>,
}

/// The file a job works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// As the sender named it: display data, never a path.
    pub name: String,
    /// Sniffed from the content, else from the extension.
    pub content_type: String,
    /// In bytes.
    pub size: u64,
    /// Of the whole content.
    pub sha256: Digest,
    /// Where it is.
    pub key: BlobKey,
}

/// One job's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What was asked.
    #[serde(flatten)]
    pub asked: NewJob,
    /// When its upload was complete.
    pub created_at: Timestamp,
    /// When its first container ran.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Where it stands.
    pub state: JobState,
    /// The latest container run; none before the first claim.
    pub attempt: Option<AttemptNo>,
    /// Names the current owner, or the one that ended it.
    pub fence: Fence,
    /// Of the processor's `retries`, how many are spent.
    pub retries: u32,
    /// How many attempts were lost to the infrastructure.
    pub infrastructure: u32,
    /// Owners that died in a row while this job was starting or collecting.
    pub crashes: u32,
    /// What the container last said of itself.
    pub progress: Option<Progress>,
    /// What happened, oldest first; at most [`MAX_EVENTS`].
    pub events: Vec<Event>,
}

/// Where a job stands, with what is true only there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a claim.
    Queued {
        /// Since when, this time.
        since: Timestamp,
        /// Not to be claimed earlier.
        not_before: Option<Timestamp>,
        /// What it waits for, where somebody looked and knows.
        waiting_for: Option<WaitingFor>,
    },
    /// Owned, by whoever holds the job's fence.
    Running {
        /// How far its attempt is.
        phase: Phase,
        /// Until when the owner may be silent.
        lease_until: Timestamp,
        /// How long the container has run, as of the last heartbeat.
        elapsed: Duration,
    },
    /// Ended well. Outputs and result exist only here.
    Succeeded {
        /// `/out/result.json`, or null.
        result: Value,
        /// In order; see [`Job::output_key`] for where they are.
        outputs: Vec<Output>,
    },
    /// Ended badly.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// Ended by a person.
    Cancelled,
}

/// A job's state without its data: what a list is filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`JobState::Queued`].
    Queued,
    /// See [`JobState::Running`].
    Running,
    /// See [`JobState::Succeeded`].
    Succeeded,
    /// See [`JobState::Failed`].
    Failed,
    /// See [`JobState::Cancelled`].
    Cancelled,
}

/// How far the attempt of a running job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Phase {
    /// Claimed; the container may or may not exist.
    Starting,
    /// The container was seen to run.
    Running,
    /// The container is being stopped, for this cause.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// The container exited; what it left is being stored.
    Collecting {
        /// How it exited.
        exit: ExitFacts,
        /// Why it was stopped, if it was.
        cause: Option<StopCause>,
    },
}

/// What a queued job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// Others run.
    Slot,
    /// A pause before the next attempt.
    Backoff,
    /// The engine does not answer.
    Engine,
    /// The image is not there yet.
    Image,
    /// The config no longer has its processor.
    ProcessorRemoved,
    /// The disk is nearly full.
    Disk,
}

/// What a container says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// In thousandths, 0 to 1000: integers compare exactly.
    pub permille: u16,
    /// A few words.
    pub message: Option<String>,
}

/// One file a container gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its path below `/out`, with `/` between the parts.
    pub name: String,
    /// Sniffed, else by extension.
    pub content_type: String,
    /// In bytes.
    pub size: u64,
    /// Of the whole content.
    pub sha256: Digest,
    /// Where it is, when it was there before its container exited; else at its own index, stored by
    /// the owner that committed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Where an output is among those of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Stored by which owner.
    pub fence: Fence,
    /// In the order in which they were begun.
    pub index: u32,
}

impl Job {
    /// The row of a job whose upload has just become complete.
    #[must_use]
    pub fn new(asked: NewJob, now: Timestamp) -> Self {
        let created = Event {
            at: now,
            kind: EventKind::Created,
            attempt: None,
            fence: Fence::default(),
            detail: asked.retry_of.map(|job| format!("retry of {job}")),
        };
        Self {
            asked,
            created_at: now,
            started_at: None,
            finished_at: None,
            state: JobState::Queued { since: now, not_before: None, waiting_for: None },
            attempt: None,
            fence: Fence::default(),
            retries: 0,
            infrastructure: 0,
            crashes: 0,
            progress: None,
            events: vec![created],
        }
    }

    /// The job that does again what this one was to do, on the same upload. It came alone, whatever
    /// this one came with.
    ///
    /// # Errors
    /// [`Refusal`] where this one has not ended.
    pub fn again(&self, id: JobId, params: Params, now: Timestamp) -> Result<Self, Refusal> {
        if !self.state.is_terminal() {
            return Err(self.no_edge("be run again"));
        }
        let asked =
            NewJob { id, params, batch: None, retry_of: Some(self.id()), ..self.asked.clone() };
        Ok(Self::new(asked, now))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.asked.id
    }

    /// Its phase, while it runs.
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        match &self.state {
            JobState::Running { phase, .. } => Some(phase),
            _ => None,
        }
    }

    /// The key of output `index`, where it succeeded and has one.
    #[must_use]
    pub fn output_key(&self, index: u32) -> Option<BlobKey> {
        let own = match &self.state {
            JobState::Succeeded { outputs, .. } => outputs.get(index as usize)?.place,
            _ => None,
        };
        let place = own.unwrap_or(Place { fence: self.fence, index });
        Some(place.key(&self.asked.tenant, self.id(), self.attempt?))
    }
}

impl Place {
    /// The key of the output that is there.
    #[must_use]
    pub fn key(self, tenant: &Tenant, job: JobId, attempt: AttemptNo) -> BlobKey {
        let Self { fence, index } = self;
        BlobKey::Output { tenant: tenant.clone(), job, attempt, fence, index }
    }
}

impl JobState {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> StateName {
        match self {
            Self::Queued { .. } => StateName::Queued,
            Self::Running { .. } => StateName::Running,
            Self::Succeeded { .. } => StateName::Succeeded,
            Self::Failed { .. } => StateName::Failed,
            Self::Cancelled => StateName::Cancelled,
        }
    }

    /// Whether it is queued and may be claimed at `now`.
    ///
    /// A pause is never longer than [`MAX_BACKOFF`], so one that seems to be was written before the
    /// clock was set back: it is over, or a job would wait for as long as the clock was wrong.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self {
            Self::Queued { not_before: Some(until), .. } => {
                *until <= now || *until > now.after(MAX_BACKOFF)
            }
            Self::Queued { not_before: None, .. } => true,
            _ => false,
        }
    }

    /// Whether nothing more can happen.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled)
    }
}

impl StateName {
    /// All, in the order of a job's life.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// As it stands in JSON and in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
