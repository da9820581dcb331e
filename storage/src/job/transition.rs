//! The one transition table of a job, as a pure function.
//!
//! Edges: queued -> running, cancelled, failed(expired); running -> queued, succeeded, failed,
//! cancelled. A terminal row never changes. The whole grid of states and events is a snapshot.

use std::time::Duration;

use super::{
    Budget, Event, EventKind, Gone, Job, JobEvent, JobState, OwnerEvent, Phase, Reason, ReasonCode,
    StateName, WaitingFor,
};
use crate::{
    attempt::{Attempt, AttemptChange, AttemptEvent, Contract, Outcome},
    clock::Timestamp,
    id::{AttemptNo, Fence},
};

/// How many events a job keeps: the first half and the last half stay, what is between goes.
pub const MAX_EVENTS: usize = 256;

/// The longest pause before the next attempt.
pub const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// How long the words of an event or a reason are at most, in characters: they may come from an
/// engine or a store, whose errors know no bound.
pub const MAX_WORDS: usize = 1000;

/// A permitted change: the row as it will be, and what changes with it in the attempt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The row as it will be.
    pub job: Job,
    /// The attempt's part, in the same transaction.
    pub attempt: Option<AttemptChange>,
}

/// Why a change is not permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else owns it now.
    #[error("fence {given} is stale: the current one is {current}")]
    Stale {
        /// The caller's.
        given: Fence,
        /// The job's.
        current: Fence,
    },
    /// Its owner may still be alive.
    #[error("its lease holds until {until}")]
    LeaseHeld {
        /// Until when.
        until: Timestamp,
    },
    /// It is to wait.
    #[error("it is not to be claimed before {until}")]
    TooEarly {
        /// Until when.
        until: Timestamp,
    },
    /// The event is part of another row's change and can not come alone.
    #[error("the {noun} can {event} only together with its {with}")]
    OnlyTogether {
        /// What kind of row.
        noun: &'static str,
        /// The event's name.
        event: &'static str,
        /// Whose change brings it.
        with: &'static str,
    },
    /// Its state has no such edge.
    #[error("the {noun} is {from} and can not {event}")]
    NoSuchEdge {
        /// What kind of row.
        noun: &'static str,
        /// Its state's name.
        from: &'static str,
        /// The event's name.
        event: &'static str,
    },
}

impl Job {
    /// What `event` makes of this job, or why it may not.
    ///
    /// # Errors
    /// [`Refusal`]; the job is then as it was.
    pub fn apply(&self, event: &JobEvent, now: Timestamp) -> Result<Change, Refusal> {
        let mut next = self.clone();
        let attempt = match event {
            JobEvent::Claim { engine, contract, image, lease_until } => {
                next.claim(engine, *contract, image.clone(), *lease_until, now).map(Some)
            }
            JobEvent::Adopt { from, gone, lease_until } => {
                next.adopt(*from, *gone, *lease_until, now).map(Some)
            }
            JobEvent::Wait { on } => next.wait(*on).map(|()| None),
            JobEvent::Cancel => next.cancel(now),
            JobEvent::Expire => next.expire(now).map(|()| None),
            JobEvent::Own(fence, event) => next.own(*fence, event, now),
        }?;
        Ok(Change { job: next, attempt })
    }

