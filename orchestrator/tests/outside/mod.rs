//! What lies outside an attempt's container, for the stories of any engine on this host: this host and
//! its programs, other attempts, an internet, and the packet filter between them.
//!
//! Run by root: rules are written, and an internet is made of a network namespace.

pub(crate) mod filter;
pub(crate) mod internet;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use fileyard_orchestrator::engine::{
    ContainerSpec, LogStream, Networks, Reach,
    conformance::{Harness, text},
};
use tokio::net::{TcpListener, UdpSocket};

pub(crate) const EGRESS: Reach = Reach { listener: None, internet: true };

/// An attempt with a network, about to run these verbs; and its gateway.
pub(crate) async fn attempt(it: &Harness, reach: Reach) -> (ContainerSpec, IpAddr) {
    let mut spec = it.spec(&[]);
    spec.reach = reach;
    let gateway = networks(it).ensure(&spec.id, reach).await.unwrap().address;
    (spec, gateway)
}

pub(crate) fn networks(it: &Harness) -> &dyn Networks {
    it.engine.networks().unwrap()
}

pub(crate) async fn end(it: &Harness, spec: &ContainerSpec) {
    it.remove(spec).await;
    networks(it).remove(&spec.id).await.unwrap();
}

/// What the drill found, by what it was asked: `dial ADDRESS`, `ask ADDRESS`, `resolve NAME`.
pub(crate) async fn found(
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

/// A neighbour on this device: another attempt's container that answers on port 7000.
pub(crate) struct Neighbour {
    pub(crate) spec: ContainerSpec,
    pub(crate) address: Ipv4Addr,
}

impl Neighbour {
    /// `here` is this host's address on its network.
    pub(crate) async fn begin(it: &Harness, mut spec: ContainerSpec, here: Ipv4Addr) -> Self {
        spec.command = ["listen", "7000", "say", "begun", "sleep", "1h"].map(str::to_owned).into();
        it.engine.start(&spec).await.unwrap();
        it.says(&spec.id, "begun").await;
        let address = Ipv4Addr::from_bits(here.to_bits() + 1);
        let control = tokio::net::TcpStream::connect((address, 7000)).await;
        assert!(control.is_ok(), "this host reaches {address}: {control:?}");
        Self { spec, address }
    }
}

/// Programs of this host's that have nothing to do with fileyard: one on all its addresses, by TCP
/// and by UDP.
pub(crate) struct Host {
    tcp: TcpListener,
    udp: UdpSocket,
    addresses: Vec<IpAddr>,
}

impl Host {
    pub(crate) async fn with_programs() -> Self {
        let tcp = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        // Devices that come and go with others' containers are not what this is about.
        let lasting = |device: &str| !device.starts_with("fy") && !device.starts_with("br-");
        let all = addresses().into_iter().filter(|(device, _)| lasting(device));
        let addresses = all.map(|(_, address)| address.into());
        let addresses = addresses.filter(|address: &IpAddr| !address.is_loopback()).collect();
        Self { tcp, udp, addresses }
    }

    /// Every way to them: by the gateway, and by all other addresses of this host's.
    pub(crate) fn ways(&self, gateway: IpAddr) -> Vec<String> {
        let (tcp, udp) = (self.tcp.local_addr().unwrap(), self.udp.local_addr().unwrap());
        let mut addresses = self.addresses.clone();
        addresses.push(gateway);
        let ways = addresses.iter().flat_map(|address| {
            [format!("dial {address}:{}", tcp.port()), format!("ask {address}:{}", udp.port())]
        });
        ways.collect()
    }

    /// Answers every datagram, for as long as the test goes on.
    pub(crate) async fn answer(&self) {
        let mut buffer = [0; 64];
        while let Ok((n, from)) = self.udp.recv_from(&mut buffer).await {
            let _ = self.udp.send_to(&buffer[..n], from).await;
        }
    }
}

/// Away from everything: what no attempt reaches.
pub(crate) fn elsewhere(neighbour: Ipv4Addr) -> Vec<String> {
    vec![
        format!("dial {neighbour}:7000"),
        format!("ask {neighbour}:7000"),
        "dial 169.254.169.254:80".into(),
        "dial 168.63.129.16:80".into(),
        "dial 172.17.0.1:22".into(),
        "dial 10.0.0.1:53".into(),
    ]
}

pub(crate) fn nothing_was_reached(found: &BTreeMap<String, String>, asked: &[String]) {
    for line in asked {
        let outcome = found.get(line).unwrap_or_else(|| panic!("{line} is not in {found:#?}"));
        // The kernel sends only so many ICMP messages to one address in a second.
        let refused =
            outcome == "ECONNREFUSED" || line.starts_with("ask ") && outcome == "ETIMEDOUT";
        assert!(refused, "{line}: {outcome}");
    }
}

/// Of this host's devices.
pub(crate) fn addresses() -> Vec<(String, Ipv4Addr)> {
    let shown = run("ip", &["-br", "-4", "address"]);
    let all = shown.lines().flat_map(|line| {
        let mut words = line.split_whitespace();
        // The end of a pair is shown with the other's name behind it.
        let device = words.next().unwrap_or_default().split('@').next().unwrap_or_default();
        let addresses = words.filter_map(|word| word.split_once('/')?.0.parse().ok());
        addresses.map(|address| (device.to_owned(), address)).collect::<Vec<_>>()
    });
    all.collect()
}

pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output().expect(program);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {args:?}: {words}");
    String::from_utf8(done.stdout).unwrap()
}
