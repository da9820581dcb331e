//! What runs containers, as the orchestrator sees it: seven methods and two optional capabilities.
//!
//! A spec says *what* is in `/in` (a blob's key and digest) and who may write `/out`; where those
//! are on a host is between the engine and its [`HostDirs`].

#[cfg(any(test, feature = "full-stack"))]
pub mod conformance;
pub mod docker;
pub mod fake;
pub mod seccomp;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use async_trait::async_trait;
use bytes::Bytes;
use fileyard_storage::{
    blob::{BlobKey, Digest},
    clock::Timestamp,
    id::{AttemptNo, InstallId, JobId},
    job::ExitFacts,
};
use futures::stream::BoxStream;

use crate::processor::Pull;

/// Runs containers.
///
/// Every method may be called again after its reply was lost, and then does no more than is missing.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Its name, as attempts record it: `docker`, `fake`.
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
}

/// Where files pass between the host and a container.
#[derive(Debug)]
pub enum Staging<'a> {
    /// Through directories that server and engine both see.
    HostDirs(&'a HostDirs),
    /// Not through the host: something in the container fetches and sends.
    InContainer,
}

/// The directories of attempts on a host, and whether blobs are files there too.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// One directory an attempt, named after its container.
    attempts: PathBuf,
    /// The root of a local blob store: its files are bound as they are, without a copy.
    blobs: Option<PathBuf>,
}

/// Which container: the name is made of all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId {
    /// Whose.
    pub install: InstallId,
    /// For which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: AttemptNo,
}

/// All that an engine is told about a container.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Its name and labels.
    pub id: ContainerId,
    /// The OCI image.
    pub image: String,
    /// Replaces the image's, unless empty; placeholders are filled in.
    pub entrypoint: Vec<String>,
    /// Replaces the image's, unless empty; placeholders are filled in.
    pub command: Vec<String>,
    /// Everything the program finds beside the image's own.
    pub env: BTreeMap<String, String>,
    /// Who the program is. A server that is not root runs it as itself: see [`HostDirs::user`].
    pub user: User,
    /// What it may use.
    pub limits: Limits,
    /// What it can reach.
    pub network: Network,
    /// The one file in `/in`, read-only.
    pub input: InputFile,
}

/// The one file in `/in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// A safe name: `[A-Za-z0-9._-]{1,100}`, not starting with `-` or `.`.
    pub name: String,
    /// Which blob it is.
    pub key: BlobKey,
    /// Of its content.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// In bytes, swap included.
    pub memory: u64,
    /// How many cores' worth of time.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// Of `/tmp`, in bytes.
    pub tmp: u64,
    /// The largest file it may write (RLIMIT_FSIZE), in bytes.
    pub file_size: u64,
    /// Open files (RLIMIT_NOFILE).
    pub open_files: u64,
}

/// A user and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What a container can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    #[default]
    None,
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

/// Some of what a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// When, in nanoseconds since 1970 by the engine's clock; never falls within one container.
    pub at: i64,
    /// Where to.
    pub stream: LogStream,
    /// A line with its newline, or a piece of one that is too long or was not ended. Without any
    /// this is a gap: see [`LogChunk::is_gap`].
    pub bytes: Bytes,
}

/// Where a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// From where a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPosition {
    /// Chunks before this time are left out.
    pub at: i64,
    /// And of those with exactly this time, the first so many.
    pub skip: u32,
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
    /// Why no job can run on it. Empty when they can.
    pub refusals: Vec<String>,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It does not answer, or answered that it is in trouble itself. Trying again may help.
    #[error("the container engine does not answer: {0}")]
    Unavailable(String),
    /// It answered, and will say the same again: the image or the command is at fault.
    #[error("{0}")]
    Rejected(String),
    /// The image is not there.
    #[error("the image {0} is not there")]
    NoImage(String),
    /// No room on its disk.
    #[error("the container engine has no room: {0}")]
    NoSpace(String),
}

