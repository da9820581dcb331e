//! Where files pass between a host and its containers.

use std::path::{Path, PathBuf};

use super::{ContainerId, InputFile, User};

/// The directories of attempts on a host, and whether blobs are files there too.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// One directory an attempt, named after its container.
    attempts: PathBuf,
    /// The root of a local blob store: its files are bound as they are, without a copy.
    blobs: Option<PathBuf>,
    /// Whether each `/out` is a file system of its own.
    quotas: bool,
}

impl HostDirs {
    /// Directories below `attempts`; `blobs` is the root of a local blob store, if it is one.
    #[must_use]
    pub fn new(attempts: PathBuf, blobs: Option<PathBuf>) -> Self {
        Self { attempts, blobs, quotas: false }
    }

    /// The same, with each attempt's `/out` a file system of its own from now on.
    #[must_use]
    pub fn with_quotas(self, quotas: bool) -> Self {
        Self { quotas, ..self }
    }

    /// Whether an attempt's `/out` is to be a file system of its own: see
    /// [`quota`](crate::contract::quota).
    #[must_use]
    pub fn has_quotas(&self) -> bool {
        self.quotas
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

    /// Who the container runs as, whose `/out` is to be.
    #[must_use]
    pub fn user(&self, wanted: User) -> User {
        wanted.or_ourselves()
    }
}
