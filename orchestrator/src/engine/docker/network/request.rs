//! An attempt's network in Docker's words, and read back from them.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};

use crate::engine::{
    ContainerId, EngineError, Gateway, Reach, Subnet,
    docker::spec::{ATTEMPT, INSTALL, JOB},
    network::name::{self, Make},
};

/// Whom the others ask: their own loopback, where nobody answers. Docker's resolver says nothing to
/// a program then, so it is told not to wait for that.
pub(in crate::engine::docker) const SILENCE: [&str; 1] = ["127.0.0.1"];
pub(in crate::engine::docker) const BRIEFLY: [&str; 2] = ["timeout:1", "attempts:1"];

/// What a network lets its container reach, as it was made.
const REACH: &str = "fileyard.reach";
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// What Docker is asked to create.
pub(super) fn network(id: &ContainerId, reach: Reach, subnet: Subnet) -> NetworkCreateRequest {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let bridge = |name: &str| format!("com.docker.network.bridge.{name}");
    let yes_or_no = |yes: bool| if yes { "true" } else { "false" };
    NetworkCreateRequest {
        name: id.to_string(),
        driver: Some("bridge".into()),
        internal: Some(!reach.internet),
        attachable: Some(false),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            driver: Some("default".into()),
            config: Some(vec![IpamConfig {
                subnet: Some(subnet.to_string()),
                gateway: Some(subnet.gateway().to_string()),
                ..IpamConfig::default()
            }]),
            options: None,
        }),
        options: Some(HashMap::from([
            option(BRIDGE_NAME, &name::device(id, Make::Bridge, reach)),
            option(&bridge("enable_icc"), "false"),
            option(&bridge("enable_ip_masquerade"), yes_or_no(reach.internet)),
        ])),
        labels: Some(HashMap::from([
            (INSTALL.into(), id.install.to_string()),
            (JOB.into(), id.job.to_string()),
            (ATTEMPT.into(), id.attempt.to_string()),
            (REACH.into(), written(reach)),
        ])),
        ..NetworkCreateRequest::default()
    }
}

/// Whose it is: by its name, and by a label that a network which a person made does not have.
pub(super) fn owner(network: &Network) -> Option<ContainerId> {
    let id: ContainerId = network.name.as_deref()?.parse().ok()?;
    (*label(network, INSTALL)? == id.install.to_string()).then_some(id)
}

pub(super) fn is_of(network: &Network, id: &ContainerId) -> bool {
    owner(network).as_ref() == Some(id)
}

/// Whether it was made for this reach.
pub(super) fn has(network: &Network, reach: Reach) -> bool {
    label(network, REACH) == Some(&written(reach))
}

/// The port of the listener that its container may reach.
pub(super) fn listener(network: &Network) -> Option<u16> {
    label(network, REACH)?.split(' ').find_map(|word| word.strip_prefix("listener:")?.parse().ok())
}

/// The host's address on it.
pub(super) fn gateway(network: &Network) -> Result<Gateway, EngineError> {
    let config = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    let address = config.filter_map(|it| it.gateway.as_deref()?.parse().ok()).next();
    address.map(|address| Gateway { address }).ok_or_else(|| {
        let name = network.name.as_deref().unwrap_or_default();
        EngineError::Trouble(format!("Docker names no gateway of the network {name}"))
    })
}

/// The addresses it takes.
pub(super) fn subnets(network: &Network) -> impl Iterator<Item = Subnet> + '_ {
    let config = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    config.filter_map(|it| it.subnet.as_deref()?.parse().ok())
}

/// The name of its bridge, if it has one.
pub(super) fn bridge_of(network: &Network) -> Option<String> {
    if network.driver.as_deref() != Some("bridge") {
        return None;
    }
    let named = network.options.as_ref().and_then(|options| options.get(BRIDGE_NAME).cloned());
    named.or_else(|| Some(format!("br-{}", network.id.as_deref()?.get(..12)?)))
}

fn label<'a>(network: &'a Network, name: &str) -> Option<&'a String> {
    network.labels.as_ref()?.get(name)
}

fn written(reach: Reach) -> String {
    let listener = reach.listener.map(|port| format!("listener:{port}"));
    let internet = reach.internet.then(|| "internet".to_owned());
    listener.into_iter().chain(internet).collect::<Vec<_>>().join(" ")
}

/// Whether a daemon says so of addresses that somebody else has.
pub(super) fn is_conflict(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("overlap") || words.contains("conflicts with network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_told_from_other_trouble() {
        for words in [
            "Pool overlaps with other one on this address space",
            "cannot create network 1 (br-1): conflicts with network 2 (br-2): networks have \
             overlapping IPv4",
            "invalid pool request: Pool overlaps with other one on this address space",
        ] {
            assert!(is_conflict(words), "{words}");
        }
        assert!(!is_conflict("permission denied"));
    }
}
