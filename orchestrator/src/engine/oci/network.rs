//! A network namespace for each attempt that may reach something.
//!
//! **What a container finds.** Itself, and at 127.0.0.1 our listener: a socket of this process that was
//! made in there, and that nobody else's loopback has. So there is no address of this host's that it
//! could reach, and no rule that has to keep it from one. With egress it also finds a way to the
//! internet: [`super::egress`].
//!
//! **Who holds it.** This process, from [`Networks::ensure`] to [`Networks::remove`], and the
//! container's own processes, by whom it is found again after a restart. Nothing else does: what a
//! process made that died before its container began is gone with it.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use fileyard_oci::{
    errand::Errands,
    netns::Netns,
    runtime::{Running, Status},
};
use fileyard_storage::id::InstallId;

use super::{OciEngine, blocking, trouble};
use crate::engine::{ContainerId, EngineError, Gateway, Networks, Reach};

/// A namespace that this process holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    netns: Arc<Netns>,
    /// Whether a way to the internet begins in it.
    connected: bool,
}

#[async_trait]
impl Networks for OciEngine {
    async fn ensure(&self, id: &ContainerId, reach: Reach) -> Result<Gateway, EngineError> {
        let _turn = self.turns.of(id).await;
        // Before anything is looked at: what is under way keeps the rules from being removed.
        let _making = self.egress.making().await;
        let running = self.running(id).await?;
        let mut held = match (self.held(id), &running) {
            (Some(held), _) => held,
            (None, Some(running)) => self.found_again(id, running).await?,
            (None, None) => self.new_network().await?,
        };
        if reach.internet {
            self.egress.close(id.install).await?;
        }
        // A container that was started with another reach keeps that.
        if running.is_none() && held.connected != reach.internet {
            self.egress.disconnect(id).await?;
            if reach.internet {
                self.egress.connect(id, &held.netns).await?;
            }
            held.connected = reach.internet;
        }
        self.lock().insert(*id, held);
        Ok(Gateway { address: Ipv4Addr::LOCALHOST.into() })
    }

    async fn listen(&self, id: &ContainerId, at: SocketAddr) -> io::Result<TcpListener> {
        let words = || io::Error::new(io::ErrorKind::NotFound, missing(id));
        let (netns, errands) = (self.held(id).ok_or_else(words)?.netns, self.errands());
        let listening = tokio::task::spawn_blocking(move || errands.listen(&netns, at)).await;
        listening.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let _turn = self.turns.of(id).await;
        if self.running(id).await?.is_some() {
            return Err(EngineError::Trouble(format!("{id} still has a container on it")));
        }
        // The kernel would take the devices down as well, when it has time for it.
        let disconnected = self.egress.disconnect(id).await?;
        self.lock().remove(id);
        if disconnected { self.egress.open_if_last(id.install).await } else { Ok(()) }
    }

    /// Those that this process holds: others are a container's, and go with it.
    async fn list(&self, install: InstallId) -> Result<Vec<ContainerId>, EngineError> {
        self.egress.mend(install).await?;
        Ok(self.lock().keys().filter(|id| id.install == install).copied().collect())
    }
}

impl OciEngine {
    /// The namespace for a container that is about to start, if it is to have one.
    pub(super) fn network(
        &self,
        id: &ContainerId,
        reach: Reach,
    ) -> Result<Option<Arc<Netns>>, EngineError> {
        if reach.is_nothing() {
            return Ok(None);
        }
        let held = self.held(id).ok_or_else(|| EngineError::Trouble(missing(id)))?;
        Ok(Some(held.netns))
    }

    /// Who its processes are, if they are.
    pub(super) async fn running(&self, id: &ContainerId) -> Result<Option<Running>, EngineError> {
        match self.status(id).await? {
            Status::Running(Some(running)) => Ok(Some(running)),
            Status::Running(None) => {
                Err(EngineError::Trouble(format!("{id} is only being started")))
            }
            _ => Ok(None),
        }
    }

    async fn found_again(&self, id: &ContainerId, running: &Running) -> Result<Held, EngineError> {
        // It is in the namespaces that it made the container in, and lets itself be looked at.
        let (id, helper) = (*id, running.helper.clone());
        let connected = self.egress.is_connected(&id).await?;
        blocking(move || {
            let netns = Netns::of_process(helper.pid()).map_err(trouble)?;
            // In this order: a process that is the same afterwards was it when it was looked at.
            match helper.open().map_err(trouble)? {
                Some(_) => Ok(Held { netns: Arc::new(netns), connected }),
                None => Err(EngineError::Trouble(format!("{id} ends"))),
            }
        })
        .await
    }

    async fn new_network(&self) -> Result<Held, EngineError> {
        let errands = self.errands();
        let netns = blocking(move || errands.network().map_err(trouble)).await?;
        Ok(Held { netns: Arc::new(netns), connected: false })
    }

    fn errands(&self) -> Errands {
        self.launcher.errands().clone()
    }

    fn held(&self, id: &ContainerId) -> Option<Held> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerId, Held>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &ContainerId) -> String {
    format!("the network of {id} is not there")
}
