//! Network namespaces, on this machine's kernel. Run by root.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fileyard_oci::netns::{Netns, Pair, devices, remove_device};

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Which namespace this thread is in.
fn here() -> String {
    fs::read_link("/proc/thread-self/ns/net").unwrap().to_string_lossy().into_owned()
}

fn dial(netns: &Netns, at: SocketAddr) -> std::io::Result<TcpStream> {
    netns.within(|| TcpStream::connect(at))
}

/// A process that lives in a namespace, until it is dropped.
struct Inhabitant(Child);

impl Inhabitant {
    fn of(netns: &Netns) -> Self {
        let sleep = || Command::new("sleep").arg("1h").stdin(Stdio::null()).spawn();
        Self(netns.within(sleep).unwrap())
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_port_is_three_sockets_in_three_namespaces() {
    let outside = TcpListener::bind(loopback(0)).unwrap();
    let at = outside.local_addr().unwrap();
    let (one, two) = (Netns::create().unwrap(), Netns::create().unwrap());
    let (first, second) = (one.listen(at).unwrap(), two.listen(at).unwrap());
    let taken = one.listen(at).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);

    let listeners = [outside, first, second];
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    let mut clients =
        [TcpStream::connect(at).unwrap(), dial(&one, at).unwrap(), dial(&two, at).unwrap()];
    for (client, listener) in clients.iter_mut().zip(&listeners) {
        let (mut served, _) = listener.accept().unwrap();
        let another = listener.accept().unwrap_err();
        assert_eq!(another.kind(), ErrorKind::WouldBlock, "each is reached from its own alone");
        // It goes on from out here.
        served.set_nonblocking(false).unwrap();
        served.write_all(b"here").unwrap();
        drop(served);
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "here");
    }
}

#[test]
fn a_new_one_reaches_itself_and_nothing_else() {
    let netns = Netns::create().unwrap();
    let outside = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    let refused = dial(&netns, loopback(port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    for address in addresses_of_this_machine().iter().map(String::as_str).chain(["192.0.2.1"]) {
        let error = dial(&netns, format!("{address}:{port}").parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{address}");
    }
}

fn addresses_of_this_machine() -> Vec<String> {
    let shown = Command::new("ip").args(["-br", "-4", "address"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let words = shown.split_whitespace().filter_map(|word| word.split_once('/'));
    words.map(|(address, _)| address.to_owned()).filter(|it| !it.starts_with("127.")).collect()
}

#[test]
fn whoever_enters_one_is_back_afterwards() {
    let before = here();
    let netns = Netns::create().unwrap();
    assert_eq!(here(), before);
    let inside = netns.within(|| Ok(here())).unwrap();
    assert_ne!(inside, before);
    let failed = netns.within(|| Err::<(), _>(ErrorKind::Other.into()));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(here(), before);
}

#[test]
fn it_is_found_again_by_a_process_in_it() {
    let netns = Netns::create().unwrap();
    let inside = netns.within(|| Ok(here())).unwrap();
    let inhabitant = Inhabitant::of(&netns);
    drop(netns);
    let pid = inhabitant.0.id().cast_signed();
    let found = Netns::of_process(pid).unwrap();
    assert_eq!(found.within(|| Ok(here())).unwrap(), inside);
    let listener = found.listen(loopback(0)).unwrap();
    let at = listener.local_addr().unwrap();
    assert!(dial(&found, at).is_ok());
    drop(inhabitant);
    assert_eq!(Netns::of_process(pid).unwrap_err().kind(), ErrorKind::NotFound);
}

/// A pair with a network of its own, which no other test has.
fn pair(n: u8) -> Pair {
    Pair {
        device: format!("fyt{}x{n}", std::process::id()),
        network: (Ipv4Addr::new(10, 215, 77, n * 8), 29),
        here: Ipv4Addr::new(10, 215, 77, n * 8 + 1),
        there: Ipv4Addr::new(10, 215, 77, n * 8 + 2),
    }
}

fn is_there(pair: &Pair) -> bool {
    devices().unwrap().contains(&pair.device)
}

/// The kernel takes a namespace down in the background.
fn until_it_is_gone(pair: &Pair) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_there(pair) {
        assert!(Instant::now() < deadline, "something still holds the namespace");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_left_of_it_once_nobody_holds_it() {
    let (netns, pair) = (Netns::create().unwrap(), pair(0));
    netns.connect(&pair).unwrap();
    let listener = netns.listen(loopback(0)).unwrap();
    let inhabitant = Inhabitant::of(&netns);
    drop(netns);
    drop((inhabitant, listener));
    until_it_is_gone(&pair);
}

#[test]
fn a_pair_leads_out_and_in_and_has_no_ipv6() {
    let (netns, pair) = (Netns::create().unwrap(), pair(1));
    netns.connect(&pair).unwrap();
    let outside = TcpListener::bind((pair.here, 0)).unwrap();
    let _client = dial(&netns, outside.local_addr().unwrap()).unwrap();
    assert_eq!(outside.accept().unwrap().1.ip(), pair.there);
    let inside = netns.listen((pair.there, 0).into()).unwrap();
    assert!(TcpStream::connect(inside.local_addr().unwrap()).is_ok());
    // The way on is there, and leads to this machine, which has none.
    let addresses = || fs::read_to_string("/proc/thread-self/net/if_inet6");
    assert!(!netns.within(addresses).unwrap().contains("eth0"));
    assert!(!addresses().unwrap().contains(&pair.device));

    assert!(remove_device(&pair.device).unwrap());
    assert!(!is_there(&pair));
    assert!(!remove_device(&pair.device).unwrap());
    let error = dial(&netns, outside.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

#[test]
fn of_two_that_want_one_network_one_has_it() {
    let (one, two) = (Netns::create().unwrap(), Netns::create().unwrap());
    let (first, mut second) = (pair(2), pair(2));
    second.device.push('b');
    one.connect(&first).unwrap();
    assert_eq!(two.connect(&second).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(!is_there(&second), "nothing is left of it");
    assert_eq!(two.connect(&first).unwrap_err().kind(), ErrorKind::AlreadyExists);
    remove_device(&first.device).unwrap();
    two.connect(&second).unwrap();
}
