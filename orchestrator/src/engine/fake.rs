//! An engine for tests: real files, real concurrency, no containers.
//!
//! Its only image is `fake`, whose command is a list of verbs (see [`program`]). Each container is
//! a task; all clones of an engine share them, so that they outlive an orchestrator as Docker's do.
//! It isolates nothing and must never run what a stranger wrote.

mod controls;
pub mod http;
mod networks;
pub mod program;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use fileyard_storage::{
    clock::{Clock, SystemClock},
    id::InstallId,
};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::{Semaphore, broadcast, watch};

use self::state::{Container, Read, State};
use super::{
    ContainerId, ContainerSpec, ContainerState, Engine, EngineError, HostDirs, Images, Listed,
    LogChunk, LogPosition, Networks, Pull, Signal, Staging,
};

/// The one image that is there from the beginning.
pub const IMAGE: &str = "fake";

/// An engine whose containers are tasks of this process. Clones are the same engine.
#[derive(Clone)]
pub struct FakeEngine {
    dirs: HostDirs,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Counts every change of the state, for whoever waits for one.
    version: watch::Sender<u64>,
    hints: broadcast::Sender<ContainerId>,
    /// One for each removal that may be done.
    removals: Semaphore,
    removing: AtomicUsize,
}

impl FakeEngine {
    /// An engine with nothing on it but [`IMAGE`].
    #[must_use]
    pub fn new(dirs: HostDirs) -> Self {
        Self::with_clock(dirs, Arc::new(SystemClock))
    }

    /// The same, by another clock than the machine's.
    #[must_use]
    pub fn with_clock(dirs: HostDirs, clock: Arc<dyn Clock>) -> Self {
        let mut state = State::default();
        state.add_image(IMAGE, 1);
        let shared = Shared {
            clock,
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            hints: broadcast::Sender::new(64),
            removals: Semaphore::new(Semaphore::MAX_PERMITS),
            removing: AtomicUsize::new(0),
        };
        Self { dirs, shared: Arc::new(shared) }
    }

