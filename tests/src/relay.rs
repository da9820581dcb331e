//! A socket in front of Docker's that a story can cut off and mend: an engine that goes away.

use std::path::{Path, PathBuf};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

use crate::docker::SOCKET;

/// Forwards every connection, until it is cut.
#[derive(Debug)]
pub struct Relay {
    path: PathBuf,
    task: Option<JoinHandle<()>>,
}

impl Relay {
    /// One that works, with its socket in `dir`.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let mut relay = Self { path: dir.join("relay.sock"), task: None };
        relay.mend();
        relay
    }

    /// The `docker_host` that leads through it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Ends every connection and refuses new ones.
    pub async fn cut(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Works again.
    ///
    /// # Panics
    /// When its socket can not be made.
    pub fn mend(&mut self) {
        let listener = UnixListener::bind(&self.path).expect("a socket of our own");
        self.task = Some(tokio::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut there) = UnixStream::connect(SOCKET).await {
                        let _ = copy_bidirectional(&mut here, &mut there).await;
                    }
                });
            }
        }));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
