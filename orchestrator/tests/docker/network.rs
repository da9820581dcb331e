//! What a container on an attempt's network reaches, as a program in it finds: our listener, with
//! egress the internet, and nothing else. Each story has its own control: the same dial succeeds
//! where the rule is not.

use std::net::{IpAddr, Ipv4Addr};

use fileyard_orchestrator::engine::{
    ContainerSpec, NetworkRange, Networks, Reach, conformance::Harness, docker::DockerEngine,
};
use tokio::net::TcpListener;

use crate::{
    daemon, docker,
    outside::{
        EGRESS, Host, Neighbour, addresses, attempt, elsewhere, end,
        filter::{Open, flush, no_rules_are_left_of, rules_of},
        found,
        internet::{ANSWER, Internet, SITE},
        networks, nothing_was_reached,
    },
};

const LISTENER: Reach = Reach { listener: Some(8788), internet: false };

/// Another attempt's container, its address, and its gateway.
async fn neighbour(it: &Harness, reach: Reach) -> (ContainerSpec, Ipv4Addr, IpAddr) {
    let (spec, gateway) = attempt(it, reach).await;
    let IpAddr::V4(here) = gateway else { panic!("{gateway}") };
    let beside = Neighbour::begin(it, spec, here).await;
    (beside.spec, beside.address, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_is_reached_and_nothing_else_of_the_host_s() {
    let (it, _) = docker();
    let host = Host::with_programs().await;
    let (beside, address, beside_gateway) = neighbour(&it, LISTENER).await;
    let (mut spec, gateway) = attempt(&it, LISTENER).await;
    let _listener = TcpListener::bind((gateway, 8788)).await.unwrap();
    let admitted = format!("dial {gateway}:8788");

    let mut refused = host.ways(gateway);
    refused.extend(elsewhere(address));
    refused.push("dial 1.1.1.1:443".into());
    // The listener of another attempt's, on a gateway that is this host's as well.
    refused.push(format!("dial {beside_gateway}:8788"));
    let _other = TcpListener::bind((beside_gateway, 8788)).await.unwrap();
    let mut asked = refused.clone();
    asked.extend([admitted.clone(), "resolve example.org".into()]);
    let found = tokio::select! {
        found = found(&it, &mut spec, &asked) => found,
        () = host.answer() => unreachable!("it answers for ever"),
    };
    assert_eq!(found[&admitted], "ok", "{found:#?}");
    nothing_was_reached(&found, &refused);
    assert!(found["resolve example.org"].parse::<IpAddr>().is_err(), "{found:#?}");
    let bridge = bridge_of(gateway);
    for spec in [spec, beside] {
        end(&it, &spec).await;
    }
    it.leaves_nothing().await;
    no_rules_are_left_of(&bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_rules_the_host_is_open() {
    let (it, _) = docker();
    let host = Host::with_programs().await;
    let (mut spec, gateway) = attempt(&it, LISTENER).await;
    let open = Open::new("INPUT", &bridge_of(gateway));
    let asked = host.ways(gateway);
    let found = tokio::select! {
        found = found(&it, &mut spec, &asked) => found,
        () = host.answer() => unreachable!("it answers for ever"),
    };
    drop(open);
    // A datagram to another of this host's addresses is answered from the gateway's.
    let answers = |line: &&String| line.starts_with("dial ") || line.contains(&gateway.to_string());
    for line in asked.iter().filter(answers) {
        assert_eq!(found[line], "ok", "{line}: the other story could not fail");
    }
    end(&it, &spec).await;
    it.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn egress_is_the_internet_its_names_and_nothing_of_the_host_s() {
    let (it, _) = docker();
    let internet = Internet::new();
    let host = Host::with_programs().await;
    let (beside, address, _) = neighbour(&it, EGRESS).await;
    let (mut spec, gateway) = attempt(&it, EGRESS).await;
    let bridge = bridge_of(gateway);

    let private = internet.private().await;
    let admitted = [format!("dial {SITE}:80"), "resolve example.org".to_owned()];
    let mut refused = host.ways(gateway);
    refused.extend(elsewhere(address));
    refused.extend(private.clone());
    let asked: Vec<String> = admitted.iter().chain(&refused).cloned().collect();
    let first = tokio::select! {
        found = found(&it, &mut spec, &asked) => found,
        () = host.answer() => unreachable!("it answers for ever"),
    };
    assert_eq!(first[&admitted[0]], "ok", "{first:#?}");
    assert_eq!(first[&admitted[1]], ANSWER, "{first:#?}");
    nothing_was_reached(&first, &refused);
    it.remove(&spec).await;

    // The control: without the rules all of that answers.
    let open = [Open::new("INPUT", &bridge), Open::new("DOCKER-USER", &bridge)];
    let second = found(&it, &mut spec, &private).await;
    drop(open);
    assert!(second.values().all(|outcome| outcome == "ok"), "{second:#?}");

    for spec in [spec, beside] {
        end(&it, &spec).await;
    }
    drop(internet);
    it.leaves_nothing().await;
    no_rules_are_left_of(&bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_somebody_flushed_are_there_again_before_the_next_container_is() {
    let (it, _) = docker();
    let (first, gateway) = attempt(&it, LISTENER).await;
    let bridge = bridge_of(gateway);
    let before = rules_of(&bridge);
    assert!(!before.is_empty());
    flush(&bridge);
    let (second, _) = attempt(&it, LISTENER).await;
    assert_eq!(rules_of(&bridge), before);
    flush(&bridge);
    networks(&it).list(it.install).await.unwrap();
    assert_eq!(rules_of(&bridge), before, "a pass over the networks mends them too");
    for spec in [first, second] {
        networks(&it).remove(&spec.id).await.unwrap();
    }
    it.leaves_nothing().await;
    no_rules_are_left_of(&bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_a_dead_process_left_go_with_the_next_one_s_first_pass() {
    let (it, _) = docker();
    let (spec, gateway) = attempt(&it, EGRESS).await;
    let bridge = bridge_of(gateway);
    // As if it had died between the two.
    daemon().await.remove_network(&spec.id.to_string()).await.unwrap();
    assert_ne!(rules_of(&bridge), Vec::<String>::new());
    let next = DockerEngine::new("", it.dirs().clone()).unwrap();
    assert_eq!(Networks::list(&next, it.install).await.unwrap(), []);
    no_rules_are_left_of(&bridge);
    it.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_two_share_is_shared_and_one_that_is_full_says_so() {
    let (it, _) = docker();
    let range: NetworkRange = "10.214.7.0/28".parse().unwrap();
    let engine = || {
        let dirs = it.dirs().clone();
        DockerEngine::new("", dirs).unwrap().with_networks(range, true)
    };
    let (one, two) = (engine(), engine());
    let ids: Vec<_> = (0..3).map(|_| it.spec(&[]).id).collect();
    let (a, b) = tokio::join!(one.ensure(&ids[0], LISTENER), two.ensure(&ids[1], LISTENER));
    assert_ne!(a.unwrap(), b.unwrap());
    let full = one.ensure(&ids[2], LISTENER).await.unwrap_err().to_string();
    assert!(full.contains("10.214.7.0/28") && full.contains("urls.networks"), "{full}");
    Networks::remove(&two, &ids[1]).await.unwrap();
    assert!(one.ensure(&ids[2], LISTENER).await.is_ok());
    for id in [ids[0], ids[2]] {
        Networks::remove(&one, &id).await.unwrap();
    }
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_check_says_where_networks_come_from_and_what_keeps_them_closed() {
    let (it, _) = docker();
    let range: NetworkRange = "10.214.0.0/16".parse().unwrap();
    let engine = DockerEngine::new("", it.dirs().clone()).unwrap().with_networks(range, true);
    let report = engine.check().await.unwrap();
    let facts = report.facts.join("; ");
    assert!(facts.contains("10.214.0.0/16, room for 8192"), "{facts}");
    assert!(facts.contains("firewall rules for them by iptables"), "{facts}");

    // Docker's own bridge is a route of this host's.
    let range: NetworkRange = "172.17.0.0/16".parse().unwrap();
    let engine = DockerEngine::new("", it.dirs().clone()).unwrap().with_networks(range, true);
    let warnings = engine.check().await.unwrap().warnings.join("; ");
    assert!(warnings.contains("a route to 172.17.0.0/16 by docker0"), "{warnings}");
}

/// The bridge on which this host has that address.
fn bridge_of(gateway: IpAddr) -> String {
    let mut all = addresses().into_iter();
    all.find(|(_, address)| *address == gateway).unwrap().0
}
