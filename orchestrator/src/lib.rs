//! Decides: what is accepted, what runs, where, and what its ending means.
//!
//! [`Orchestrator::tick`] reads the truth, takes idempotent steps, and says when to come back.
//! Wake-ups are hints; polling is the guarantee. A claim is made only by a tracked task.

pub mod change;
pub mod contract;
pub mod disk;
mod dispatch;
pub mod engine;
mod guard;
pub mod hint;
mod images;
pub mod intake;
pub mod log;
mod owner;
pub mod processor;
mod prune;
mod reconcile;
mod settle;
mod slots;
pub mod template;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fileyard_storage::{
    Store, StoreError,
    blob::BlobStore,
    clock::Clock,
    id::{AttemptNo, JobId},
};
use futures::StreamExt;
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    contract::urls::Urls,
    disk::Disk,
    engine::{ContainerId, Engine, HostDirs, Staging},
    guard::Guard,
    hint::{Hint, Hints},
    images::ImageGate,
    owner::Minder,
    processor::Processors,
    prune::Removal,
    slots::Slots,
};

/// How often rows and containers are compared.
const RECONCILE_EVERY: Duration = Duration::from_secs(15);
/// How often an engine that does not answer is asked again.
const ENGINE_RETRY: Duration = Duration::from_secs(2);
/// How often the queue is looked at without a hint.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long tasks have to give up their jobs when a drain is over.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How often uploads are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Turns queued jobs into ended ones. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator(Arc<Inner>);

/// What an orchestrator works with.
pub struct Parts {
    /// Rows.
    pub store: Arc<dyn Store>,
    /// Blobs.
    pub blobs: BlobStore,
    /// Containers.
    pub engine: Arc<dyn Engine>,
    /// What the config declares.
    pub processors: Processors,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Wake-ups, shared with intake.
    pub hints: Hints,
    /// Where containers and logs write.
    pub disk: Disk,
    /// Containers at once.
    pub concurrency: usize,
    /// How long a job may be queued, if not for ever.
    pub queue_timeout: Option<Duration>,
    /// How long a job is kept once it has ended, if not for ever.
    pub keep_jobs: Option<Duration>,
    /// What the `urls` contract stands on, where it is offered.
    pub urls: Option<Urls>,
}

struct Inner {
    parts: Parts,
    dirs: HostDirs,
    slots: Slots,
    images: ImageGate,
    tasks: TaskTracker,
    /// No new work; what only waits for a container lets go of it.
    stopping: CancellationToken,
    /// The drain has lasted long enough: what is being stored is left to the next start as well.
    leaving: CancellationToken,
    /// Attempts that a task of this process minds.
    minded: Mutex<HashMap<(JobId, AttemptNo), Minder>>,
    /// Containers that no row explained in the last pass.
    strangers: Mutex<HashSet<ContainerId>>,
    /// Networks that no row explained in the last pass, by the container they were for.
    strange_networks: Mutex<HashSet<ContainerId>>,
    /// Who fills the disk.
    guard: Guard,
    /// How far the blobs of pruned jobs are.
    removal: Removal,
    /// Why the engine does not answer, while it does not.
    engine_trouble: watch::Sender<Option<String>>,
}

