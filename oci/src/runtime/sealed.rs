//! The program that helpers are, so that nobody can write to it by way of one.
//!
//! A container's first process is a helper's memory, forked. Whoever made such a process run something
//! in it would find, as its `/proc/self/exe`, the very file on the host that every later helper is
//! started from; root in a container is that file's owner (runc's CVE-2019-5736). So helpers are
//! started through a mount of that one file which is read-only and which no directory leads to: the
//! kernel refuses to open it for writing, whoever asks, for as long as it is run.

use std::{io, os::fd::OwnedFd, path::Path, thread};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use rustix::{
    fs::{CWD, Mode, OFlags, open},
    mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
};

/// Any file that every machine has: what is mounted on it only the thread sees that does it.
const SOMEWHERE: &str = "/dev/null";

/// The program, to be run by this handle alone. It needs the right to mount, and Linux 5.2.
pub(super) fn sealed(program: &Path) -> io::Result<OwnedFd> {
    let program = program.to_owned();
    let mounting = thread::spawn(move || {
        // Here, where it is: no name leads to it any more when it was replaced since it was started.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let itself = open_tree(CWD, &program, flags)?;
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
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
