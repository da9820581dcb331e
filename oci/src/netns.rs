//! Network namespaces that nothing but a descriptor holds.
//!
//! They have no name and are mounted nowhere: one is gone with the last process in it, socket of it
//! and descriptor on it, also when this process is killed. What is to happen in one happens on a
//! thread that is made for it and ends with it, so no thread of a runtime is ever somewhere else.

mod netlink;
mod pair;

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};

use self::netlink::Netlink;
pub use self::pair::{Pair, devices, remove_device};
use crate::userns;

/// A network namespace, which is there for as long as this is.
#[derive(Debug)]
pub struct Netns {
    /// The user namespace whose it is, where that is not everybody's.
    user: Option<OwnedFd>,
    net: OwnedFd,
}

impl Netns {
    /// A new one, where nothing can be reached but itself.
    ///
    /// # Errors
    /// When the kernel refuses: it needs root.
    pub fn create() -> io::Result<Self> {
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            raise_loopback()?;
            Self::at("/proc/thread-self/ns")
        })
    }

    /// The one that a process is in. Whoever asks knows that the pid is still that process's.
    ///
    /// # Errors
    /// When it is gone, or is not to be looked at.
    pub fn of_process(pid: i32) -> io::Result<Self> {
        Self::at(&format!("/proc/{pid}/ns"))
    }

    /// A socket at an address of its. Whoever holds it is reached from there, wherever they are.
    ///
    /// # Errors
    /// When the address is taken there, or not one of its.
    pub fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        self.within(|| TcpListener::bind(at))
    }

    /// Does something in it. Sockets that are made there stay there.
    ///
    /// # Errors
    /// When it can not be entered, or what was done went wrong.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            setns(self, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Its handles, to be sent to another process.
    pub(crate) fn handles(&self) -> Vec<BorrowedFd<'_>> {
        self.user.iter().chain([&self.net]).map(AsFd::as_fd).collect()
    }

    pub(crate) fn into_handles(self) -> Vec<OwnedFd> {
        self.user.into_iter().chain([self.net]).collect()
    }

    /// Of handles that another process sent.
    pub(crate) fn of_handles(mut handles: Vec<OwnedFd>) -> io::Result<Self> {
        let net = handles.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self { user: handles.pop(), net })
    }

    /// Enters the user namespace whose it is, as far as that is another: for processes of one thread.
    pub(crate) fn enter_its_user(&self) -> io::Result<()> {
        self.user.as_ref().map_or(Ok(()), userns::join)
    }

    /// Of a directory of handles; root needs none on a user namespace to enter what is in it.
    fn at(dir: &str) -> io::Result<Self> {
        let open = |name: &str| File::open(format!("{dir}/{name}")).map(OwnedFd::from);
        let user = if userns::is_root() { None } else { Some(open("user")?) };
        Ok(Self { user, net: open("net")? })
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.net.as_fd()
    }
}

/// Makes `lo` usable in the namespace of this thread: in a new one it is not.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_loopback() -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let loopback = netlink.index("lo")?;
    netlink.raise(loopback)
}

/// A thread's namespace goes with the thread.
fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
