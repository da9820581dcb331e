//! The program that helpers are, so that nobody can write to it by way of one.
//!
//! A container's first process is a helper's memory, forked. Whoever made such a process run something
//! in it would find, as its `/proc/self/exe`, the very file on the host that every later helper is
//! started from; root in a container is that file's owner (runc's CVE-2019-5736). So helpers are
//! started through a mount of that one file which is read-only and which no directory leads to: the
//! kernel refuses to open it for writing, whoever asks, for as long as it is run.

use std::{fs, io, os::fd::OwnedFd, path::Path, thread};

use nix::mount::{MsFlags, mount};
use rustix::{
    fs::{CWD, Mode, OFlags, open},
    mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
};

use crate::{mounts, userns};

/// Any file that every machine has: what is mounted on it only the thread sees that does it.
const SOMEWHERE: &str = "/dev/null";

/// The program, to be run by this handle alone. It needs the right to mount, and Linux 5.2.
pub(crate) fn sealed(program: &Path) -> io::Result<OwnedFd> {
    let program = program.to_owned();
    let mounting = thread::spawn(move || {
        let itself = if userns::is_root() { taken(&program)? } else { found(&program)? };
        move_mount(itself, "", CWD, SOMEWHERE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        let closed = MsFlags::MS_BIND
            | MsFlags::MS_REMOUNT
            | MsFlags::MS_RDONLY
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV;
        mount(None::<&str>, SOMEWHERE, None::<&str>, closed, None::<&str>)?;
        Ok(open(SOMEWHERE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    });
    mounting.join().unwrap_or_else(|_| Err(io::Error::other("it could not be mounted")))
}

/// Where it is: no name leads to it any more when it was replaced since it was started.
fn taken(program: &Path) -> io::Result<OwnedFd> {
    let itself = clone(program)?;
    mounts::hide()?;
    Ok(itself)
}

/// By its name: what is mounted elsewhere than in a user namespace's own mounts can not be taken there.
fn found(program: &Path) -> io::Result<OwnedFd> {
    mounts::hide()?;
    let started = rustix::fs::stat(program)?;
    // A name that is another's now, or nobody's, which the kernel says behind it.
    let named = fs::read_link(program)?;
    match rustix::fs::stat(&named) {
        Ok(named) if (named.st_dev, named.st_ino) == (started.st_dev, started.st_ino) => {}
        _ => return Err(io::Error::other("it was replaced since it was started: start it again")),
    }
    clone(&named)
}

fn clone(program: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, program, flags)?)
}
