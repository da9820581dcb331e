//! Mounts of a thread's own.

use std::io;

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// From now on this thread sees what was mounted until now, and nobody else what it mounts.
pub(crate) fn hide() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    Ok(mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?)
}
