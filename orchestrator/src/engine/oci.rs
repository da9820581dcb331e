//! Containers on this kernel, without a daemon: each has a directory and a helper process of its own.
//!
//! Nothing is kept here that a restart would lose: how a container is, its directory says each time.
//! What helper and container are is in `fileyard_oci::runtime`; this is only the engine's side of it.

mod check;
mod egress;
mod images;
mod logs;
mod network;
mod request;
mod watch;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use fileyard_oci::{
    image::{PullOptions, Store},
    netns::Netns,
    runtime::{self, Launcher, Place, Status, last_words},
};
use fileyard_storage::{clock::Timestamp, failpoint, id::InstallId, job::ExitFacts};
use futures::stream::BoxStream;
use rustix::process::pidfd_send_signal;

pub use self::check::check;
use self::{egress::Egress, network::Held, watch::Watch};
use super::{
    ContainerId, ContainerSpec, ContainerState, Engine, EngineError, HostDirs, Images, Listed,
    LogChunk, LogPosition, NetworkRange, Networks, Signal, Staging, turns::Turns,
};

/// This machine's kernel.
pub struct OciEngine {
    dirs: HostDirs,
    /// One directory a container.
    containers: PathBuf,
    images: Store,
    pulls: PullOptions,
    launcher: Launcher,
    /// Two starts of one container wait for each other.
    turns: Turns,
    watch: Arc<Watch>,
    /// Of attempts that may reach something.
    networks: Mutex<HashMap<ContainerId, Held>>,
    egress: Egress,
}

impl OciEngine {
    /// Keeps containers below `data`, and images there too.
    ///
    /// # Errors
    /// When the directories can not be made.
    pub fn new(data: &Path, dirs: HostDirs, launcher: Launcher) -> Result<Self, EngineError> {
        let containers = containers(data);
        fs::create_dir_all(&containers).map_err(trouble)?;
        // Now, while it is what was started. What keeps it from that is said by the first start that needs it.
        if let Err(error) = launcher.sealed() {
            tracing::debug!(%error, "not yet");
        }
        Ok(Self {
            dirs,
            containers: containers.canonicalize().map_err(trouble)?,
            images: Store::open(&data.join("images")).map_err(|error| images::trouble(&error))?,
            pulls: PullOptions::default(),
            launcher,
            turns: Turns::default(),
            watch: Arc::default(),
            networks: Mutex::default(),
            egress: Egress::new(NetworkRange::default()),
        })
    }

    /// Asks these registries first, by the registry that an image's name has.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: BTreeMap<String, String>) -> Self {
        self.pulls.mirrors = mirrors;
        self
    }

    /// Takes the addresses of attempts with egress from this range.
    #[must_use]
    pub fn with_networks(mut self, range: NetworkRange) -> Self {
        self.egress = Egress::new(range);
        self
    }

    /// Creates it unless it is there, as a server that died before the start would leave it.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn create_only(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let (place, images) = (self.place(&spec.id), self.images.clone());
        let (spec, dirs) = (spec.clone(), self.dirs.clone());
        blocking(move || {
            let found = images.find(&spec.image).map_err(|error| images::trouble(&error))?;
            let image = found.ok_or_else(|| EngineError::NoImage(spec.image.clone()))?;
            let request = request::of(&spec, &dirs, &image)?;
            // Held first: what is unused may be removed at any time.
            let name = spec.id.to_string();
            images.hold(&image, &name).map_err(|error| images::trouble(&error))?;
            place.create(&request).map_err(trouble)
        })
        .await
    }

    fn place(&self, id: &ContainerId) -> Place {
        Place::new(&self.containers, &id.to_string())
    }

    /// How it is, by its directory. One that runs is watched from now on.
    async fn status(&self, id: &ContainerId) -> Result<Status, EngineError> {
        let place = self.place(id);
        let status = blocking(move || place.status().map_err(trouble)).await?;
        if let Status::Running(Some(running)) = &status {
            self.watch.adopt(*id, &running.helper).map_err(trouble)?;
        }
        Ok(status)
    }

    async fn launch(
        &self,
        id: &ContainerId,
        network: Option<Arc<Netns>>,
    ) -> Result<ContainerState, EngineError> {
        let (launcher, place) = (self.launcher.clone(), self.place(id));
        let launching = move || launcher.launch(&place, network.as_deref()).map_err(trouble);
        let mut launched = blocking(launching).await?;
        let runs = launched.until_it_runs().await.map_err(trouble)?;
        self.watch.launched(*id, launched);
        if runs {
            return Ok(ContainerState::Running);
        }
        self.started(id, self.status(id).await?)
    }

    /// What a start answers, of one that was started before or just now.
    fn started(&self, id: &ContainerId, status: Status) -> Result<ContainerState, EngineError> {
        match status {
            Status::Running(_) => Ok(ContainerState::Running),
            Status::Exited(exit) => Ok(ContainerState::Exited(facts(exit))),
            Status::Refused(refusal) if refusal.for_good => {
                Err(EngineError::Rejected(refusal.words))
            }
            Status::Refused(refusal) => Err(EngineError::Trouble(refusal.words)),
            Status::Absent | Status::Created | Status::Lost => {
                let words = last_words(&self.place(id));
                Err(EngineError::Trouble(format!("the helper of {id} died: {words}")))
            }
        }
    }
}

