//! A way from an attempt's namespace to the internet: a pair of devices with a /29 of the configured
//! range, rules of the packet filter that stand before it, and an address of this host's on the way.
//!
//! Nothing is kept here that a restart would lose: which devices there are, the kernel is asked each
//! time, by the names that say whose they are. Several installs may share a range on one host, of
//! either engine: each steps over what has a route, and of two that want the same at once the kernel
//! lets one have it.
//!
//! It needs root, `iptables`, and a host that sends on what is not for itself. It turns that on
//! nowhere: whether a machine is a router is its owner's to say. Where one is missing there is no
//! egress, and whatever asks for it is told what to do.

use std::{io, sync::Arc};

use fileyard_oci::netns::{self, Netns, Pair};
use fileyard_storage::id::InstallId;
use tokio::sync::{RwLock, RwLockReadGuard};

use super::{blocking, trouble};
use crate::engine::{
    ContainerId, EngineError, EngineReport, NetworkRange, Reach, Subnet,
    firewall::{Able, Firewall, Wanted},
    network::{
        name::{self, Make, Tag},
        pool,
    },
};

/// Whether this host sends on what is not for itself.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Ways to the internet.
#[derive(Debug)]
pub(super) struct Egress {
    /// Where their addresses are taken from.
    range: NetworkRange,
    firewall: Firewall,
    /// Read by whoever makes one: the rules of the last that went are not removed then.
    making: RwLock<()>,
}

impl Egress {
    pub(super) fn new(range: NetworkRange) -> Self {
        Self { range, firewall: Firewall::of_pairs(), making: RwLock::default() }
    }

    /// Rules stay while this is held.
    pub(super) async fn making(&self) -> RwLockReadGuard<'_, ()> {
        self.making.read().await
    }

    /// Sees to it that the rules stand for all devices of the install, and the one to be.
    pub(super) async fn close(&self, install: InstallId) -> Result<(), EngineError> {
        match self.obstacle().await {
            Some(words) => Err(EngineError::Trouble(words)),
            None => self.write(install).await,
        }
    }

    async fn write(&self, install: InstallId) -> Result<(), EngineError> {
        let tag = tag(install);
        // A container that began under another config has its addresses still.
        let older = pool::behind(&tag.prefix()).await;
        let mut sources = vec![self.range.whole()];
        sources.extend(older.into_iter().filter(|it| !self.range.whole().contains(*it)));
        let wanted = Wanted { sources: sources.into_iter().collect(), ..Wanted::default() };
        self.firewall.ensure(tag, wanted).await
    }

    /// On the first free part of the range, counted from a place that is the attempt's own: two that
    /// are made at once seldom want the same.
    pub(super) async fn connect(
        &self,
        id: &ContainerId,
        netns: &Arc<Netns>,
    ) -> Result<(), EngineError> {
        let taken = pool::routes(self.range).await;
        for subnet in pool::free(self.range, id, &taken) {
            let (pair, netns) = (pair(id, subnet), Arc::clone(netns));
            match blocking(move || Ok(netns.connect(&pair))).await? {
                Ok(()) => return Ok(()),
                // Somebody was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(EngineError::Trouble(in_words(&error))),
            }
        }
        Err(EngineError::Exhausted(format!(
            "no network is free in {}: this host's routes take all of it (there is room for {}); \
             urls.networks names a larger range",
            self.range,
            self.range.room()
        )))
    }

    /// Whether there was something to disconnect.
    pub(super) async fn disconnect(&self, id: &ContainerId) -> Result<bool, EngineError> {
        let device = device(id);
        blocking(move || netns::remove_device(&device).map_err(trouble)).await
    }

    pub(super) async fn is_connected(&self, id: &ContainerId) -> Result<bool, EngineError> {
        let device = device(id);
        Ok(devices().await?.contains(&device))
    }

    /// Whoever flushed the table did not mean the rules of devices that are there; and those that a
    /// process left that died between its last device and them, are removed.
    pub(super) async fn mend(&self, install: InstallId) -> Result<(), EngineError> {
        if !has_any(install).await? {
            return self.open_if_last(install).await;
        }
        let _making = self.making.read().await;
        match self.firewall.able().await {
            Able::Yes(_) => self.write(install).await,
            Able::No(_) => Ok(()),
        }
    }

    /// Removes the install's rules, unless a device of its is there or about to be.
    pub(super) async fn open_if_last(&self, install: InstallId) -> Result<(), EngineError> {
        let Ok(_alone) = self.making.try_write() else { return Ok(()) };
        if has_any(install).await? {
            return Ok(());
        }
        self.firewall.remove(tag(install)).await
    }

    /// What a person may want to know of egress here, and what stands in its way.
    pub(super) async fn check(&self, report: &mut EngineReport) {
        let (range, room) = (self.range, self.range.room());
        report
            .facts
            .push(format!("networks of attempts with egress from {range}, room for {room}"));
        match self.obstacle().await {
            Some(words) => report.lacks.push(words),
            None => {
                let words = "this host sends their packets on, by rules of iptables";
                report.facts.push(words.into());
            }
        }
        report.warnings.extend(pool::collisions(range).await);
    }

    /// What this machine lacks, and the one fix.
    async fn obstacle(&self) -> Option<String> {
        let no_egress = "a processor with network = \"egress\" can not reach the internet here";
        if let Able::No(why) = self.firewall.able().await {
            return Some(format!(
                "{no_egress} ({why}): run fileyard as root, with iptables installed"
            ));
        }
        let forwarding = tokio::fs::read_to_string(FORWARDING).await;
        match forwarding.as_deref().map(str::trim) {
            Ok("0") | Err(_) => Some(format!(
                "{no_egress}: this host does not forward packets. Run `sysctl -w \
                 net.ipv4.ip_forward=1`, and to keep it so write net.ipv4.ip_forward=1 into \
                 /etc/sysctl.d/fileyard.conf"
            )),
            Ok(_) => None,
        }
    }
}

fn tag(install: InstallId) -> Tag {
    Tag::of(install, Make::Pair)
}

/// On this host. Our listener is not reached by it, and so its name does not tell of that.
fn device(id: &ContainerId) -> String {
    name::device(id, Make::Pair, Reach { internet: true, ..Reach::NOTHING })
}

fn pair(id: &ContainerId, subnet: Subnet) -> Pair {
    Pair {
        device: device(id),
        network: (subnet.address(), subnet.prefix()),
        here: subnet.gateway(),
        there: subnet.container(),
    }
}

async fn devices() -> Result<Vec<String>, EngineError> {
    blocking(|| netns::devices().map_err(trouble)).await
}

async fn has_any(install: InstallId) -> Result<bool, EngineError> {
    let prefix = tag(install).prefix();
    Ok(devices().await?.iter().any(|device| device.starts_with(&prefix)))
}

fn in_words(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::Unsupported => ": this kernel has no pairs of devices (CONFIG_VETH)",
        io::ErrorKind::PermissionDenied => ": fileyard needs root (CAP_NET_ADMIN) for it",
        _ => "",
    };
    format!("could not connect a container with the internet: {error}{hint}")
}
