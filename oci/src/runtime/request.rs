//! All that a helper is told about its container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Filter;

/// All that a helper is told about its container. What is not asked for is denied: no capability, no
/// new privilege, no device but the harmless ones, a read-only root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Of the container; also its cgroup's last part.
    pub name: String,
    /// Directories that lie over each other as its root, lowest first.
    pub layers: Vec<PathBuf>,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`, all that the program finds.
    pub env: Vec<String>,
    /// Where the program begins.
    pub working_dir: PathBuf,
    /// Who the program is: user and group, by number.
    pub user: (u32, u32),
    /// What is seen of the host.
    pub binds: Vec<Bind>,
    /// Memory in which it may write.
    pub tmpfs: Vec<Tmpfs>,
    /// What it may use.
    pub limits: Limits,
    /// Which system calls it may make.
    pub filter: Filter,
    /// What it can reach.
    pub network: Network,
    /// Addresses of name servers. None: names are not looked up.
    pub resolvers: Vec<String>,
}

/// A file or directory of the host's that the container sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// A directory in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// In the container.
    pub target: PathBuf,
    /// In bytes.
    pub size: u64,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// In bytes, swap included where the kernel counts it.
    pub memory: u64,
    /// How many cores' worth of time; not limited where the kernel has no quotas.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// The largest file it may write (RLIMIT_FSIZE), in bytes.
    pub file_size: u64,
    /// Open files (RLIMIT_NOFILE).
    pub open_files: u64,
}

/// What a container can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Itself: a namespace of its own with nothing but `lo`.
    Loopback,
    /// Whatever the namespace has that the helper is handed by its standard input.
    Given,
}
