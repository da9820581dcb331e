//! The sign of life of an owner, and what it carries into the row.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fileyard_storage::{
    StoreError,
    clock::Timestamp,
    id::{Fence, JobId},
    job::{Job, JobEvent, JobState, OwnerEvent, Progress},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::LEASE;
use crate::Inner;

const EVERY: Duration = Duration::from_secs(10);
/// An owner that could not renew for so long stops its work: its lease is about to end.
const GIVE_UP: Duration = Duration::from_secs(20);
/// How often progress reaches the row.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What a heartbeat says: how long the container has run, and what it last said.
pub(super) struct Vitals {
    /// As of the last heartbeat of the owner before.
    ran_before: Duration,
    /// Since when this owner has seen it run.
    watched_since: Mutex<Option<Instant>>,
    progress: watch::Sender<Option<Progress>>,
}

impl Vitals {
    pub(super) fn of(job: &Job) -> Self {
        let ran_before = match job.state {
            JobState::Running { elapsed, .. } => elapsed,
            _ => Duration::ZERO,
        };
        Self { ran_before, watched_since: Mutex::new(None), progress: watch::Sender::new(None) }
    }

    /// The container is seen to run; how long it has run in all. Durations are monotonic within a
    /// process; time in which nobody watched is not counted.
    pub(super) fn elapsed(&self) -> Duration {
        let mut since = self.watched_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.ran_before + since.get_or_insert_with(Instant::now).elapsed()
    }

    fn elapsed_so_far(&self) -> Duration {
        let since = self.watched_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.ran_before + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn said(&self, progress: Progress) {
        self.progress.send_replace(Some(progress));
    }

    /// A heartbeat as of now.
    pub(super) fn event(&self, now: Timestamp) -> OwnerEvent {
        OwnerEvent::Heartbeat {
            lease_until: now.after(LEASE),
            elapsed: self.elapsed_so_far(),
            progress: self.progress.borrow().clone(),
        }
    }

    /// Whether what it last said is not what the row says.
    pub(super) fn has_news(&self, row: Option<&Progress>) -> bool {
        let said = self.progress.borrow();
        said.is_some() && said.as_ref() != row
    }
}

/// Renews the lease until the owner has lost its job, and returns then.
pub(super) async fn beat(
    inner: Arc<Inner>,
    job: JobId,
    fence: Fence,
    vitals: Arc<Vitals>,
    mut row_changed: watch::Receiver<()>,
) {
    let mut progress = vitals.progress.subscribe();
    let mut renewed = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(renewed + EVERY) => {}
            // The sender lives as long as this task's owner.
            _ = row_changed.changed() => {}
            _ = progress.changed() => sleep_until(renewed + PROGRESS_EVERY).await,
        }
        progress.mark_unchanged();
        let now = inner.parts.clock.now();
        let event = vitals.event(now);
        match inner.parts.store.apply(job, JobEvent::Own(fence, event), now).await {
            Ok(_) => renewed = Instant::now(),
            Err(StoreError::Refused(_) | StoreError::NotFound(_)) => return,
            // Where nobody else can own it, a database that is away is only waited for.
            Err(error) if renewed.elapsed() >= GIVE_UP && !inner.parts.store.is_exclusive() => {
                tracing::error!(%job, %error, "could not renew the lease for {GIVE_UP:?}; giving the job up");
                return;
            }
            Err(error) => {
                tracing::warn!(%job, %error, "could not renew the lease; trying again");
                sleep(super::PAUSE).await;
            }
        }
    }
}
