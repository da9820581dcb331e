//! Containers on a Docker daemon, over its API.
//!
//! A container's name is made of its install, job and attempt, which makes creating it idempotent.
//! Nothing is kept here that a restart would lose: the daemon is asked each time.

mod check;
mod client;
mod events;
mod images;
mod logs;
mod mounts;
mod network;
mod spec;
mod state;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::{
    models::{ContainerSummary, ContainerSummaryStateEnum as Status},
    query_parameters::{
        CreateContainerOptions, KillContainerOptions, ListContainersOptions, LogsOptions,
        RemoveContainerOptions, WaitContainerOptions,
    },
};
use fileyard_oci::credentials;
use fileyard_storage::{failpoint, id::InstallId, job::ExitFacts};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tokio::sync::RwLock;

use self::{
    client::{Client, Failure, QUICK, SLOW, call},
    network::Open,
};
use super::{
    ContainerId, ContainerSpec, ContainerState, Engine, EngineError, HostDirs, Images, Listed,
    LogChunk, LogPosition, NetworkRange, Networks, Signal, Staging, firewall::Firewall,
    turns::Turns,
};

/// How much later than an exit Docker may say that the kernel killed something for memory: half a
/// second on a quiet machine, more on a busy one. So often it is asked, so long apart.
const OOM_LOOKS: u32 = 6;
const OOM_LAG: Duration = Duration::from_millis(500);

/// A Docker daemon.
pub struct DockerEngine {
    client: Arc<Client>,
    dirs: HostDirs,
    /// Where registries' credentials are.
    docker_config: Option<PathBuf>,
    /// Two starts of one container wait for each other: a second one that found it created would
    /// run it again if it had exited by then.
    turns: Turns,
    /// Where attempts' networks are taken from.
    range: NetworkRange,
    /// Whether any is going to be, so that a person needs to hear what stands in the way.
    networks_wanted: bool,
    firewall: Firewall,
    open: Open,
    /// Read by whoever makes a network: the rules of the last that went are not removed then.
    making: RwLock<()>,
}

impl DockerEngine {
    /// The daemon at `host`: `unix://PATH`, `tcp://ADDRESS:PORT`, or empty for `DOCKER_HOST` and
    /// without that `/var/run/docker.sock`. It need not be there yet.
    ///
    /// # Errors
    /// [`EngineError::Rejected`] for a host of another kind.
    pub fn new(host: &str, dirs: HostDirs) -> Result<Self, EngineError> {
        let client = Arc::new(Client::new(host)?);
        let docker_config = credentials::default_file();
        Ok(Self {
            client,
            dirs,
            docker_config,
            turns: Turns::default(),
            range: NetworkRange::default(),
            networks_wanted: false,
            firewall: Firewall::of_bridges(),
            open: Open::default(),
            making: RwLock::default(),
        })
    }

    /// Takes attempts' networks from this range; `wanted` says that some processor needs one, so that
    /// a check tells what it finds about them.
    #[must_use]
    pub fn with_networks(mut self, range: NetworkRange, wanted: bool) -> Self {
        (self.range, self.networks_wanted) = (range, wanted);
        self
    }

    /// Whether attempts' `/out` are file systems of their own from now on. The daemon must see them: see
    /// [`Self::sees`].
    #[must_use]
    pub fn with_quotas(mut self, quotas: bool) -> Self {
        self.dirs = self.dirs.with_quotas(quotas);
        self
    }

    /// Takes registries' credentials from this file, instead of the user's `config.json`.
    #[must_use]
    pub fn with_docker_config(mut self, file: PathBuf) -> Self {
        self.docker_config = Some(file);
        self
    }

