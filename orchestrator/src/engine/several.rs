//! Two engines as one, where a server's config names another than its predecessor's did: new
//! containers are made by the first, and what was left on the second is minded there to its end.

use std::{collections::HashSet, io, net::SocketAddr, net::TcpListener, sync::Arc};

use async_trait::async_trait;
use fileyard_storage::id::InstallId;
use futures::{StreamExt, stream::BoxStream};

use super::{
    ContainerId, ContainerSpec, ContainerState, Engine, EngineError, Gateway, Images, Listed,
    LogChunk, LogPosition, Networks, Reach, Signal, Staging,
};

/// An engine for what is new, and another for what it left.
pub struct Several {
    new: Arc<dyn Engine>,
    old: Arc<dyn Engine>,
    /// Whose containers are on the old one.
    left: HashSet<ContainerId>,
}

impl Several {
    /// The containers of these attempts are, or were to be, on the old one.
    #[must_use]
    pub fn new(
        new: Arc<dyn Engine>,
        old: Arc<dyn Engine>,
        left: impl IntoIterator<Item = ContainerId>,
    ) -> Self {
        Self { new, old, left: left.into_iter().collect() }
    }

    fn of(&self, id: &ContainerId) -> &Arc<dyn Engine> {
        if self.left.contains(id) { &self.old } else { &self.new }
    }

    fn networks_of(&self, id: &ContainerId) -> Result<&dyn Networks, EngineError> {
        let engine = self.of(id);
        engine.networks().ok_or_else(|| {
            EngineError::Trouble(format!("the engine {} has no networks", engine.name()))
        })
    }
}

#[async_trait]
impl Engine for Several {
    fn name(&self) -> &'static str {
        self.new.name()
    }

    /// What the old one has not made yet it does not make any more: it was staged for the new one.
    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerState, EngineError> {
        if self.left.contains(&spec.id) && self.old.inspect(&spec.id).await?.is_none() {
            return Err(EngineError::Trouble(
                "another engine was chosen before it was made".into(),
            ));
        }
        self.of(&spec.id).start(spec).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        self.of(id).inspect(id).await
    }

    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), EngineError> {
        self.of(id).signal(id, signal).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.of(id).remove(id).await
    }

    fn logs(
        &self,
        id: &ContainerId,
        from: LogPosition,
    ) -> BoxStream<'static, Result<LogChunk, EngineError>> {
        self.of(id).logs(id, from)
    }

    /// What is on the old one without having been left there by a row is not ours to see: nobody
    /// would know which engine to ask for it.
    async fn list(&self, install: InstallId) -> Result<Vec<Listed>, EngineError> {
        let mut all = self.new.list(install).await?;
        match self.old.list(install).await {
            Ok(old) => all.extend(old.into_iter().filter(|it| self.left.contains(&it.id))),
            // One that is away keeps nobody from the other.
            Err(error) => tracing::warn!(engine = self.old.name(), %error, "could not be asked"),
        }
        Ok(all)
    }

    fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId> {
        futures::stream::select(self.new.changes(install), self.old.changes(install)).boxed()
    }

    fn staging(&self) -> Staging<'_> {
        self.new.staging()
    }

    fn images(&self) -> Option<&dyn Images> {
        self.new.images()
    }

    fn networks(&self) -> Option<&dyn Networks> {
        (self.new.networks().is_some() || self.old.networks().is_some()).then_some(self)
    }
}

#[async_trait]
impl Networks for Several {
    async fn ensure(&self, id: &ContainerId, reach: Reach) -> Result<Gateway, EngineError> {
        self.networks_of(id)?.ensure(id, reach).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        match self.of(id).networks() {
            Some(networks) => networks.remove(id).await,
            None => Ok(()),
        }
    }

    async fn list(&self, install: InstallId) -> Result<Vec<ContainerId>, EngineError> {
        let mut all = match self.new.networks() {
            Some(networks) => networks.list(install).await?,
            None => Vec::new(),
        };
        if let Some(networks) = self.old.networks() {
            let old = networks.list(install).await?;
            all.extend(old.into_iter().filter(|id| self.left.contains(id)));
        }
        Ok(all)
    }

    async fn listen(&self, id: &ContainerId, at: SocketAddr) -> io::Result<TcpListener> {
        let networks = self.networks_of(id).map_err(io::Error::other)?;
        networks.listen(id, at).await
    }
}