    /// The state, unless the engine is down.
    fn up(&self) -> Result<MutexGuard<'_, State>, EngineError> {
        let state = self.shared.lock();
        if state.down {
            return Err(EngineError::Unavailable("the fake engine is down".into()));
        }
        Ok(state)
    }

    fn create(&self, state: &mut State, spec: &ContainerSpec) -> Result<(), EngineError> {
        let image = state.image(&spec.image).cloned();
        let image = image.ok_or_else(|| EngineError::NoImage(spec.image.clone()))?;
        if let Some(input) = &spec.input {
            let (input, out) = (self.dirs.input(&spec.id, input), self.dirs.out(&spec.id));
            if !input.is_file() || !out.is_dir() {
                let missing = if out.is_dir() { input } else { out };
                return Err(EngineError::Unavailable(format!(
                    "{} is not there",
                    missing.display()
                )));
            }
        }
        if !spec.reach.is_nothing() && !state.networks.contains_key(&spec.id) {
            return Err(EngineError::Trouble(format!("network {} not found", spec.id)));
        }
        state.made += 1;
        let container = Container {
            serial: state.made,
            state: ContainerState::Created,
            signal: None,
            image,
            env: spec.env.clone(),
            at_gate: None,
            log: Vec::new(),
        };
        state.containers.insert(spec.id, container);
        Ok(())
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError> {
        let mut state = self.up()?;
        if let Some(refusal) = state.refusals.pop_front() {
            return Err(refusal);
        }
        if !state.containers.contains_key(&spec.id) {
            self.create(&mut state, spec)?;
        }
        let container = state.containers.get_mut(&spec.id).expect("it was made above");
        if container.state == ContainerState::Created {
            if let Some(entrypoint) = spec.entrypoint.first() {
                return Err(EngineError::Rejected(format!(
                    "exec: {entrypoint:?}: executable file not found in $PATH"
                )));
            }
            container.state = ContainerState::Running;
            let serial = container.serial;
            *state.starts.entry(spec.id).or_default() += 1;
            tokio::spawn(program::run(self.clone(), spec.clone(), serial));
        }
        let now = state.containers[&spec.id].state.clone();
        let lost = state.lost_replies > 0;
        state.lost_replies = state.lost_replies.saturating_sub(1);
        drop(state);
        self.shared.changed(Some(spec.id));
        if lost {
            return Err(EngineError::Unavailable("the reply to a start was lost".into()));
        }
        Ok(now)
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        Ok(self.up()?.containers.get(id).map(|container| container.state.clone()))
    }

    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), EngineError> {
        if let Some(container) = self.up()?.containers.get_mut(id)
            && container.signal != Some(Signal::Kill)
        {
            container.signal = Some(signal);
        }
        self.shared.changed(None);
        Ok(())
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.shared.removing.fetch_add(1, Ordering::Relaxed);
        self.shared.changed(None);
        self.shared.removals.acquire().await.expect("nobody closes it").forget();
        self.shared.removing.fetch_sub(1, Ordering::Relaxed);
        self.up()?.containers.remove(id);
        self.shared.changed(Some(*id));
        Ok(())
    }

    fn logs(
        &self,
        id: &ContainerId,
        from: LogPosition,
    ) -> BoxStream<'static, Result<LogChunk, EngineError>> {
        let cursor = Some((self.clone(), *id, from, self.shared.version.subscribe()));
        futures::stream::unfold(cursor, async |cursor| {
            let (engine, id, mut from, mut version) = cursor?;
            loop {
                version.borrow_and_update();
                match engine.up().map(|state| state.read(&id, from)) {
                    Err(error) => return Some((Err(error), None)),
                    Ok(Read::End) => return None,
                    Ok(Read::Chunk(chunk)) => {
                        from = from.after(&chunk);
                        return Some((Ok(chunk), Some((engine, id, from, version))));
                    }
                    Ok(Read::Later) => version.changed().await.ok()?,
                }
            }
        })
        .boxed()
    }

    async fn list(&self, install: InstallId) -> Result<Vec<Listed>, EngineError> {
        let state = self.up()?;
        let ours = state.containers.iter().filter(|(id, _)| id.install == install);
        Ok(ours
            .map(|(id, it)| Listed { id: *id, running: it.state == ContainerState::Running })
            .collect())
    }

    fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId> {
        let hints = (self.clone(), install, self.shared.hints.subscribe());
        futures::stream::unfold(hints, async |(engine, install, mut hints)| {
            loop {
                match hints.recv().await {
                    Ok(id) if id.install == install && !engine.shared.lock().down => {
                        return Some((id, (engine, install, hints)));
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // Unreachable while `engine` holds the sender.
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    fn staging(&self) -> Staging<'_> {
        Staging::HostDirs(&self.dirs)
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }
}

#[async_trait]
impl Images for FakeEngine {
    async fn ensure(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        let there = self.up()?.images.contains_key(image);
        match pull {
            Pull::Missing | Pull::Never if there => return Ok(()),
            Pull::Never => return Err(EngineError::NoImage(image.to_owned())),
            Pull::Always | Pull::Missing => {}
        }
        let mut version = self.shared.version.subscribe();
        self.up()?.pulls.push(image.to_owned());
        self.shared.changed(None);
        progress(format!("pulling {image}"));
        while self.up()?.slow.contains(image) {
            version.changed().await.expect("the engine holds the sender");
        }
        let mut state = self.up()?;
        if let Some(error) = state.pull_refusals.pop_front() {
            return Err(error);
        }
        if !state.registry.contains(image) {
            return Err(EngineError::Rejected(format!("manifest for {image} not found")));
        }
        state.add_image(image, 1);
        drop(state);
        self.shared.changed(None);
        Ok(())
    }

    async fn resolve(&self, image: &str) -> Result<Option<String>, EngineError> {
        Ok(self.up()?.image(image).cloned())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, hint: Option<ContainerId>) {
        self.version.send_modify(|version| *version += 1);
        if let Some(id) = hint {
            // Nobody listening is no error.
            let _ = self.hints.send(id);
        }
    }
}

impl fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEngine").field("containers", &self.containers()).finish()
    }
}
