//! What may be done to a job, and how its history names what was.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Budget, ExitFacts, Output, Progress, Reason, StopCause, WaitingFor};
use crate::{
    attempt::Contract,
    clock::Timestamp,
    id::{AttemptNo, Fence},
};

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Of which attempt, if of one.
    pub attempt: Option<AttemptNo>,
    /// The owner it made or was done by.
    pub fence: Fence,
    /// The cause, in words.
    pub detail: Option<String>,
}

/// What can happen to a job, as its history names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Its upload is complete.
    Created,
    /// An owner took it, with a new attempt.
    Claimed,
    /// Another owner took it over, with its attempt as it was.
    Adopted,
    /// Its container runs.
    Started,
    /// Its container is being stopped.
    Stopping,
    /// Its container exited.
    Exited,
    /// It waits for another attempt.
    Retried,
    /// A child of its container was killed for memory; the container itself exited well.
    ChildOutOfMemory,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// A person ended it.
    Cancelled,
}

/// What may be done to a job. [`Job::apply`](super::Job::apply) says whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// A dispatcher takes a queued job.
    Claim {
        /// The engine that will run it.
        engine: String,
        /// How its container will be given its work.
        contract: Contract,
        /// The image it will be made of, where the engine has it.
        image: Option<String>,
        /// Until when the owner may be silent.
        lease_until: Timestamp,
    },
    /// Another owner takes over a running job whose owner is gone.
    Adopt {
        /// The owner it takes over from: the race for it is decided by this.
        from: Fence,
        /// How it knows that owner to be gone.
        gone: Gone,
        /// Until when the new owner may be silent.
        lease_until: Timestamp,
    },
    /// Somebody looked why a queued job waits.
    Wait {
        /// What for; `None` when nothing holds it any more.
        on: Option<WaitingFor>,
    },
    /// A person ends it.
    Cancel,
    /// It waited longer than `queue_timeout`.
    Expire,
    /// Its owner speaks: refused unless `0` is the job's fence.
    Own(Fence, OwnerEvent),
}

/// What only the current owner may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerEvent {
    /// Still here.
    Heartbeat {
        /// Until when it may be silent.
        lease_until: Timestamp,
        /// How long the container has run.
        elapsed: Duration,
        /// What the container last said.
        progress: Option<Progress>,
    },
    /// Goes, with the job as it stands: another owner may have it at once, and nobody died.
    Leave,
    /// The container runs.
    Started,
    /// The container is to be stopped.
    Stop {
        /// Why.
        cause: StopCause,
    },
    /// The container exited.
    Exited {
        /// How.
        exit: ExitFacts,
    },
    /// Outputs are stored and the exit was good.
    Succeed {
        /// `/out/result.json`, or null.
        result: Value,
        /// In order.
        outputs: Vec<Output>,
    },
    /// It will not be tried again.
    Fail {
        /// Why.
        reason: Reason,
    },
    /// It will be tried again.
    Retry {
        /// Whose budget this spends.
        budget: Budget,
        /// Not before this; at most [`MAX_BACKOFF`](super::MAX_BACKOFF) from now.
        not_before: Timestamp,
        /// Why, in words.
        detail: String,
    },
}

/// How an adopter knows that the owner before it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its lease ran out.
    LeaseExpired,
    /// The data directory's lock is ours, so whoever held it is dead.
    LockHeld,
}
