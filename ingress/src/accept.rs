//! The front door: accepts connections and has each served by a task of its own, within limits to
//! everything that a stranger could hold on to.
//!
//! It is a loop of our own over hyper's HTTP/1 because the ready-made ones have no timeout before a
//! request's head is there, no bound on connections, and close on a client that is still sending.
//! It never looks into a request: what is asked and answered is the router's business.

mod buffer;
mod connection;
mod link;
mod refusal;
mod service;
mod socket;

use std::{
    io,
    net::{self, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Notify,
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::buffer::Buffers;

/// A request's head: its line and all of its headers.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// How many may wait to be accepted; the kernel has a bound of its own, often the same.
const QUEUE: u16 = 4096;

/// How much and how long one listener's connections may hold on to something.
#[derive(Debug, Clone)]
pub struct AcceptLimits {
    /// At once. When so many are there, those without a request under way make room, the longest
    /// idle first; where none is idle, new ones wait until one ends.
    pub connections: usize,
    /// From a connection's beginning to the end of its first request's head, and from each further
    /// head's first byte to its last.
    pub head: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// In which a new connection need not make room: its client does not expect it to be closed, as
    /// that of one kept alive does.
    pub grace: Duration,
    /// In which a reader takes 16 KiB, or all that there is for it. One that works on what it reads,
    /// as a processor does, may need far longer than a stranger should have.
    pub stall: Duration,
    /// For which a connection is read on after its last answer, when the client was still sending:
    /// closed under its hands, it would take the answer for a broken connection.
    pub linger: Duration,
    /// As much is read on at most.
    pub linger_bytes: u64,
    /// On one connection.
    pub requests: u32,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            linger: Duration::from_secs(5),
            linger_bytes: 64 * 1024 * 1024,
            requests: 1000,
        }
    }
}

/// What all connections of a listener share.
struct House {
    router: Router,
    limits: AcceptLimits,
    stop: CancellationToken,
    /// Somebody waits for room.
    full: AtomicBool,
    /// Told once for each connection that is to make room, and to all when the server stops. Those
    /// that could go wait here, and are woken in the order in which they came.
    leave: Notify,
    /// Of those with a request under way.
    buffers: Buffers,
}

/// A socket that many may knock at in one moment: where the kernel's queue is full it forgets what
/// it has acknowledged, and a client waits for seconds.
///
/// # Errors
/// When the address is taken, or is not this machine's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What an earlier server's connections leave behind is no reason to wait.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE.into())
}

/// The same of a socket that somebody else made: its queue becomes as long as ours.
///
/// # Errors
/// When it does not listen.
pub(crate) fn take(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    SockRef::from(&listener).listen(QUEUE.into())?;
    TcpListener::from_std(listener)
}

/// Serves `router` on `listener` until `stop`, and returns when the last connection has ended.
/// From `stop` on nothing is accepted, idle connections are closed, and those with a request under
/// way after its answer. Dropped, it cuts all of them off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: AcceptLimits,
    stop: CancellationToken,
) {
    let (full, leave, buffers) = (AtomicBool::new(false), Notify::new(), Buffers::default());
    let house = Arc::new(House { router, limits, stop, full, leave, buffers });
    let mut connections = JoinSet::new();
    let mut short = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = house.stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                short = false;
                house.full.store(false, Ordering::Relaxed);
                // Held until there is room; those behind it wait in the kernel's queue.
                if make_room(&house, &mut connections).await {
                    connections.spawn(connection::serve(Arc::clone(&house), stream));
                }
            }
            // That one client is gone already.
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                if !short {
                    tracing::warn!(%error, connections = connections.len(), "nothing can be accepted");
                }
                short = true;
                house.full.store(true, Ordering::Relaxed);
                house.leave.notify_one();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    house.leave.notify_waiters();
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

impl House {
    /// Whether those who are told to leave have a reason to. Who is told may have begun to wait long
    /// after there was one.
    fn wants_room(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.stop.is_cancelled()
    }
}

/// Whether there is room for one more; false when the server stops first.
async fn make_room(house: &House, connections: &mut JoinSet<()>) -> bool {
    while connections.len() >= house.limits.connections {
        house.full.store(true, Ordering::Relaxed);
        house.leave.notify_one();
        tokio::select! {
            biased;
            () = house.stop.cancelled() => return false,
            Some(ended) = connections.join_next() => report(ended),
        }
    }
    house.full.store(false, Ordering::Relaxed);
    true
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionAborted | E::ConnectionReset | E::ConnectionRefused)
}
