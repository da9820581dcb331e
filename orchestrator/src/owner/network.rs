//! The attempt's own network: before its container, and found again by an adopter.
//!
//! An attempt that may reach nothing has none. Whatever is in the way is never the processor's fault.

use tokio::time::sleep;

use super::{Owner, PAUSE};
use crate::{
    contract,
    engine::{EngineError, Gateway},
    settle,
};

impl Owner {
    /// Sees to it that the attempt's network is there, unless it needs none or this owner has seen
    /// to it before.
    pub(super) async fn network(&mut self) -> Result<Option<Gateway>, EngineError> {
        let reach = contract::reach(&self.processor, self.listener());
        if reach.is_nothing() || self.gateway.is_some() {
            return Ok(self.gateway);
        }
        let engine = &self.inner.parts.engine;
        let Some(networks) = engine.networks() else {
            let engine = engine.name();
            return Err(EngineError::Trouble(format!("{engine} gives containers no networks")));
        };
        self.gateway = Some(networks.ensure(&self.id, reach).await?);
        Ok(self.gateway)
    }

    /// The same, before a container is started: waits, however long, while every network that there
    /// is room for is taken. No attempt is spent on that.
    pub(super) async fn network_to_start_on(&mut self) -> Result<Option<Gateway>, EngineError> {
        let mut failures = 0;
        loop {
            match self.network().await {
                Err(EngineError::Exhausted(words)) => {
                    tracing::warn!(failures, "{words}; the job waits");
                    sleep(settle::backoff(failures).max(PAUSE)).await;
                    failures += 1;
                }
                answered => return answered,
            }
        }
    }

    /// The same, for a container that runs already: an owner before this one made its network, and
    /// what bounds it may have gone since. Asked again at every look, until it is so.
    pub(super) async fn network_found_again(&mut self) {
        if let Err(error) = self.network().await {
            tracing::warn!(%error, "could not see to the container's network; trying again");
        }
    }
}
