//! Networks of engines that have them: one an attempt, made once, gone once.

use std::{collections::HashSet, net::SocketAddr};

use fileyard_storage::id::InstallId;

use super::{Harness, text};
use crate::engine::{ContainerId, ContainerState, EngineError, LogStream, Networks, Reach};

/// Of two spec's worth.
const LISTENER: u16 = 8788;

/// The second answer is the first's, and only their own install's list has it.
pub async fn a_network_is_made_once_though_asked_twice(it: &Harness) {
    let Some(networks) = it.engine.networks() else { return };
    let id = it.spec(&[]).id;
    let reach = Reach { listener: Some(LISTENER), internet: false };
    let first = networks.ensure(&id, reach).await.expect("a network");
    let (second, third) = tokio::join!(networks.ensure(&id, reach), networks.ensure(&id, reach));
    assert_eq!((second, third), (Ok(first), Ok(first)));
    assert_eq!(listed(networks, it.install).await, [id]);
    assert_eq!(listed(networks, InstallId::new()).await, []);
    for _ in 0..2 {
        assert_eq!(networks.remove(&id).await, Ok(()));
        assert_eq!(listed(networks, it.install).await, []);
    }
}

/// As many as are asked for at once, each with a gateway where we can listen: all at the same port.
pub async fn several_networks_are_made_at_once(it: &Harness) {
    let Some(networks) = it.engine.networks() else { return };
    let ids: Vec<ContainerId> = (0..4).map(|_| it.spec(&[]).id).collect();
    let reach = Reach { listener: Some(LISTENER), internet: false };
    let made = ids.iter().map(|id| networks.ensure(id, reach));
    let gateways = futures::future::join_all(made).await;
    let (mut listeners, mut port) = (Vec::new(), 0);
    for (id, gateway) in ids.iter().zip(gateways) {
        let address = gateway.expect("a network").address;
        let listener = networks.listen(id, SocketAddr::new(address, port)).await;
        let listener = listener.expect("a listener");
        port = listener.local_addr().expect("an address").port();
        listeners.push(listener);
    }
    let all = listed(networks, it.install).await;
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), ids.iter().copied().collect());
    for id in ids {
        assert_eq!(networks.remove(&id).await, Ok(()));
    }
}

/// It reaches the listener on the gateway, and is not started without the network.
pub async fn a_container_reaches_the_listener_on_its_network_s_gateway(it: &Harness) {
    let Some(networks) = it.engine.networks() else { return };
    let mut spec = it.spec(&[]);
    spec.reach = Reach { listener: Some(LISTENER), internet: false };
    let without = it.engine.start(&spec).await;
    assert!(matches!(without, Err(EngineError::Trouble(_))), "{without:?}");
    it.remove(&spec).await;

    let gateway = networks.ensure(&spec.id, Reach::NOTHING).await.expect("a network").address;
    let listener = networks.listen(&spec.id, SocketAddr::new(gateway, 0)).await;
    let listener = listener.expect("a listener");
    let address = listener.local_addr().expect("an address");
    spec.reach.listener = Some(address.port());
    assert!(networks.ensure(&spec.id, spec.reach).await.is_ok(), "what it lets through may change");
    spec.command = vec!["dial".into(), address.to_string()];
    assert_eq!(it.run(&spec).await.code, 0);
    let said = text(&it.log(&spec.id).await, LogStream::Stdout);
    assert!(said.ends_with(&format!("dial {address}: ok\n")), "{said}");
    it.remove(&spec).await;
    assert_eq!(networks.remove(&spec.id).await, Ok(()));
}

/// It goes after its container, so it is in the way of nothing.
pub async fn a_network_stays_while_its_container_runs(it: &Harness) {
    let Some(networks) = it.engine.networks() else { return };
    let mut spec = it.endless(&["say", "begun"]);
    spec.reach = Reach { listener: Some(LISTENER), internet: false };
    networks.ensure(&spec.id, spec.reach).await.expect("a network");
    assert_eq!(it.engine.start(&spec).await, Ok(ContainerState::Running));
    it.says(&spec.id, "begun").await;
    assert!(matches!(networks.remove(&spec.id).await, Err(EngineError::Trouble(_))));
    assert_eq!(listed(networks, it.install).await, [spec.id]);
    it.remove(&spec).await;
    assert_eq!(networks.remove(&spec.id).await, Ok(()));
    assert_eq!(listed(networks, it.install).await, []);
}

async fn listed(networks: &dyn Networks, install: InstallId) -> Vec<ContainerId> {
    networks.list(install).await.expect("a list")
}
