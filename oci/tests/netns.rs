//! Network namespaces, on this machine's kernel. Run by root.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fileyard_oci::netns::Netns;

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

#[test]
fn nothing_is_left_of_it_once_nobody_holds_it() {
    let netns = Netns::create().unwrap();
    let device = Device::into(&netns);
    let listener = netns.listen(loopback(0)).unwrap();
    let inhabitant = Inhabitant::of(&netns);
    drop((netns, inhabitant, listener));
    device.until_it_is_gone();
}

/// One end of a pair of which the other is in a namespace: they go together.
struct Device(String);

impl Device {
    fn into(netns: &Netns) -> Self {
        let name = format!("fyt{}", std::process::id());
        let space = format!("/proc/{}/fd/{}", std::process::id(), netns.as_fd().as_raw_fd());
        let words = ["link", "add", &name, "type", "veth", "peer", "name", "inside"];
        let made = Command::new("ip").args(words).args(["netns", &space]).status().unwrap();
        assert!(made.success());
        Self(name)
    }

    fn is_there(&self) -> bool {
        fs::read_to_string("/proc/self/net/dev").unwrap().contains(&self.0)
    }

    /// The kernel takes a namespace down in the background.
    fn until_it_is_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.is_there() {
            assert!(Instant::now() < deadline, "something still holds the namespace");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = Command::new("ip").args(["link", "delete", &self.0]).status();
        }
    }
}
