//! A container's directory, and what its files say.

use std::{
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Cgroups, Identity, Request};
use crate::lock::Lock;

/// Held by a helper for as long as it lives.
const LOCK: &str = "lock";

/// A container's directory.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    Absent,
    /// There, and never started.
    Created,
    /// A helper has it. Without [`Running`] it is being made.
    Running(Option<Running>),
    /// Ended.
    Exited(Exit),
    /// It could not be started, and will not be.
    Refused(Refusal),
    /// It was started, and its helper died before it said how that ended. Nothing of it runs.
    Lost,
}

/// Who has a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Writes its log, and will say how it ended.
    pub helper: Identity,
    /// Its first process.
    pub init: Identity,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Of its program; 128+n where signal n ended it.
    pub code: i32,
    /// Whether the kernel killed something in it for memory.
    pub out_of_memory: bool,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Why the program never ran, where it did not.
    pub message: Option<String>,
}

/// Why a container could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whether the image or what was asked for is at fault, rather than this machine.
    pub for_good: bool,
    /// In words.
    pub words: String,
}

impl Place {
    /// The directory of the container of this name, below `root`.
    #[must_use]
    pub fn new(root: &Path, name: &str) -> Self {
        Self(root.join(name))
    }

    /// The directory itself.
    pub(super) fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Makes it, with what is to be run. Does nothing if it is there.
    ///
    /// # Errors
    /// When it can not be written; then there is none.
    pub fn create(&self, request: &Request) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        if self.file("request.json").exists() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.log())?;
        self.write("request.json", request)
    }

    /// How its container is. Asked for from outside; a helper knows.
    ///
    /// # Errors
    /// When the files can not be read.
    pub fn status(&self) -> io::Result<Status> {
        if !self.file("request.json").exists() {
            return Ok(Status::Absent);
        }
        // In this order: what a helper writes it writes before it lets go.
        let held = self.is_held()?;
        if let Some(exit) = self.read("exit.json")? {
            return Ok(Status::Exited(exit));
        }
        if let Some(refusal) = self.read("refused.json")? {
            return Ok(Status::Refused(refusal));
        }
        Ok(match (held, self.file("begun").exists()) {
            (true, _) => Status::Running(self.read("running.json")?),
            (false, true) => Status::Lost,
            (false, false) => Status::Created,
        })
    }

    /// Who has or had it, as far as that was written down.
    ///
    /// # Errors
    /// When that can not be read.
    pub fn running(&self) -> io::Result<Option<Running>> {
        self.read("running.json")
    }

    /// Whether a helper holds it now.
    ///
    /// # Errors
    /// When the system can not say.
    pub fn is_held(&self) -> io::Result<bool> {
        match Lock::attempt_shared(&self.file(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            taken => Ok(taken?.is_none()),
        }
    }

    /// Holds it until what is returned is dropped. Waits for who looks, or holds it.
    pub(super) fn hold(&self) -> io::Result<Lock> {
        Lock::exclusive(&self.file(LOCK))
    }

    /// Whether this is the one start of its life.
    pub(super) fn begin(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(self.file("begun")) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn request(&self) -> io::Result<Request> {
        let request = self.read("request.json")?;
        request.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no request.json"))
    }

    /// Written before there is any: of a helper that is killed, nobody else knows.
    pub(super) fn is_to_be_in(&self, cgroups: &Cgroups) -> io::Result<()> {
        self.write("cgroups.json", cgroups)
    }

    pub(super) fn cgroups(&self) -> io::Result<Option<Cgroups>> {
        self.read("cgroups.json")
    }

    pub(super) fn has(&self, running: &Running) -> io::Result<()> {
        self.write("running.json", running)
    }

    pub(super) fn ended(&self, exit: &Exit) -> io::Result<()> {
        self.write("exit.json", exit)
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        self.write("refused.json", refusal)
    }

    /// A file or directory of it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whole or not at all, as seen by others. It need not outlast the machine: no container does.
    fn write(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        let (new, path) = (self.file(&format!("{name}.new")), self.file(name));
        fs::write(&new, serde_json::to_vec(what)?)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(new, path)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
