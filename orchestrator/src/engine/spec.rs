//! All that an engine is told about a container: what, for whom, and within which limits.

use std::collections::BTreeMap;

use fileyard_storage::blob::{BlobKey, Digest};
use serde::{Deserialize, Serialize};

use super::{ContainerId, Reach};

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
    /// What it can reach: with anything, the network of its own that was ensured before.
    pub reach: Reach,
    /// The one file in `/in`, read-only, beside a writable `/out`; without it there is neither.
    pub input: Option<InputFile>,
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

impl User {
    /// Who a container can be: a root server can give `/out` to any user, another server can only share
    /// it with itself.
    #[must_use]
    pub(super) fn or_ourselves(self) -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() { self } else { Self { uid: uid.as_raw(), gid: gid.as_raw() } }
    }
}

/// What a processor's containers can reach beside what their contract needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// The internet, and nothing of the host's.
    Egress,
}

/// When an image is fetched from its registry, the keenest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Before every start.
    Always,
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Never: it is there, or the job fails.
    Never,
}
