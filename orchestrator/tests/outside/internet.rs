//! An internet for the tests: a network namespace behind a pair of interfaces, where one site, a
//! public name server and some addresses that no attempt may reach all answer.

use std::{
    io::Read,
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Of the site.
pub(crate) const SITE: &str = "198.51.100.7";
/// Of those that are not the internet: a cloud's metadata, and private networks.
const PRIVATE: [&str; 4] = ["169.254.169.254", "168.63.129.16", "10.66.66.66", "100.64.7.7"];
/// What the name server says of every name.
pub(crate) const ANSWER: &str = "203.0.113.7";

const NAME_SERVER: &str = "1.1.1.1";
const SPACE: &str = "fileyard-internet";
const HERE: &str = "inet-here";
const THERE: &str = "inet-there";

/// As long as it lives this host has routes there.
pub(crate) struct Internet {
    program: Child,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let _ = Command::new("ip").args(["netns", "delete", SPACE]).output();
        ip(&["netns", "add", SPACE]);
        ip(&["link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", SPACE]);
        ip(&["address", "add", "198.51.100.1/24", "dev", HERE]);
        ip(&["link", "set", HERE, "up"]);
        let inside = |args: &[&str]| ip(&[&["-n", SPACE], args].concat());
        inside(&["link", "set", "lo", "up"]);
        inside(&["address", "add", &format!("{SITE}/24"), "dev", THERE]);
        inside(&["link", "set", THERE, "up"]);
        inside(&["route", "add", "default", "via", "198.51.100.1"]);
        for address in PRIVATE.iter().chain([&NAME_SERVER]) {
            inside(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
            ip(&["route", "add", &format!("{address}/32"), "via", SITE, "dev", HERE]);
        }
        // This very program, in there.
        let program = Command::new("ip")
            .args(["netns", "exec", SPACE])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &itself(), "--ignored"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let internet = Self { program };
        for _ in 0..200 {
            if TcpStream::connect((SITE, 80)).is_ok() {
                return internet;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{SITE} does not answer");
    }

    /// Ways to what is not the internet, each of which leads somewhere from this host.
    pub(crate) async fn private(&self) -> Vec<String> {
        for address in PRIVATE.iter().chain([&SITE]) {
            let control = tokio::net::TcpStream::connect(format!("{address}:80")).await;
            assert!(control.is_ok(), "{address} answers this host: {control:?}");
        }
        PRIVATE.map(|address| format!("dial {address}:80")).into()
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        // Its end of the pair goes with it, and with that ours and the routes.
        ip(&["link", "delete", HERE]);
        ip(&["netns", "delete", SPACE]);
    }
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The name of the one below, in whichever program of tests this is.
fn itself() -> String {
    let (_, module) = module_path!().split_once("::").unwrap();
    format!("{module}::is_played")
}

/// No test: what runs in the namespace, until it is killed.
#[test]
#[ignore = "it is started by the test that needs an internet"]
fn is_played() {
    let site = TcpListener::bind("0.0.0.0:80").unwrap();
    let names = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
    thread::spawn(move || serve(&site));
    name(&names);
}

fn serve(site: &TcpListener) {
    for connection in site.incoming() {
        let _ = connection.unwrap().read(&mut [0; 1]);
    }
}

/// One address for every name, and nothing else of any.
fn name(socket: &UdpSocket) {
    let mut query = [0; 512];
    while let Ok((n, from)) = socket.recv_from(&mut query) {
        let question = &query[12..n];
        let length = question.iter().position(|byte| *byte == 0).unwrap();
        let is_a = question[length + 2] == 1;
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
        answer.extend(&question[..length + 5]);
        if is_a {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(ANSWER.parse::<std::net::Ipv4Addr>().unwrap().octets());
        }
        let _ = socket.send_to(&answer, from);
    }
}
