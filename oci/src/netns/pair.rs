//! A pair of devices: one here, the other in a namespace, and addresses at both ends.
//!
//! It says where packets can go and nothing about which may: that is a packet filter's, and stands
//! before there is a pair. The pair goes with its namespace, also after a crash. It has no IPv6.

use std::{fs, io, net::Ipv4Addr, os::fd::AsFd, path::Path};

use rustix::io::Errno;

use super::{Netns, netlink::Netlink};

/// What the device in the namespace is called.
const INSIDE: &str = "eth0";

/// What a pair is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What the device here is called; at most 15 characters.
    pub device: String,
    /// The network of both ends.
    pub network: (Ipv4Addr, u8),
    /// Of the end here; the other end sends everything to it.
    pub here: Ipv4Addr,
    /// Of the end in the namespace.
    pub there: Ipv4Addr,
}

impl Netns {
    /// Connects it with the namespace of this process. Either all of it is there afterwards, or
    /// nothing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when there is a device of this name here, or a way to the very
    /// same network: of two that want it at once one has it. Others as the kernel says them.
    pub fn connect(&self, pair: &Pair) -> io::Result<()> {
        let mut here = Netlink::open()?;
        here.create_pair(&pair.device, INSIDE, self.as_fd())?;
        let connected = pair.raise(&mut here).and_then(|()| self.within(|| pair.raise_inside()));
        connected.inspect_err(|_| drop(remove_device(&pair.device)))
    }
}

impl Pair {
    fn raise(&self, netlink: &mut Netlink) -> io::Result<()> {
        without_ipv6(&self.device)?;
        let device = netlink.index(&self.device)?;
        netlink.add_address(device, self.here, self.network.1)?;
        netlink.raise(device)?;
        netlink.add_route(device, self.network, None)
    }

    fn raise_inside(&self) -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        without_ipv6(INSIDE)?;
        let device = netlink.index(INSIDE)?;
        netlink.add_address(device, self.there, self.network.1)?;
        netlink.raise(device)?;
        netlink.add_route(device, self.network, None)?;
        netlink.add_route(device, (Ipv4Addr::UNSPECIFIED, 0), Some(self.here))
    }
}

/// Removes the device and with it the pair; whether it was there.
///
/// # Errors
/// As the kernel says them.
pub fn remove_device(name: &str) -> io::Result<bool> {
    let mut netlink = Netlink::open()?;
    let removed = netlink.index(name).and_then(|device| netlink.remove(device));
    match removed {
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// The names of all devices here.
///
/// # Errors
/// When the kernel does not say.
pub fn devices() -> io::Result<Vec<String>> {
    // Not `/sys`, which shows the namespace that it was mounted in.
    let all = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = all.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// Without so much as an address that the device would make for itself.
fn without_ipv6(device: &str) -> io::Result<()> {
    let all = Path::new("/proc/sys/net/ipv6/conf");
    if all.exists() { fs::write(all.join(device).join("disable_ipv6"), "1") } else { Ok(()) }
}