#[async_trait]
impl Engine for OciEngine {
    fn name(&self) -> &'static str {
        "oci"
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError> {
        let _turn = self.turns.of(&spec.id).await;
        let absent = match self.status(&spec.id).await? {
            Status::Absent => true,
            Status::Created => false,
            status => return self.started(&spec.id, status),
        };
        hasten();
        let network = self.network(&spec.id, spec.reach)?;
        if absent {
            self.create_only(spec).await?;
        }
        failpoint::hit("created");
        self.launch(&spec.id, network).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        Ok(match self.status(id).await? {
            Status::Absent | Status::Lost => None,
            Status::Created | Status::Refused(_) => Some(ContainerState::Created),
            Status::Running(_) => Some(ContainerState::Running),
            Status::Exited(exit) => Some(ContainerState::Exited(facts(exit))),
        })
    }

    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), EngineError> {
        let Some(running) = self.running(id).await? else { return Ok(()) };
        let Some(init) = running.init.open().map_err(trouble)? else { return Ok(()) };
        match pidfd_send_signal(init, number(signal)) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(trouble(error.into())),
        }
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let _turn = self.turns.of(id).await;
        let (place, images, name) = (self.place(id), self.images.clone(), id.to_string());
        blocking(move || {
            runtime::remove(&place, &name).map_err(trouble)?;
            images.release(&name).map_err(|error| images::trouble(&error))
        })
        .await
    }

    fn logs(
        &self,
        id: &ContainerId,
        from: LogPosition,
    ) -> BoxStream<'static, Result<LogChunk, EngineError>> {
        logs::follow(self.place(id), &self.watch, from)
    }

    async fn list(&self, install: InstallId) -> Result<Vec<Listed>, EngineError> {
        let containers = self.containers.clone();
        let names = blocking(move || names(&containers).map_err(trouble)).await?;
        let mut listed = Vec::new();
        for id in names.into_iter().filter(|id| id.install == install) {
            let running = matches!(self.status(&id).await?, Status::Running(_));
            listed.push(Listed { id, running });
        }
        Ok(listed)
    }

    fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId> {
        self.watch.changes(install)
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

/// Where, in a data directory, each container has a directory.
#[must_use]
pub fn containers(data: &Path) -> PathBuf {
    data.join("tmp").join("containers")
}

/// Those that have a directory, also one that is half made or half removed.
fn names(containers: &Path) -> io::Result<Vec<ContainerId>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(containers)? {
        names.extend(entry?.file_name().to_str().and_then(|name| name.parse::<ContainerId>().ok()));
    }
    Ok(names)
}

fn facts(exit: runtime::Exit) -> ExitFacts {
    ExitFacts {
        code: exit.code.into(),
        out_of_memory: exit.out_of_memory,
        at: Timestamp(exit.at),
        message: exit.message,
    }
}

fn number(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed on by map_err")]
fn trouble(error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            EngineError::NoSpace(error.to_string())
        }
        _ => EngineError::Trouble(error.to_string()),
    }
}

/// While a helper starts, so that it does not wait for that itself.
fn hasten() {
    drop(tokio::task::spawn_blocking(runtime::hasten));
}

/// What looks at files is done where waiting disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(EngineError::Trouble(error.to_string())))
}
