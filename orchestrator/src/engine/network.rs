//! What an attempt's container may reach: nothing, our own listener, the internet, or both.
//!
//! An attempt that may reach something has a network of its own, which nobody else is on. It is
//! ensured before the container and removed after it. What a container is handed there is a
//! contract's business, and so is who serves the socket that an engine makes for it.

pub(super) mod name;
pub(super) mod pool;
mod range;

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use async_trait::async_trait;
use fileyard_storage::id::InstallId;

pub use self::range::{BadRange, NetworkRange, Subnet};
use super::{ContainerId, EngineError};

/// Whom a container with egress asks for names: on the internet, and not the host's.
pub(super) const RESOLVERS: [&str; 2] = ["1.1.1.1", "9.9.9.9"];

/// What an attempt's container may reach. The default is nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// The port of our own listener, at the gateway's address.
    pub listener: Option<u16>,
    /// The internet, and nothing of the host's or its neighbours'.
    pub internet: bool,
}

/// Where a container on an attempt's network finds us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// As the container writes it: to everybody else it may mean nothing, or another.
    pub address: IpAddr,
}

/// An engine that gives an attempt a network of its own.
///
/// As with [`Engine`](super::Engine), every method may be called again after its reply was lost.
#[async_trait]
pub trait Networks: Send + Sync {
    /// Sees to it that the attempt's network is there, with all that keeps its container from
    /// reaching more than `reach`. One that is there already is answered for: an adopter asks so.
    async fn ensure(&self, id: &ContainerId, reach: Reach) -> Result<Gateway, EngineError>;

    /// A socket that the container reaches at this address, the gateway's, once the network is
    /// ensured. It is this process's own, and lives on however the network ends.
    ///
    /// # Errors
    /// As the system says it: the port is taken, or the address is not to be had here.
    async fn listen(&self, id: &ContainerId, at: SocketAddr) -> io::Result<TcpListener> {
        let _ = id;
        // The gateway is an address of this host's.
        TcpListener::bind(at)
    }

    /// Removes it, once its container is removed. One that is gone is left alone.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Whose networks there are, of this install.
    async fn list(&self, install: InstallId) -> Result<Vec<ContainerId>, EngineError>;
}

impl Reach {
    /// Nothing: no network is needed.
    pub const NOTHING: Self = Self { listener: None, internet: false };

    /// Whether no network is needed.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}
