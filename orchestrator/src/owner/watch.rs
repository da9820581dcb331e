//! Phases `running` and `stopping`: until the container has exited.

use std::time::Duration;

use fileyard_storage::{
    failpoint,
    job::{OwnerEvent, Phase, StopCause},
};
use tokio::time::{Instant, sleep};

use super::{Halt, Owner, pump::Pump};
use crate::{
    contract::quota,
    engine::{ContainerState, EngineError, Signal},
    settle,
};

/// How often a container is looked at without a hint.
const POLL: Duration = Duration::from_secs(1);
/// How often a container that was killed is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(10);

/// How far a stop is.
pub(super) struct Stop {
    grace: Duration,
    next: Signal,
    due: Instant,
}

impl Owner {
    pub(super) async fn watch(&mut self) -> Result<(), Halt> {
        let mut hint = self.minder.container.subscribe();
        let timeout = self.processor.timeout;
        let mut stop = None;
        let (watched, mut look_at) = (self.inner.guard.watch(self.id), Instant::now());
        self.pump();
        if let Err(error) = quota::seen(self.inner.dirs.out(&self.id)).await {
            tracing::warn!(%error, "what it writes is not seen before it ends");
        }
        loop {
            self.network_found_again().await;
            self.serve_again().await;
            let ran = self.vitals.elapsed();
            if matches!(self.job.phase(), Some(Phase::Running)) && self.is_over() {
                self.own(OwnerEvent::Stop { cause: StopCause::OutputLimit }).await?;
            }
            if matches!(self.job.phase(), Some(Phase::Running)) && ran >= timeout {
                self.own(OwnerEvent::Stop { cause: StopCause::TimedOut }).await?;
            }
            match self.inner.parts.engine.inspect(&self.id).await {
                Ok(Some(ContainerState::Exited(exit))) => {
                    self.inner.heard_from_engine(None);
                    failpoint::hit("exited");
                    return self.own(OwnerEvent::Exited { exit }).await;
                }
                Ok(Some(ContainerState::Running)) => {
                    self.inner.heard_from_engine(None);
                    // Only while it runs: one that has exited is judged by what it left.
                    if matches!(self.job.phase(), Some(Phase::Running)) && Instant::now() >= look_at
                    {
                        look_at = self.measure(&watched).await?;
                    }
                    if matches!(self.job.phase(), Some(Phase::Stopping { .. })) {
                        let stop = stop.get_or_insert_with(|| Stop::new(self.processor.grace));
                        stop.step(&self.inner, &self.id).await;
                    }
                }
                Ok(Some(ContainerState::Created) | None) => {
                    let words = "its container is gone, and not by us";
                    return self.conclude(settle::infrastructure(&self.job, words)).await;
                }
                Err(EngineError::Unavailable(words)) => {
                    self.inner.heard_from_engine(Some(&words));
                }
                Err(error) => tracing::warn!(%error, "could not look at the container"),
            }
            let until_timeout = match self.job.phase() {
                Some(Phase::Running) => timeout.saturating_sub(ran),
                _ => POLL,
            };
            tokio::select! {
                _ = hint.changed() => {}
                () = self.over() => {}
                () = sleep(POLL.min(until_timeout)) => {}
            }
        }
    }

    /// What reads the container's log; begun when it is first wanted.
    pub(super) fn pump(&mut self) -> &mut Pump {
        let (inner, id, vitals) = (&self.inner, self.id, &self.vitals);
        self.pump.get_or_insert_with(|| Pump::start(inner, id, Some(vitals)))
    }
}

impl Stop {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, next: Signal::Term, due: Instant::now() }
    }

    /// Sends what is due: SIGTERM, and after the grace SIGKILL, until the container is gone.
    pub(super) async fn step(&mut self, inner: &crate::Inner, id: &crate::engine::ContainerId) {
        if Instant::now() < self.due {
            return;
        }
        match inner.parts.engine.signal(id, self.next).await {
            Ok(()) => {
                let wait = if self.next == Signal::Term { self.grace } else { KILL_AGAIN };
                self.next = Signal::Kill;
                self.due = Instant::now() + wait;
            }
            Err(error) => tracing::warn!(%error, "could not signal the container"),
        }
    }
}