impl HostDirs {
    /// Directories below `attempts`; `blobs` is the root of a local blob store, if it is one.
    #[must_use]
    pub fn new(attempts: PathBuf, blobs: Option<PathBuf>) -> Self {
        Self { attempts, blobs }
    }

    /// Where all of them are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.attempts
    }

    /// What belongs to one attempt.
    #[must_use]
    pub fn attempt(&self, id: &ContainerId) -> PathBuf {
        self.attempts.join(id.to_string())
    }

    /// The host's side of `/out`.
    #[must_use]
    pub fn out(&self, id: &ContainerId) -> PathBuf {
        self.attempt(id).join("out")
    }

    /// Where its log is while it runs.
    #[must_use]
    pub fn log(&self, id: &ContainerId) -> PathBuf {
        self.attempt(id).join("log")
    }

    /// The file that is bound at `/in/<name>`: the blob itself where blobs are local files, else a
    /// copy that is staged first.
    #[must_use]
    pub fn input(&self, id: &ContainerId, input: &InputFile) -> PathBuf {
        match &self.blobs {
            Some(root) => root.join(input.key.path()),
            None => self.attempt(id).join("in").join(&input.name),
        }
    }

    /// Whether [`HostDirs::input`] must be copied from the store first.
    #[must_use]
    pub fn copies_input(&self) -> bool {
        self.blobs.is_none()
    }

    /// Who the container runs as: a root server can give `/out` to any user, another server can
    /// only share it with itself.
    #[must_use]
    pub fn user(&self, wanted: User) -> User {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() { wanted } else { User { uid: uid.as_raw(), gid: gid.as_raw() } }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fileyard-{}-{}-{}", self.install, self.job, self.attempt)
    }
}

/// A name that is not a container's of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a container of fileyard's")]
pub struct NotOurs;

impl FromStr for ContainerId {
    type Err = NotOurs;
    fn from_str(name: &str) -> Result<Self, NotOurs> {
        const UUID: usize = 36;
        let rest = name.strip_prefix("fileyard-").ok_or(NotOurs)?;
        let install = rest.get(..UUID).ok_or(NotOurs)?;
        let job = rest.get(UUID + 1..2 * UUID + 1).ok_or(NotOurs)?;
        let attempt = rest.get(2 * UUID + 2..).ok_or(NotOurs)?;
        let id = Self {
            install: install.parse().map_err(|_| NotOurs)?,
            job: job.parse().map_err(|_| NotOurs)?,
            attempt: AttemptNo(attempt.parse().map_err(|_| NotOurs)?),
        };
        if id.to_string() == name { Ok(id) } else { Err(NotOurs) }
    }
}

impl LogPosition {
    /// Where to go on once `chunk` has been read.
    #[must_use]
    pub fn after(self, chunk: &LogChunk) -> Self {
        if chunk.is_gap() {
            return self;
        }
        let skip = if chunk.at == self.at { self.skip + 1 } else { 1 };
        Self { at: chunk.at, skip }
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

impl LogChunk {
    /// Says that before this time some of the log may have been lost.
    #[must_use]
    pub fn gap(at: i64) -> Self {
        Self { at, stream: LogStream::Stdout, bytes: Bytes::new() }
    }

    /// Whether nothing was written here, but lost: the engine rotated some of its log away before
    /// it was read. A gap does not count in a [`LogPosition`].
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.bytes.is_empty()
    }

    /// When, to the millisecond.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.at / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_s_name_reads_back_and_nothing_else_is_one() {
        let id = ContainerId {
            install: InstallId::from_u128(1),
            job: JobId::from_u128(2),
            attempt: AttemptNo(3),
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in ["", "fileyard-", "fileyard-x-y-1", &format!("{id}x"), &format!("x{id}")] {
            assert_eq!(other.parse::<ContainerId>(), Err(NotOurs), "{other}");
        }
    }
}
