//! The owner of a running job: one tracked task that takes it from where it stands to its end.
//!
//! Its steps are told by the job's phase alone, so an adopter takes the same ones. Every step may
//! be repeated; every change of the row is made with the owner's fence, and the first refusal ends
//! the owner: somebody else decides then.

mod clean;
mod collect;
mod heartbeat;
mod measure;
mod network;
mod pump;
mod serve;
mod start;
mod watch;

use std::{sync::Arc, time::Duration};

use fileyard_storage::{
    StoreError,
    attempt::{AttemptState, Contract},
    id::{AttemptNo, Fence, JobId},
    job::{Job, JobEvent, OwnerEvent, Phase},
};
use tokio::sync::watch as signal;

pub(crate) use self::clean::Cleaner;
use self::{heartbeat::Vitals, pump::Pump, serve::Served};
use crate::{
    Inner,
    engine::{ContainerId, EngineError, Gateway},
    processor::Processor,
    settle::{PAUSE, Verdict},
    slots::Slot,
};

/// How long an owner may be silent.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Where a task that minds an attempt hears that it should look.
#[derive(Debug, Clone)]
pub(crate) struct Minder {
    /// The row was changed by somebody else.
    pub(crate) row: signal::Sender<()>,
    /// The container started or ended.
    pub(crate) container: signal::Sender<()>,
}

/// Minds one attempt of a running job.
pub(crate) struct Owner {
    inner: Arc<Inner>,
    /// As of the last change that this owner made.
    job: Job,
    fence: Fence,
    id: ContainerId,
    processor: Arc<Processor>,
    /// Whether that is what the config says; a stand-in minds what runs, and starts nothing.
    configured: bool,
    /// The attempt's, which the config's may differ from by now.
    contract: Contract,
    /// The attempt's, which the processor's name may not mean by now.
    image: Option<String>,
    /// Why the image could not be fetched, when the job was claimed.
    unfetched: Option<EngineError>,
    slot: Option<Slot>,
    vitals: Arc<Vitals>,
    pump: Option<Pump>,
    /// Of the attempt's own network, once this owner has seen to that.
    gateway: Option<Gateway>,
    /// By `urls`, while its container may run.
    served: Option<Served>,
    minder: Minder,
}

/// Why an owner stops before its job is settled.
enum Halt {
    /// It is not the owner any more, or can not prove that it is.
    Lost,
    /// The server goes down; the container runs on.
    Leaving,
}

impl Minder {
    pub(crate) fn new() -> Self {
        Self { row: signal::Sender::new(()), container: signal::Sender::new(()) }
    }
}

/// Says that a task of this process minds an attempt, for as long as it lives: a task that panics
/// must not keep others from its job.
struct Minding {
    inner: Arc<Inner>,
    key: (JobId, AttemptNo),
}

impl Minding {
    fn begin(inner: &Arc<Inner>, id: ContainerId, minder: Minder) -> Self {
        let key = (id.job, id.attempt);
        inner.minded().insert(key, minder);
        Self { inner: Arc::clone(inner), key }
    }
}

impl Drop for Minding {
    fn drop(&mut self) {
        self.inner.minded().remove(&self.key);
    }
}

impl Owner {
    /// The owner of a job that was just claimed or adopted, with what the config has for it or a
    /// stand-in for what it no longer has.
    pub(crate) fn new(
        inner: Arc<Inner>,
        job: Job,
        (contract, image): (Contract, Option<String>),
        processor: Result<Arc<Processor>, Processor>,
        slot: Slot,
    ) -> Self {
        let no = job.attempt.unwrap_or(AttemptNo(1));
        Self {
            id: inner.container(job.id(), no),
            fence: job.fence,
            vitals: Arc::new(Vitals::of(&job)),
            configured: processor.is_ok(),
            contract,
            image,
            unfetched: None,
            processor: processor.unwrap_or_else(Arc::new),
            slot: Some(slot),
            pump: None,
            gateway: None,
            served: None,
            minder: Minder::new(),
            inner,
            job,
        }
    }

    /// Its image could not be had, where there is an error.
    #[must_use]
    pub(crate) fn without_image(self, unfetched: Option<EngineError>) -> Self {
        Self { unfetched, ..self }
    }

