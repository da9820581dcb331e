//! Errands: what only a process with one thread may do, because it enters a user namespace for it.
//!
//! A server that is not root may make no namespace and enter none, and has too many threads to go where
//! it may. So it starts its own program again as `fileyard errand WHAT`, with a socket as standard
//! input. An errand enters a user namespace, opens one thing there, sends it back, or the words of why
//! it could not, and ends.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use serde::{Deserialize, Serialize};

use crate::{handles, netns::Netns, sealed, userns};

/// How long an errand may take: it does next to nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Errand {
    /// The program itself, so that nobody can write to it.
    Seal,
    /// A new network namespace, and the user namespace whose it is.
    Network,
    /// A socket that listens at this address in a network namespace, which is sent along.
    Listen(SocketAddr),
}

/// Sends processes on errands, where this one is not root and could do it itself.
#[derive(Debug, Clone)]
pub struct Errands {
    program: PathBuf,
}

impl Errands {
    /// By this program, which must be one that runs [`run`] when it is told `errand WHAT`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// A new network namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn network(&self) -> io::Result<Netns> {
        if userns::is_root() {
            return Netns::create();
        }
        Netns::of_handles(self.send(Errand::Network, &[])?)
    }

    /// A socket at an address of a network namespace's.
    ///
    /// # Errors
    /// As [`Netns::listen`].
    pub fn listen(&self, netns: &Netns, at: SocketAddr) -> io::Result<TcpListener> {
        if userns::is_root() {
            return netns.listen(at);
        }
        Ok(one(self.send(Errand::Listen(at), &netns.handles())?)?.into())
    }

    /// The program, to be run by this handle alone: see [`sealed`].
    pub(crate) fn sealed(&self) -> io::Result<OwnedFd> {
        if userns::is_root() {
            return sealed::sealed(&self.program);
        }
        one(self.send(Errand::Seal, &[])?)
    }

    fn send(&self, errand: Errand, with: &[BorrowedFd<'_>]) -> io::Result<Vec<OwnedFd>> {
        let (here, there) = handles::pair()?;
        set_socket_timeout(&here, Timeout::Recv, Some(PATIENCE))?;
        handles::send(&here, with, "")?;
        let mut child = Command::new(&self.program)
            .arg("errand")
            .arg(serde_json::to_string(&errand)?)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(there))
            .stdout(Stdio::null())
            .spawn()?;
        let answer = handles::receive(&here);
        if answer.is_err() {
            child.kill()?;
        }
        child.wait()?;
        match answer {
            Ok((handles, words)) if words.is_empty() => Ok(handles),
            Ok((_, words)) => Err(said(&words)),
            Err(error) => Err(io::Error::new(error.kind(), "the errand did not come back")),
        }
    }
}

/// Does what `fileyard errand WHAT` says, on this one thread.
///
/// # Errors
/// When it is none, or nobody is there to answer.
pub fn run(what: &str) -> io::Result<()> {
    let errand: Errand = serde_json::from_str(what)?;
    let asked = io::stdin();
    let (with, _) = handles::receive(&asked)?;
    match done(errand, with) {
        Ok(opened) => {
            let opened: Vec<_> = opened.iter().map(AsFd::as_fd).collect();
            handles::send(&asked, &opened, "")
        }
        Err(error) => handles::send(&asked, &[], &words(&error)),
    }
}

fn done(errand: Errand, with: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    match errand {
        Errand::Seal => {
            userns::enter()?;
            Ok(vec![sealed::sealed("/proc/self/exe".as_ref())?])
        }
        Errand::Network => {
            userns::enter()?;
            Netns::create().map(Netns::into_handles)
        }
        Errand::Listen(at) => {
            let netns = Netns::of_handles(with)?;
            netns.enter_its_user()?;
            Ok(vec![netns.listen(at)?.into()])
        }
    }
}

/// An error's kind goes along, by what the system calls it.
fn words(error: &io::Error) -> String {
    format!("{} {error}", error.raw_os_error().unwrap_or_default())
}

fn said(words: &str) -> io::Error {
    let (code, words) = words.split_once(' ').unwrap_or(("0", words));
    match code.parse() {
        Ok(code) if code != 0 => io::Error::from_raw_os_error(code),
        _ => io::Error::other(words.to_owned()),
    }
}

fn one(mut opened: Vec<OwnedFd>) -> io::Result<OwnedFd> {
    opened.pop().ok_or_else(|| ErrorKind::UnexpectedEof.into())
}
