//! Starts helpers: this program again, as a process of its own.

use std::{
    fs::{self, OpenOptions},
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, OnceLock},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::{
    Place,
    helper::{LOG, RUNNING},
};
use crate::{errand::Errands, handles, netns::Netns};

/// Starts helpers. A clone starts them from the same handle.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    errands: Errands,
    /// The same, once it could be had.
    sealed: Arc<OnceLock<OwnedFd>>,
}

/// A helper that was started. Dropping this does nothing to it.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Launcher {
    /// By this program, which must be one that runs [`helper::run`](super::helper::run) when it is
    /// told `container DIRECTORY`, and does [`Errands`].
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { errands: Errands::new(program.clone()), program, sealed: Arc::default() }
    }

    /// The program as helpers are started from it. Had once, it is kept: a file in its place means nothing
    /// any more.
    ///
    /// # Errors
    /// When it can not be mounted read-only.
    pub fn sealed(&self) -> io::Result<&OwnedFd> {
        if let Some(sealed) = self.sealed.get() {
            return Ok(sealed);
        }
        let sealed = self.errands.sealed().map_err(|error| {
            let words = format!("could not mount {} read-only: {error}", self.program.display());
            io::Error::new(error.kind(), words)
        })?;
        Ok(self.sealed.get_or_init(|| sealed))
    }

    /// What has to be opened for helpers.
    #[must_use]
    pub fn errands(&self) -> &Errands {
        &self.errands
    }

    /// Starts the container in this place; `network` is its namespace, where the request says that it
    /// is given one. Nothing of this process is handed on but that.
    ///
    /// # Errors
    /// When the process can not be started; the container was not started then.
    pub fn launch(&self, place: &Place, network: Option<&Netns>) -> io::Result<Launched> {
        let words = OpenOptions::new().append(true).create(true).open(place.file(LOG))?;
        let program = self.sealed()?;
        // The child has it under the same number, until it becomes the helper.
        let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("fileyard")
            .arg("container")
            .arg(place.path())
            .env_clear()
            .current_dir("/")
            .stdin(network.map_or_else(|| Ok(Stdio::null()), handed)?)
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()?;
        let said = child.stdout.take().expect("it is piped");
        Ok(Launched { child, said: BufReader::new(said) })
    }
}

/// What the helper receives from its standard input.
fn handed(network: &Netns) -> io::Result<Stdio> {
    let (here, there) = handles::pair()?;
    handles::send(here, &network.handles(), "")?;
    Ok(there.into())
}

impl Launched {
    /// Waits until its program runs, or will not.
    ///
    /// # Errors
    /// When its words can not be read.
    pub async fn until_it_runs(&mut self) -> io::Result<bool> {
        let mut line = String::new();
        self.said.read_line(&mut line).await?;
        Ok(line.trim_end() == RUNNING)
    }

    /// Waits until the container has ended, and how that was is written down.
    ///
    /// # Errors
    /// When its words can not be read.
    pub async fn until_it_ends(&mut self) -> io::Result<()> {
        tokio::io::copy(&mut self.said, &mut tokio::io::sink()).await.map(drop)
    }

    /// Waits until the helper has cleaned up and is gone.
    ///
    /// # Errors
    /// When it can not be waited for.
    pub async fn until_it_is_gone(mut self) -> io::Result<()> {
        self.child.wait().await.map(drop)
    }
}

/// The last that a helper wrote which was not meant to write: why it died.
#[must_use]
pub fn last_words(place: &Place) -> String {
    let words = fs::read_to_string(place.file(LOG)).unwrap_or_default();
    words.lines().last().unwrap_or_default().to_owned()
}
