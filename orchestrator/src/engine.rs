//! What runs containers, as the orchestrator sees it: seven methods and a few optional
//! capabilities.
//!
//! A spec says *what* is in `/in` (a blob's key and digest) and who may write `/out`; where those
//! are on a host is between the engine and its [`HostDirs`].

#[cfg(any(test, feature = "full-stack"))]
pub mod conformance;
mod dirs;
pub mod docker;
pub mod fake;
mod firewall;
mod id;
mod network;
pub mod oci;
mod output;
pub mod seccomp;
pub mod several;
mod spec;
mod turns;
mod volumes;

use async_trait::async_trait;
use fileyard_storage::{id::InstallId, job::ExitFacts};
use futures::stream::BoxStream;

pub use self::{
    dirs::HostDirs,
    id::{ContainerId, NotOurs},
    network::{BadRange, Gateway, NetworkRange, Networks, Reach, Subnet},
    output::{LogChunk, LogPosition, LogStream},
    spec::{ContainerSpec, InputFile, Limits, Network, Pull, User},
};

/// Runs containers.
///
/// Every method may be called again after its reply was lost, and then does no more than is missing.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Its name, as attempts record it: `docker`, `oci`, `fake`.
    fn name(&self) -> &'static str;

    /// Sees to it that the container of this name was started, once in its life.
    ///
    /// Creates it if it is not there, starts it if it is created, and does nothing if it runs or
    /// has exited. The image must be there: see [`Images`].
    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError>;

    /// How it is; `None` when there is no such container.
    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError>;

    /// Sends a signal to its init. One that is gone or has exited is left alone.
    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), EngineError>;

    /// Kills it if it runs, and removes it. One that is gone is left alone.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// What it writes, both streams in one order, from `from` on until it has exited and all is read.
    /// Of one that is gone there is nothing to read. After an error the stream ends: the caller
    /// goes on from the position it has reached.
    fn logs(
        &self,
        id: &ContainerId,
        from: LogPosition,
    ) -> BoxStream<'static, Result<LogChunk, EngineError>>;

    /// Every container of this install, whatever its state.
    async fn list(&self, install: InstallId) -> Result<Vec<Listed>, EngineError>;

    /// Hints that a container of this install started or ended. Never ends; may lose some.
    fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId>;

    /// Where it takes inputs from and leaves outputs.
    fn staging(&self) -> Staging<'_>;

    /// Fetches images, where the engine can.
    fn images(&self) -> Option<&dyn Images> {
        None
    }

    /// Gives attempts networks, where the engine can.
    fn networks(&self) -> Option<&dyn Networks> {
        None
    }
}

/// An engine that fetches images.
#[async_trait]
pub trait Images: Send + Sync {
    /// Sees to it that the image is there, as `pull` says.
    ///
    /// # Errors
    /// [`EngineError::Rejected`] when it can not be had, in the registry's or engine's own words.
    async fn ensure(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError>;

    /// The image that this name means right now, by a digest that the engine takes for a name and that
    /// never means another: `sha256:` and digits. `None` when it is not there.
    ///
    /// # Errors
    /// When the engine does not answer, or can not look.
    async fn resolve(&self, image: &str) -> Result<Option<String>, EngineError>;
}

/// Where files pass between the host and a container.
#[derive(Debug)]
pub enum Staging<'a> {
    /// Through directories that server and engine both see.
    HostDirs(&'a HostDirs),
    /// Not through the host: something in the container fetches and sends.
    InContainer,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// There, and never started.
    Created,
    /// Started and not ended.
    Running,
    /// Ended.
    Exited(ExitFacts),
}

/// One container of this install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: ContainerId,
    /// Whether it is running now.
    pub running: bool,
}

/// The signals we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// What was found out about an engine before the first job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineReport {
    /// Its name.
    pub engine: &'static str,
    /// Its own version.
    pub version: String,
    /// What a person may want to know of it.
    pub facts: Vec<String>,
    /// What it cannot do that jobs can do without: limits that have no effect.
    pub warnings: Vec<String>,
    /// What some processor asks for and can not have on it: jobs of others can run.
    pub lacks: Vec<String>,
    /// Why no job can run on it. Empty when they can.
    pub refusals: Vec<String>,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It does not answer. It may do so later.
    #[error("the container engine does not answer: {0}")]
    Unavailable(String),
    /// It answers, and could not do this now: its own trouble, or a registry's. Trying again may
    /// help; other calls may go well meanwhile.
    #[error("the container engine is in trouble: {0}")]
    Trouble(String),
    /// It answered, and will say the same again: the image or the command is at fault.
    #[error("{0}")]
    Rejected(String),
    /// The image is not there.
    #[error("the image {0} is not there")]
    NoImage(String),
    /// No room on its disk.
    #[error("the container engine has no room: {0}")]
    NoSpace(String),
    /// All of what it gives out is in use. Some will be given back.
    #[error("{0}")]
    Exhausted(String),
}

impl EngineError {
    /// Whether the same may go well another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Rejected(_) | Self::NoImage(_) => false,
            Self::Unavailable(_) | Self::Trouble(_) | Self::NoSpace(_) | Self::Exhausted(_) => true,
        }
    }
}

impl Signal {
    /// As engines take it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }
}