    /// Runs as a tracked task.
    pub(crate) fn spawn(self) {
        let minding = Minding::begin(&self.inner, self.id, self.minder.clone());
        self.inner.tasks.clone().spawn(async move {
            self.run().await;
            drop(minding);
        });
    }

    #[tracing::instrument(name = "job", skip_all, fields(job = %self.id.job, attempt = %self.id.attempt))]
    async fn run(mut self) {
        let beat = heartbeat::beat(
            Arc::clone(&self.inner),
            self.id.job,
            self.fence,
            Arc::clone(&self.vitals),
            self.minder.row.subscribe(),
        );
        let halted = tokio::select! {
            settled = self.settle() => settled.err(),
            () = beat => Some(Halt::Lost),
        };
        match halted {
            Some(Halt::Leaving) => return self.leave().await,
            Some(Halt::Lost) => tracing::info!(fence = %self.fence, "no longer the owner"),
            None => {}
        }
        // The job went on without this attempt: what is left of it is removed here, now. When it
        // was taken over instead, its attempt lives, and whoever has it will do so.
        let (job, no) = (self.id.job, self.id.attempt);
        match self.inner.parts.store.attempt(job, no).await {
            Ok(Some(attempt)) if matches!(attempt.state, AttemptState::Ended { .. }) => {
                let slot = self.slot.take();
                Cleaner::new(self.inner, attempt, slot, self.pump.take(), self.minder).run().await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a later pass will remove this attempt"),
        }
    }

    /// Says in the row that this was no crash: the next owner need not count it, nor wait.
    async fn leave(&self) {
        let event = JobEvent::Own(self.fence, OwnerEvent::Leave);
        let now = self.inner.parts.clock.now();
        match self.inner.parts.store.apply(self.id.job, event, now).await {
            // Refused: it was cancelled at this very moment, and the next start removes it.
            Ok(_) | Err(StoreError::Refused(_)) => {}
            Err(error) => tracing::warn!(%error, "could not give the job up in its row"),
        }
    }

    /// Takes steps until the job is not running any more.
    async fn settle(&mut self) -> Result<(), Halt> {
        let (stopping, leaving) = (self.inner.stopping.clone(), self.inner.leaving.clone());
        loop {
            match self.job.phase() {
                None => return Ok(()),
                // What was stored so far is not thrown away while the drain lasts.
                Some(Phase::Collecting { .. }) => tokio::select! {
                    done = self.collect() => done?,
                    () = leaving.cancelled() => return Err(Halt::Leaving),
                },
                Some(Phase::Starting) => tokio::select! {
                    done = self.start() => done?,
                    () = stopping.cancelled() => return Err(Halt::Leaving),
                },
                Some(Phase::Running | Phase::Stopping { .. }) => tokio::select! {
                    done = self.watch() => done?,
                    () = stopping.cancelled() => return Err(Halt::Leaving),
                },
            }
        }
    }

    /// Changes the row with this owner's fence. Waits while the database is away: the heartbeat
    /// decides how long that may take.
    async fn own(&mut self, event: OwnerEvent) -> Result<(), Halt> {
        loop {
            let event = JobEvent::Own(self.fence, event.clone());
            let now = self.inner.parts.clock.now();
            match self.inner.parts.store.apply(self.id.job, event, now).await {
                Ok(job) => {
                    self.job = job;
                    return Ok(());
                }
                Err(StoreError::Refused(_) | StoreError::NotFound(_)) => return Err(Halt::Lost),
                Err(error) => {
                    tracing::warn!(%error, "could not change the job's row; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Commits a verdict that needs no outputs.
    async fn conclude(&mut self, verdict: Verdict) -> Result<(), Halt> {
        let event = match verdict {
            Verdict::Bad(reason) => {
                tracing::info!(%reason, "failed");
                OwnerEvent::Fail { reason }
            }
            Verdict::Again { budget, detail, after } => {
                tracing::info!(detail, ?after, "will be tried again");
                let not_before = self.inner.parts.clock.now().after(after);
                OwnerEvent::Retry { budget, not_before, detail }
            }
            Verdict::Good => {
                OwnerEvent::Succeed { result: serde_json::Value::Null, outputs: Vec::new() }
            }
        };
        self.own(event).await
    }
}