    fn claim(
        &mut self,
        engine: &str,
        contract: Contract,
        image: Option<String>,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<AttemptChange, Refusal> {
        let JobState::Queued { not_before, .. } = self.state else {
            return Err(self.no_edge("be claimed"));
        };
        if let Some(until) = not_before.filter(|_| !self.state.is_due(now)) {
            return Err(Refusal::TooEarly { until });
        }
        let no = AttemptNo(self.attempt.map_or(1, |last| last.0 + 1));
        self.attempt = Some(no);
        self.fence = self.fence.next();
        self.state = running(Phase::Starting, lease_until);
        self.happened(EventKind::Claimed, image.as_ref().map(|it| format!("image {it}")), now);
        let attempt = Attempt { image, ..Attempt::new(self, no, engine, contract, now) };
        Ok(AttemptChange::Begin(Box::new(attempt)))
    }

    fn adopt(
        &mut self,
        from: Fence,
        gone: Gone,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<AttemptChange, Refusal> {
        self.owned_by(from)?;
        let (fence, no) = (self.fence.next(), self.attempt);
        let JobState::Running { phase, lease_until, .. } = &mut self.state else {
            return Err(self.no_edge("be adopted"));
        };
        if gone == Gone::LeaseExpired && *lease_until > now {
            return Err(Refusal::LeaseHeld { until: *lease_until });
        }
        *lease_until = until;
        let phase = match phase {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping { .. } => "stopping",
            Phase::Collecting { .. } => "collecting",
        };
        if matches!(phase, "starting" | "collecting") {
            self.crashes += 1;
        }
        self.fence = fence;
        self.happened(EventKind::Adopted, Some(format!("while {phase}")), now);
        Ok(AttemptChange::Apply(no.unwrap_or(AttemptNo(1)), AttemptEvent::Adopt { fence }))
    }

    fn wait(&mut self, on: Option<WaitingFor>) -> Result<(), Refusal> {
        let JobState::Queued { waiting_for, .. } = &mut self.state else {
            return Err(self.no_edge("wait"));
        };
        *waiting_for = on;
        Ok(())
    }

    fn cancel(&mut self, now: Timestamp) -> Result<Option<AttemptChange>, Refusal> {
        let attempt = match self.state {
            JobState::Queued { .. } => None,
            JobState::Running { .. } => self.end_attempt(Outcome::Cancelled),
            _ => return Err(self.no_edge("be cancelled")),
        };
        self.fence = self.fence.next();
        self.end(JobState::Cancelled, EventKind::Cancelled, None, now);
        Ok(attempt)
    }

    fn expire(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let JobState::Queued { since, .. } = self.state else {
            return Err(self.no_edge("expire"));
        };
        let waited = now.since(since).as_secs();
        let reason =
            Reason::new(ReasonCode::Expired, format!("waited {waited} s in the queue, too long"));
        self.fail(reason, now);
        Ok(())
    }

    fn own(
        &mut self,
        fence: Fence,
        event: &OwnerEvent,
        now: Timestamp,
    ) -> Result<Option<AttemptChange>, Refusal> {
        self.owned_by(fence)?;
        let refused = self.no_edge(event.name());
        let JobState::Running { phase, lease_until, elapsed } = &mut self.state else {
            return Err(refused);
        };
        match (event, &phase) {
            (OwnerEvent::Heartbeat { lease_until: until, elapsed: ran, progress }, _) => {
                *lease_until = *until;
                *elapsed = (*elapsed).max(*ran);
                if progress.is_some() {
                    self.progress.clone_from(progress);
                }
                Ok(None)
            }
            (OwnerEvent::Leave, _) => {
                *lease_until = now;
                // It lives, so no row of deaths goes on: restarting a server, however often, is no
                // crash loop of the jobs that it was waiting for.
                self.crashes = 0;
                Ok(None)
            }
            (OwnerEvent::Started, Phase::Starting) => {
                *phase = Phase::Running;
                self.started_at.get_or_insert(now);
                self.crashes = 0;
                self.happened(EventKind::Started, None, now);
                Ok(None)
            }
            (OwnerEvent::Stop { cause }, Phase::Running) => {
                *phase = Phase::Stopping { cause: *cause };
                self.happened(EventKind::Stopping, Some(cause.words().into()), now);
                Ok(None)
            }
            (
                OwnerEvent::Exited { exit },
                Phase::Starting | Phase::Running | Phase::Stopping { .. },
            ) => {
                let cause = match phase {
                    Phase::Stopping { cause } => Some(*cause),
                    _ => None,
                };
                *phase = Phase::Collecting { exit: exit.clone(), cause };
                self.started_at.get_or_insert(now);
                let detail = format!("exit code {}", exit.code);
                self.happened(EventKind::Exited, Some(detail), now);
                let exit = AttemptEvent::Exit { exit: exit.clone() };
                Ok(self.attempt.map(|no| AttemptChange::Apply(no, exit)))
            }
            // Outputs and a result exist only on exit 0 of a container that we did not stop,
            // whoever asks.
            (OwnerEvent::Succeed { result, outputs }, Phase::Collecting { exit, cause: None })
                if exit.code == 0 =>
            {
                if exit.out_of_memory {
                    self.happened(EventKind::ChildOutOfMemory, None, now);
                }
                let state =
                    JobState::Succeeded { result: result.clone(), outputs: outputs.clone() };
                self.end(state, EventKind::Succeeded, None, now);
                Ok(self.end_attempt(Outcome::Succeeded))
            }
            (OwnerEvent::Fail { reason }, phase)
                if matches!(phase, Phase::Starting | Phase::Collecting { .. })
                    // Also from running: the container may be gone without a trace.
                    || reason.code == ReasonCode::Infrastructure =>
            {
                self.fail(reason.clone(), now);
                Ok(self.end_attempt(Outcome::Failed))
            }
            (OwnerEvent::Retry { budget, not_before, detail }, _) => {
                match budget {
                    Budget::Processor => self.retries += 1,
                    Budget::Infrastructure => self.infrastructure += 1,
                }
                self.progress = None;
                // This owner lived to see it through, so no row of deaths goes on.
                self.crashes = 0;
                self.happened(EventKind::Retried, Some(detail.clone()), now);
                self.state = JobState::Queued {
                    since: now,
                    not_before: Some((*not_before).min(now.after(MAX_BACKOFF))),
                    waiting_for: Some(WaitingFor::Backoff),
                };
                Ok(self.end_attempt(Outcome::Retried))
            }
            _ => Err(refused),
        }
    }

    fn owned_by(&self, given: Fence) -> Result<(), Refusal> {
        if self.fence == given {
            Ok(())
        } else {
            Err(Refusal::Stale { given, current: self.fence })
        }
    }

    pub(super) fn no_edge(&self, event: &'static str) -> Refusal {
        let from = match self.state.name() {
            StateName::Running => match self.phase() {
                Some(Phase::Starting) => "starting",
                Some(Phase::Stopping { .. }) => "stopping",
                Some(Phase::Collecting { .. }) => "collecting",
                _ => "running",
            },
            other => other.as_str(),
        };
        Refusal::NoSuchEdge { noun: "job", from, event }
    }

    fn end_attempt(&self, outcome: Outcome) -> Option<AttemptChange> {
        let no = self.attempt?;
        Some(AttemptChange::Apply(no, AttemptEvent::End { outcome }))
    }

    fn fail(&mut self, mut reason: Reason, now: Timestamp) {
        reason.message = bounded(reason.message);
        let detail = Some(reason.to_string());
        self.end(JobState::Failed { reason }, EventKind::Failed, detail, now);
    }

    fn end(&mut self, state: JobState, kind: EventKind, detail: Option<String>, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.happened(kind, detail, now);
    }

    fn happened(&mut self, kind: EventKind, detail: Option<String>, at: Timestamp) {
        if self.events.len() >= MAX_EVENTS {
            self.events.remove(MAX_EVENTS / 2);
        }
        let detail = detail.map(bounded);
        let event = Event { at, kind, attempt: self.attempt, fence: self.fence, detail };
        self.events.push(event);
    }
}

fn bounded(mut words: String) -> String {
    if let Some((end, _)) = words.char_indices().nth(MAX_WORDS) {
        words.truncate(end);
        words.push('…');
    }
    words
}

fn running(phase: Phase, lease_until: Timestamp) -> JobState {
    JobState::Running { phase, lease_until, elapsed: Duration::ZERO }
}

impl OwnerEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Heartbeat { .. } => "be renewed",
            Self::Leave => "be left",
            Self::Started => "start",
            Self::Stop { .. } => "be stopped",
            Self::Exited { .. } => "exit",
            Self::Succeed { .. } => "succeed",
            Self::Fail { .. } => "fail",
            Self::Retry { .. } => "be retried",
        }
    }
}

impl super::StopCause {
    /// For a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::TimedOut => "ran longer than its timeout",
            Self::OutputLimit => "its outputs grew over their limit",
            Self::DiskFull => "the disk is nearly full",
        }
    }
}
