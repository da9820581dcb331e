//! A bridge network for each attempt that may reach something, with a /29 of the configured range.
//!
//! Nothing is kept here that a restart would lose: which networks there are, whose, with which
//! addresses and ports, the daemon is asked each time, by labels. Several installs may share a range
//! on one daemon: each steps over what others have, and the daemon refuses what two want at once.
//!
//! **What a container finds.** One interface, a gateway that is this host, no neighbour. Without
//! egress the network is `internal`: nothing is routed and there is no name service, Docker's own
//! resolver included, which asks a loopback address where nobody listens. With egress it asks
//! [`RESOLVERS`](crate::engine::network::RESOLVERS), which are on the internet like all that it may
//! reach: the host's resolvers are the host's, and often on a private network. What keeps it from the
//! host is in [`crate::engine::firewall`].
//!
//! **What it costs.** About a tenth of a second a network to make and as much to remove, which is
//! Docker's and the kernel's time, and two looks at the packet filter of some milliseconds. An
//! attempt that may reach nothing pays for none of it.

mod open;
mod request;

use std::collections::BTreeSet;

use async_trait::async_trait;
use bollard::models::{Network, NetworkDisconnectRequest};
use fileyard_storage::id::InstallId;

use super::{
    DockerEngine,
    client::{Failure, QUICK, SLOW, call},
};
use crate::engine::{
    ContainerId, EngineError, EngineReport, Gateway, Networks, Reach, Subnet,
    firewall::{Able, Wanted},
    network::{
        name::{self, Make, Tag},
        pool,
    },
};

pub(super) use self::{
    open::Open,
    request::{BRIEFLY, SILENCE},
};

#[async_trait]
impl Networks for DockerEngine {
    async fn ensure(&self, id: &ContainerId, reach: Reach) -> Result<Gateway, EngineError> {
        let _turn = self.turns.of(id).await;
        // Before anything is looked at: what is under way keeps the rules from being removed.
        let _making = self.making.read().await;
        let mut all = self.all_networks().await?;
        self.close(id, reach, &all).await?;
        if let Some(network) = all.iter().find(|it| request::is_of(it, id)) {
            // A container that was started with another reach keeps that.
            if request::has(network, reach) || self.client.ask(id).await?.is_some() {
                return usable(reach, &request::bridge_of(network), request::gateway(network)?);
            }
            self.remove_network(id, network).await?;
            all.retain(|it| !request::is_of(it, id));
        }
        let subnet = self.create_network(id, reach, &all).await?;
        let gateway = Gateway { address: subnet.gateway().into() };
        usable(reach, &Some(name::device(id, Make::Bridge, reach)), gateway)
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let _turn = self.turns.of(id).await;
        let all = self.all_networks().await?;
        let mut removed = false;
        for network in all.iter().filter(|it| request::is_of(it, id)) {
            self.remove_network(id, network).await?;
            removed = true;
        }
        if removed { self.open_if_last(id.install).await } else { Ok(()) }
    }

    async fn list(&self, install: InstallId) -> Result<Vec<ContainerId>, EngineError> {
        let all = self.all_networks().await?;
        let ours: Vec<_> = all.iter().filter_map(request::owner).collect();
        let ours: Vec<_> = ours.into_iter().filter(|id| id.install == install).collect();
        if ours.is_empty() {
            // What a process left that died between its last network and their rules.
            self.open_if_last(install).await?;
        } else if let Some(id) = ours.first() {
            // Whoever flushed the table did not mean these.
            let _making = self.making.read().await;
            self.close(id, Reach::NOTHING, &all).await?;
        }
        Ok(ours)
    }
}

impl DockerEngine {
    async fn all_networks(&self) -> Result<Vec<Network>, EngineError> {
        let docker = self.client.docker().await?;
        Ok(call(QUICK, docker.list_networks(None)).await?)
    }

    /// What a person may want to know of attempts' networks here, and what stays open.
    pub(super) async fn check_networks(
        &self,
        report: &mut EngineReport,
    ) -> Result<(), EngineError> {
        let all = self.all_networks().await?;
        report.facts.push(format!(
            "networks of attempts from {}, room for {}",
            self.range,
            self.range.room()
        ));
        match self.firewall.able().await {
            Able::Yes(version) if on_this_host(&all) => {
                report.facts.push(format!("firewall rules for them by {version}"));
            }
            Able::Yes(_) => report.warnings.push(self.open.in_words(open::ELSEWHERE)),
            Able::No(why) => report.warnings.push(self.open.in_words(why)),
        }
        if !on_this_host(&all) {
            report.warnings.push(
                "the daemon's networks are not on this host: a processor with the `urls` contract \
                 cannot reach fileyard. Run fileyard where the daemon runs, with the host's network"
                    .into(),
            );
        }
        report.warnings.extend(pool::collisions(self.range).await);
        Ok(())
    }

