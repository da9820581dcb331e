//! A socket in front of Docker's that a story can cut off and mend: an engine that goes away.

use std::{
    future::pending,
    path::{Path, PathBuf},
};

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

    /// Ends every connection, and lets new ones wait for an answer that never comes.
    pub async fn hang(&mut self) {
        self.cut().await;
        self.listen(|here| async move {
            let _held = here;
            pending::<()>().await;
        });
    }

    /// Works, again.
    pub fn mend(&mut self) {
        self.listen(|mut here| async move {
            if let Ok(mut there) = UnixStream::connect(SOCKET).await {
                let _ = copy_bidirectional(&mut here, &mut there).await;
            }
        });
    }

    fn listen<F>(&mut self, serve: impl Fn(UnixStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = UnixListener::bind(&self.path).expect("a socket of our own");
        self.task = Some(tokio::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((here, _)) = listener.accept().await {
                connections.spawn(serve(here));
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
