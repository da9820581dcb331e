//! Follows what a container writes, into the attempt's log on disk, and hears its progress.

use std::{sync::Arc, time::Duration};

use fileyard_storage::job::Progress;
use futures::StreamExt;
use tokio::{task::JoinHandle, time::timeout};

use super::heartbeat::Vitals;
use crate::{
    Inner, contract,
    engine::{ContainerId, ContainerState, LogStream},
    log::AttemptLog,
};

/// How long an exited container's log may take to be read to its end.
const DRAIN: Duration = Duration::from_secs(60);

/// A task that reads a log until its container has exited and all is read.
pub(crate) struct Pump(JoinHandle<()>);

impl Pump {
    /// Begins, or goes on where an owner before stopped.
    pub(super) fn start(inner: &Arc<Inner>, id: ContainerId, vitals: Option<&Arc<Vitals>>) -> Self {
        let (inner, vitals) = (Arc::clone(inner), vitals.cloned());
        Self(tokio::spawn(async move {
            while let Err(error) = follow(&inner, &id, vitals.as_deref()).await {
                tracing::warn!(container = %id, error, "the log was interrupted; going on");
                tokio::time::sleep(super::PAUSE).await;
                if !matches!(inner.parts.engine.inspect(&id).await, Ok(Some(_)) | Err(_)) {
                    break;
                }
            }
        }))
    }

    /// Waits for the end of the log of a container that has exited.
    pub(super) async fn finish(&mut self) {
        if self.0.is_finished() {
            return;
        }
        if timeout(DRAIN, &mut self.0).await.is_err() {
            tracing::warn!("the log did not end within {DRAIN:?}; stored as far as it was read");
            self.0.abort();
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads from where the log on disk ends until there is no more; an error is worth another try.
async fn follow(inner: &Inner, id: &ContainerId, vitals: Option<&Vitals>) -> Result<(), String> {
    let mut log = AttemptLog::open(&inner.dirs.log(id)).map_err(|error| error.to_string())?;
    let mut chunks = inner.parts.engine.logs(id, log.position());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| error.to_string())?;
        let kept = log.append(&chunk);
        kept.map_err(|error| error.to_string())?;
        if chunk.stream == LogStream::Stdout
            && let Some(vitals) = vitals
            && let Some(said) = contract::progress(&chunk.bytes)
        {
            vitals.said(Progress { ..said });
        }
    }
    match inner.parts.engine.inspect(id).await {
        Ok(Some(ContainerState::Running | ContainerState::Created)) => {
            Err("the engine ended it while the container runs".into())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