impl Orchestrator {
    /// An orchestrator that does nothing until it is ticked or run.
    ///
    /// # Panics
    /// With an engine that stages in the container: the `files` contract needs host directories.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Staging::HostDirs(dirs) = parts.engine.staging() else {
            panic!("the files contract needs an engine that sees the host's directories");
        };
        let dirs = dirs.clone();
        let slots = Slots::new(parts.concurrency, parts.hints.clone());
        let (engine, hints) = (Arc::clone(&parts.engine), parts.hints.clone());
        let stopping = CancellationToken::new();
        Self(Arc::new(Inner {
            images: ImageGate::new(engine, hints, stopping.clone()),
            slots,
            tasks: TaskTracker::new(),
            stopping,
            leaving: CancellationToken::new(),
            minded: Mutex::default(),
            strangers: Mutex::default(),
            strange_networks: Mutex::default(),
            dirs,
            guard: Guard::new(parts.disk.clone()),
            removal: Removal::default(),
            engine_trouble: watch::Sender::new(None),
            parts,
        }))
    }

    /// Why the engine does not answer, while it does not.
    #[must_use]
    pub fn engine_trouble(&self) -> Option<String> {
        self.0.engine_trouble.borrow().clone()
    }

    /// One pass: rows against containers, then the queue.
    ///
    /// # Errors
    /// [`StoreError`] when the rows can not be read or changed; the next pass tries again.
    pub async fn tick(&self) -> Result<(), StoreError> {
        self.0.reconcile().await?;
        self.0.dispatch().await
    }

    /// One pass over what ended long enough ago: it goes, with all that is stored for it.
    ///
    /// # Errors
    /// [`StoreError`] when the rows can not be read or changed; the next pass goes on.
    pub async fn prune(&self) -> Result<(), StoreError> {
        self.0.prune().await
    }

    /// Ticks until `stop` is cancelled, then drains: tasks that only wait for a container let it
    /// go on running for the next start; what is being stored or removed has `drain` to end.
    pub async fn run(&self, intake: &intake::Intake, stop: CancellationToken, drain: Duration) {
        let watching = tokio::spawn(Arc::clone(&self.0).watch_engine());
        // Apart from this loop: a store that is away makes these long, and jobs do not wait.
        let sweeping = tokio::spawn(sweep(intake.clone()));
        let pruning = tokio::spawn(prune(self.clone()));
        // First of all: what runs already has its slots, and an engine that is away is known to be,
        // before anything is claimed or fetched.
        said(self.0.reconcile().await);
        self.0.images.fetch_all(&self.0.parts.processors);
        let next = tokio::time::Instant::now() + RECONCILE_EVERY;
        let mut reconcile = tokio::time::interval_at(next, RECONCILE_EVERY);
        let mut poll = tokio::time::interval(POLL_EVERY);
        for interval in [&mut reconcile, &mut poll] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut hints = self.0.parts.hints.listen();
        let mut asked_engine = Instant::now();
        while !stop.is_cancelled() {
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = reconcile.tick() => self.0.reconcile().await,
                _ = poll.tick() => {
                    if self.engine_trouble().is_some() && asked_engine.elapsed() >= ENGINE_RETRY {
                        asked_engine = Instant::now();
                        reconcile.reset_immediately();
                    }
                    self.0.dispatch().await
                }
                hint = hints.recv() => match hint {
                    Ok(Hint::Changed(job)) => {
                        self.0.nudge(job);
                        Ok(())
                    }
                    // A lagging listener has lost hints, not work: look at the queue.
                    Ok(Hint::Queued) | Err(RecvError::Lagged(_)) => self.0.dispatch().await,
                    Err(RecvError::Closed) => break,
                },
            };
            said(done);
        }
        watching.abort();
        sweeping.abort();
        pruning.abort();
        self.0.stopping.cancel();
        self.0.tasks.close();
        if timeout(drain, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.0.tasks.len(),
                "drained for as long as is allowed; the next start goes on"
            );
            self.0.leaving.cancel();
            // What is left now only says in its row that it leaves, or is a removal that hangs.
            let _ = timeout(LEAVE_WITHIN, self.0.tasks.wait()).await;
        }
    }

    /// Waits until no task minds a container or a clean-up: for tests that drive `tick`.
    pub async fn settled(&self) {
        while !self.0.minded().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// Sweeps uploads for as long as it is let. Every step may be broken off and repeated.
async fn sweep(intake: intake::Intake) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(error) = intake.sweep().await {
            tracing::error!(%error, "a sweep over the uploads failed; the next one tries again");
        }
    }
}

/// Prunes for as long as it is let. Every step may be broken off and repeated.
async fn prune(orchestrator: Orchestrator) {
    let mut every = tokio::time::interval(prune::every(orchestrator.0.parts.keep_jobs));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(error) = orchestrator.prune().await {
            tracing::error!(%error, "could not prune what ended long ago; the next pass tries again");
        }
    }
}

fn said(pass: Result<(), StoreError>) {
    if let Err(error) = pass {
        tracing::error!(%error, "a pass over the rows failed; the next one tries again");
    }
}

impl Inner {
    /// Passes the engine's hints on to whoever minds the container.
    async fn watch_engine(self: Arc<Self>) {
        let mut changes = self.parts.engine.changes(self.parts.store.install());
        while let Some(id) = changes.next().await {
            if let Some(task) = self.minded().get(&(id.job, id.attempt)) {
                task.container.send_replace(());
            }
        }
    }

    /// Wakes whoever minds a container of this job.
    fn nudge(&self, job: JobId) {
        for ((minded, _), task) in self.minded().iter() {
            if *minded == job {
                task.row.send_replace(());
            }
        }
    }

    /// Notes what the engine answered, and says so once when that changed.
    fn heard_from_engine(&self, trouble: Option<&str>) {
        self.engine_trouble.send_if_modified(|current| {
            if current.as_deref() == trouble {
                return false;
            }
            match trouble {
                Some(words) => tracing::warn!(engine = self.parts.engine.name(), "{words}"),
                None => tracing::info!(engine = self.parts.engine.name(), "the engine answers"),
            }
            *current = trouble.map(str::to_owned);
            true
        });
    }

    fn minded(&self) -> MutexGuard<'_, HashMap<(JobId, AttemptNo), Minder>> {
        self.minded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strangers(&self) -> MutexGuard<'_, HashSet<ContainerId>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strange_networks(&self) -> MutexGuard<'_, HashSet<ContainerId>> {
        self.strange_networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn container(&self, job: JobId, attempt: AttemptNo) -> ContainerId {
        ContainerId { install: self.parts.store.install(), job, attempt }
    }
}
