//! Networks of a fake engine: a note of who has one. Its containers are tasks of this process and
//! reach whatever the process does, so the gateway of each is an address of this machine's loopback:
//! one of its own, and the same whoever asks.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::Ipv4Addr,
};

use async_trait::async_trait;
use fileyard_storage::id::InstallId;

use super::{ContainerId, EngineError, FakeEngine};
use crate::engine::{ContainerState, Gateway, Networks, Reach};

/// Of 127.0.0.0/8, all of which is this machine.
fn gateway(id: &ContainerId) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let [a, b, c, ..] = hasher.finish().to_le_bytes();
    Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254))
}

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
        Ok(Gateway { address: gateway(id).into() })
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
