//! Networks of a fake engine: a note of who has one. Its containers are tasks of this process and
//! reach whatever the process does, so the gateway of each is this machine's loopback.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use fileyard_storage::id::InstallId;

use super::{ContainerId, EngineError, FakeEngine};
use crate::engine::{ContainerState, Gateway, Networks, Reach};

#[async_trait]
impl Networks for FakeEngine {
    async fn ensure(&self, id: &ContainerId, reach: Reach) -> Result<Gateway, EngineError> {
        let mut state = self.up()?;
        if let Some(refusal) = state.network_refusals.pop_front() {
            return Err(refusal);
        }
        state.networks.insert(*id, reach);
        *state.network_asks.entry(*id).or_default() += 1;
        drop(state);
        self.shared.changed(None);
        Ok(Gateway { address: Ipv4Addr::LOCALHOST.into() })
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let mut state = self.up()?;
        let on_it = state.containers.get(id).map(|container| &container.state);
        if on_it == Some(&ContainerState::Running) && state.networks.contains_key(id) {
            return Err(EngineError::Trouble(format!("{id} still has a container on it")));
        }
        state.networks.remove(id);
        drop(state);
        self.shared.changed(None);
        Ok(())
    }

    async fn list(&self, install: InstallId) -> Result<Vec<ContainerId>, EngineError> {
        let state = self.up()?;
        Ok(state.networks.keys().filter(|id| id.install == install).copied().collect())
    }
}