    /// Sees to it that the rules stand for all networks there are, and the one to be. Where none can
    /// be written, says so.
    async fn close(
        &self,
        id: &ContainerId,
        reach: Reach,
        all: &[Network],
    ) -> Result<(), EngineError> {
        let theirs = all
            .iter()
            .filter(|it| request::owner(it).is_some_and(|owner| owner.install == id.install));
        let ports: BTreeSet<u16> =
            theirs.filter_map(request::listener).chain(reach.listener).collect();
        match self.firewall.able().await {
            Able::Yes(_) if on_this_host(all) => {
                let wanted = Wanted { ports, ..Wanted::default() };
                return self.firewall.ensure(tag(id.install), wanted).await;
            }
            Able::Yes(_) => self.open.say_once(open::ELSEWHERE),
            Able::No(why) => self.open.say_once(why),
        }
        Ok(())
    }

    /// Removes the install's rules, unless a network of its is there or about to be.
    async fn open_if_last(&self, install: InstallId) -> Result<(), EngineError> {
        let Ok(_alone) = self.making.try_write() else { return Ok(()) };
        let all = self.all_networks().await?;
        if all.iter().filter_map(request::owner).any(|owner| owner.install == install) {
            return Ok(());
        }
        self.firewall.remove(tag(install)).await
    }

    /// On the first free part of the range, counted from a place that is the attempt's own: two that
    /// are made at once seldom want the same.
    async fn create_network(
        &self,
        id: &ContainerId,
        reach: Reach,
        all: &[Network],
    ) -> Result<Subnet, EngineError> {
        let docker = self.client.docker().await?;
        let taken: Vec<Subnet> =
            all.iter().flat_map(request::subnets).chain(pool::routes(self.range).await).collect();
        let mut said = format!("there is room for {}", self.range.room());
        for subnet in pool::free(self.range, id, &taken) {
            let wanted = request::network(id, reach, subnet);
            match call(SLOW, docker.create_network(wanted)).await {
                Ok(_) => return Ok(subnet),
                // Somebody was quicker.
                Err(Failure::Answer(_, words)) if request::is_conflict(&words) => said = words,
                Err(failure) => return Err(trouble(failure)),
            }
        }
        Err(EngineError::Exhausted(format!(
            "no network is free in {}: this daemon's networks and this host's routes take all of it \
             ({said}); urls.networks names a larger range",
            self.range
        )))
    }

    async fn remove_network(&self, id: &ContainerId, network: &Network) -> Result<(), EngineError> {
        let docker = self.client.docker().await?;
        let name = network.id.clone().unwrap_or_else(|| id.to_string());
        let first = call(SLOW, docker.remove_network(&name)).await;
        let Err(Failure::Answer(403, _)) = first else { return gone(first) };
        // Still in use. A daemon that died at the wrong moment keeps the end of a container that is
        // no more.
        if self.client.ask(id).await?.is_some() {
            return first.map_err(trouble);
        }
        let disconnect = NetworkDisconnectRequest { container: id.to_string(), force: Some(true) };
        let _ = call(QUICK, docker.disconnect_network(&name, disconnect)).await;
        gone(call(SLOW, docker.remove_network(&name)).await)
    }
}

fn tag(install: InstallId) -> Tag {
    Tag::of(install, Make::Bridge)
}

/// A listener is bound to the gateway's address, so that must be one of this host's.
fn usable(reach: Reach, bridge: &Option<String>, gateway: Gateway) -> Result<Gateway, EngineError> {
    if reach.listener.is_none() || bridge.as_deref().is_some_and(is_here) {
        return Ok(gateway);
    }
    Err(EngineError::Trouble(format!(
        "the networks of this Docker daemon are not on this host, so no container can reach \
         fileyard at {}: run fileyard where the daemon runs, and with the host's network",
        gateway.address
    )))
}

fn gone(removed: Result<(), Failure>) -> Result<(), EngineError> {
    match removed {
        Ok(()) | Err(Failure::Answer(404, _)) => Ok(()),
        Err(failure) => Err(trouble(failure)),
    }
}

/// Whatever a daemon says of a network is no image's fault.
fn trouble(failure: Failure) -> EngineError {
    match EngineError::from(failure) {
        EngineError::Rejected(words) => EngineError::Trouble(words),
        error => error,
    }
}

/// Whether the daemon's bridges are this host's: in a container they are not, nor on another machine.
pub(super) fn on_this_host(all: &[Network]) -> bool {
    let mut bridges = all.iter().filter_map(request::bridge_of).peekable();
    bridges.peek().is_none() || bridges.any(|bridge| is_here(&bridge))
}

/// In this process's own network, which `/sys` need not show.
fn is_here(bridge: &str) -> bool {
    let all = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    all.lines().filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim() == bridge)
}