    /// Creates it unless it is there, as a server that died before the start would leave it.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn create_only(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let daemon = self.client.connected().await?;
        let image = match call(QUICK, daemon.docker.inspect_image(&spec.image)).await {
            Ok(image) => image.config.unwrap_or_default(),
            Err(Failure::Answer(404, _)) => return Err(EngineError::NoImage(spec.image.clone())),
            Err(failure) => return Err(failure.into()),
        };
        let options =
            CreateContainerOptions { name: Some(spec.id.to_string()), ..Default::default() };
        let mut body = spec::body(spec, &self.dirs, &image, &daemon.info);
        daemon.ourselves.translate(&mut body).map_err(EngineError::Trouble)?;
        match call(SLOW, daemon.docker.create_container(Some(options), body)).await {
            Ok(created) => {
                for warning in created.warnings {
                    tracing::warn!(container = %spec.id, warning, "Docker created it otherwise");
                }
                Ok(())
            }
            Err(Failure::Answer(409, words)) if words.contains("already in use") => Ok(()),
            Err(Failure::Answer(404, _)) => Err(EngineError::NoImage(spec.image.clone())),
            Err(Failure::Answer(400, words)) if words.contains("bind source path") => {
                Err(EngineError::Trouble(format!(
                    "{words}; the daemon must see fileyard's data directory at the same path"
                )))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn start_created(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError> {
        let docker = self.client.docker().await?;
        let started = call(SLOW, docker.start_container(&spec.id.to_string(), None)).await;
        // The daemon answers an inspection only once a start under way has come to its end, so a
        // start whose reply was lost is seen here.
        let now = self.inspect(&spec.id).await?;
        match (started, now) {
            (_, Some(state @ (ContainerState::Running | ContainerState::Exited(_)))) => Ok(state),
            (Err(Failure::Answer(_, words)), _) if state::blames_the_image(&words) => {
                Err(EngineError::Rejected(words))
            }
            (Err(Failure::Answer(404, words)), Some(_)) if words.contains("network") => {
                Err(EngineError::Trouble(words))
            }
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), _) => Err(EngineError::Trouble(format!(
                "{} was started, and is not there any more",
                spec.id
            ))),
        }
    }

    /// What init said, if it could not run the program.
    async fn failure_to_run(&self, id: &ContainerId) -> Result<Option<String>, EngineError> {
        let docker = self.client.docker().await?;
        let options = LogsOptions { stderr: true, tail: "1".into(), ..Default::default() };
        let last = docker.logs(&id.to_string(), Some(options)).try_collect::<Vec<_>>();
        let last = call(QUICK, last).await?;
        let line = last.last().map(ToString::to_string).unwrap_or_default();
        Ok(state::failure_to_run(&line).map(str::to_owned))
    }

    /// The facts of an exit, once all are in.
    async fn settled(&self, id: &ContainerId, first: ExitFacts) -> Result<ExitFacts, EngineError> {
        let mut facts = first;
        for _ in 0..OOM_LOOKS {
            if !state::may_be_out_of_memory(&facts) {
                break;
            }
            tokio::time::sleep(OOM_LAG).await;
            if let Some(ContainerState::Exited(later)) = self.client.ask(id).await? {
                facts = later;
            }
        }
        if state::may_have_failed_to_run(&facts) {
            facts.message = self.failure_to_run(id).await?;
        }
        Ok(facts)
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError> {
        let _turn = self.turns.of(&spec.id).await;
        match self.inspect(&spec.id).await? {
            Some(state @ (ContainerState::Running | ContainerState::Exited(_))) => {
                return Ok(state);
            }
            Some(ContainerState::Created) => {}
            None => self.create_only(spec).await?,
        }
        failpoint::hit("created");
        self.start_created(spec).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        Ok(match self.client.ask(id).await? {
            Some(ContainerState::Exited(facts)) => {
                Some(ContainerState::Exited(self.settled(id, facts).await?))
            }
            state => state,
        })
    }

    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), EngineError> {
        let docker = self.client.docker().await?;
        let options = KillContainerOptions { signal: signal.as_str().into() };
        match call(QUICK, docker.kill_container(&id.to_string(), Some(options))).await {
            // 409: it is not running.
            Ok(()) | Err(Failure::Answer(404 | 409, _)) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let docker = self.client.docker().await?;
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match call(SLOW, docker.remove_container(&id.to_string(), Some(options))).await {
            Ok(()) | Err(Failure::Answer(404, _)) => Ok(()),
            Err(Failure::Answer(409, words)) if words.contains("already in progress") => {
                let options = WaitContainerOptions { condition: "removed".into() };
                let removed = docker.wait_container(&id.to_string(), Some(options));
                match call(SLOW, async { Ok(removed.collect::<Vec<_>>().await) }).await {
                    Ok(_) => Ok(()),
                    Err(failure) => Err(failure.into()),
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn logs(
        &self,
        id: &ContainerId,
        from: LogPosition,
    ) -> BoxStream<'static, Result<LogChunk, EngineError>> {
        logs::follow(self.client.clone(), *id, from)
    }

    async fn list(&self, install: InstallId) -> Result<Vec<Listed>, EngineError> {
        let docker = self.client.docker().await?;
        let label = format!("{}={install}", spec::INSTALL);
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
            ..Default::default()
        };
        let all = call(QUICK, docker.list_containers(Some(options))).await?;
        Ok(all.iter().filter_map(listed).filter(|it| it.id.install == install).collect())
    }

    fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId> {
        events::changes(self.client.clone(), install)
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

/// One of ours, by its name; what a person labelled so is not.
fn listed(container: &ContainerSummary) -> Option<Listed> {
    let names = container.names.iter().flatten();
    let id = names.filter_map(|name| name.trim_start_matches('/').parse().ok()).next()?;
    let running = matches!(
        container.state,
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING)
    );
    Some(Listed { id, running })
}
