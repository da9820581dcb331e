//! What a container on an attempt's network reaches, as a program in it finds: our listener, with
//! egress the internet, and nothing else. Each story has its own control: the same dial succeeds
//! where the rule is not.
//!
//! Run by root: rules are written, and an internet is made of a network namespace.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use fileyard_orchestrator::engine::{
    ContainerSpec, LogStream, NetworkRange, Networks, Reach,
    conformance::{Harness, text},
    docker::DockerEngine,
};
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    daemon, docker,
    internet::{ANSWER, Internet, PRIVATE, SITE},
};

const LISTENER: Reach = Reach { listener: Some(8788), internet: false };
const EGRESS: Reach = Reach { listener: None, internet: true };

/// An attempt with a network, about to run these verbs; and its gateway.
async fn attempt(it: &Harness, reach: Reach) -> (ContainerSpec, IpAddr) {
    let mut spec = it.spec(&[]);
    spec.reach = reach;
    let gateway = networks(it).ensure(&spec.id, reach).await.unwrap().address;
    (spec, gateway)
}

fn networks(it: &Harness) -> &dyn Networks {
    it.engine.networks().unwrap()
}

async fn end(it: &Harness, spec: &ContainerSpec) {
    it.remove(spec).await;
    networks(it).remove(&spec.id).await.unwrap();
}

/// What the drill found, by what it was asked: `dial ADDRESS`, `ask ADDRESS`, `resolve NAME`.
async fn found(
    it: &Harness,
    spec: &mut ContainerSpec,
    asked: &[String],
) -> BTreeMap<String, String> {
    let words = asked.iter().flat_map(|line| line.split(' '));
    spec.command = words.map(str::to_owned).collect();
    assert_eq!(it.run(spec).await.code, 0);
    let log = text(&it.log(&spec.id).await, LogStream::Stdout);
    let said = log.lines().filter_map(|line| line.strip_prefix("drill: ")?.rsplit_once(": "));
    said.map(|(asked, outcome)| (asked.to_owned(), outcome.to_owned())).collect()
}

/// A neighbour: another attempt's container that answers on port 7000, and its address.
async fn neighbour(it: &Harness, reach: Reach) -> (ContainerSpec, IpAddr, IpAddr) {
    let (mut spec, gateway) = attempt(it, reach).await;
    spec.command = ["listen", "7000", "say", "begun", "sleep", "1h"].map(str::to_owned).into();
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "begun").await;
    let IpAddr::V4(first) = gateway else { panic!("{gateway}") };
    let address = Ipv4Addr::from_bits(first.to_bits() + 1);
    let control = tokio::net::TcpStream::connect((address, 7000)).await;
    assert!(control.is_ok(), "this host reaches {address}: {control:?}");
    (spec, address.into(), gateway)
}

/// Programs of this host's that have nothing to do with fileyard: one on all its addresses, by TCP
/// and by UDP.
struct Host {
    tcp: TcpListener,
    udp: UdpSocket,
    addresses: Vec<IpAddr>,
}

impl Host {
    async fn with_programs() -> Self {
        let tcp = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let shown = run("ip", &["-br", "-4", "address"]);
        // Bridges that come and go with others' containers are not what this is about.
        let lasting =
            shown.lines().filter(|line| !line.starts_with("fy") && !line.starts_with("br-"));
        let words = lasting.flat_map(str::split_whitespace).filter_map(|word| word.split_once('/'));
        let addresses = words.filter_map(|(address, _)| address.parse::<IpAddr>().ok());
        let addresses = addresses.filter(|address| !address.is_loopback()).collect();
        Self { tcp, udp, addresses }
    }

    /// Every way to them: by the gateway, and by all other addresses of this host's.
    fn ways(&self, gateway: IpAddr) -> Vec<String> {
        let (tcp, udp) = (self.tcp.local_addr().unwrap(), self.udp.local_addr().unwrap());
        let mut addresses = self.addresses.clone();
        addresses.push(gateway);
        let ways = addresses.iter().flat_map(|address| {
            [format!("dial {address}:{}", tcp.port()), format!("ask {address}:{}", udp.port())]
        });
        ways.collect()
    }

    /// Answers every datagram, for as long as the test goes on.
    async fn answer(&self) {
        let mut buffer = [0; 64];
        while let Ok((n, from)) = self.udp.recv_from(&mut buffer).await {
            let _ = self.udp.send_to(&buffer[..n], from).await;
        }
    }
}

/// Away from everything: what no attempt reaches.
fn elsewhere(neighbour: IpAddr) -> Vec<String> {
    vec![
        format!("dial {neighbour}:7000"),
        format!("ask {neighbour}:7000"),
        "dial 169.254.169.254:80".into(),
        "dial 168.63.129.16:80".into(),
        "dial 172.17.0.1:22".into(),
        "dial 10.0.0.1:53".into(),
    ]
}

fn nothing_was_reached(found: &BTreeMap<String, String>, asked: &[String]) {
    for line in asked {
        let outcome = found.get(line).unwrap_or_else(|| panic!("{line} is not in {found:#?}"));
        // The kernel sends only so many ICMP messages to one address in a second.
        let refused =
            outcome == "ECONNREFUSED" || line.starts_with("ask ") && outcome == "ETIMEDOUT";
        assert!(refused, "{line}: {outcome}");
    }
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

    let private: Vec<String> = PRIVATE.iter().map(|address| format!("dial {address}:80")).collect();
    for address in PRIVATE.iter().chain([&SITE]) {
        let control = tokio::net::TcpStream::connect(format!("{address}:80")).await;
        assert!(control.is_ok(), "{address} answers this host: {control:?}");
    }
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
    let hook = before.iter().find(|line| line.starts_with("-A INPUT")).unwrap();
    let words: Vec<&str> = hook.split(' ').skip(1).collect();
    run("iptables", &[&["-w", "-D"], &words[..]].concat());
    assert_ne!(rules_of(&bridge), before);

    let (second, _) = attempt(&it, LISTENER).await;
    assert_eq!(rules_of(&bridge), before);
    run("iptables", &[&["-w", "-D"], &words[..]].concat());
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

/// Lets everything from a bridge through, as if there were no rules, until it is dropped.
struct Open {
    chain: &'static str,
    bridge: String,
}

impl Open {
    fn new(chain: &'static str, bridge: &str) -> Self {
        run("iptables", &["-w", "-I", chain, "1", "-i", bridge, "-j", "ACCEPT"]);
        Self { chain, bridge: bridge.to_owned() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        run("iptables", &["-w", "-D", self.chain, "-i", &self.bridge, "-j", "ACCEPT"]);
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output().expect(program);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {args:?}: {words}");
    String::from_utf8(done.stdout).unwrap()
}

/// The bridge on which this host has that address.
fn bridge_of(gateway: IpAddr) -> String {
    let shown = run("ip", &["-br", "-4", "address"]);
    let line = shown.lines().find(|line| line.contains(&format!(" {gateway}/"))).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// What the packet filter has of the install with this bridge.
fn rules_of(bridge: &str) -> Vec<String> {
    let install = &bridge[2..7];
    let both = run("iptables-save", &["-t", "filter"]) + &run("ip6tables-save", &["-t", "filter"]);
    let ours = |line: &&str| {
        line.contains(&format!("FILEYARD-{install}-")) || line.contains(&format!(" fy{install}+"))
    };
    both.lines().filter(ours).map(|line| line.trim_end_matches(" [0:0]").to_owned()).collect()
}

fn no_rules_are_left_of(bridge: &str) {
    assert_eq!(rules_of(bridge), Vec::<String>::new());
}
