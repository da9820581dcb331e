//! Where things are mounted in a container: looked up in its image before anything is, and nowhere else
//! then.
//!
//! The runtime follows an image's links to where it mounts a volume, an input or `/out`, and stays within the
//! root. But the kernel's file systems are within it by then, and the container's first process closes
//! what it finds open in `/proc` and reads there that its rights are gone: a volume on `/proc/self/fd`
//! would keep that from it (runc's CVE-2019-16884 and CVE-2019-19921). So these three are nobody's but the
//! kernel's: an image has nothing in them, not even in their place, and nothing is mounted there for it.

use std::{
    fmt::Display,
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use pathrs::Root;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{Request, rootfs::FILES_IN_ETC};

/// The kernel's own directories.
const OF_THE_KERNEL: [&str; 3] = ["proc", "sys", "dev"];

/// Makes the kernel's directories in the uppermost layer, and marks them in the one below it as removed, so
/// that whatever an image has there is not seen.
pub(super) fn hide_what_is_the_kernel_s(upper: &Path, below: &Path) -> io::Result<()> {
    for name in OF_THE_KERNEL {
        fs::create_dir(upper.join(name))?;
        // Of all devices the one that everybody may make: overlayfs looks into no layer below it.
        mknodat(CWD, below.join(name), FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?;
    }
    Ok(())
}

/// Makes what will be mounted on where the image does not have it, and refuses what is not the image's to
/// cover.
pub(super) fn make(root: &Path, request: &Request) -> io::Result<()> {
    let root = Root::open(root).map_err(|error| refusal(root, &error))?;
    for tmpfs in &request.tmpfs {
        directory(&root, &tmpfs.target)?;
    }
    for bind in &request.binds {
        if bind.source.is_dir() {
            directory(&root, &bind.target)?;
        } else {
            file(&root, &bind.target)?;
        }
    }
    FILES_IN_ETC.iter().try_for_each(|name| file(&root, &Path::new("/etc").join(name)))
}

fn directory(root: &Root, target: &Path) -> io::Result<()> {
    let mode = Permissions::from_mode(0o755);
    let made = root.mkdir_all(target, &mode).map_err(|error| refusal(target, &error))?;
    let (place, top) = (path(&made)?, path(root)?);
    let place = place.strip_prefix(&top).map_err(|_| refusal(target, &"it is outside"))?;
    // In /dev the runtime makes devices, also if that is a directory of the host's; below it nobody minds.
    let covered = place == Path::new("") || place == Path::new("dev");
    if covered || ["proc", "sys"].iter().any(|kernel| place.starts_with(kernel)) {
        let words = format!("/{} is not for an image to cover", place.display());
        return Err(refusal(target, &words));
    }
    Ok(())
}

/// A link at its place is put away: the runtime would follow it, or trip over it. Many images have one at
/// `/etc/resolv.conf`.
fn file(root: &Root, target: &Path) -> io::Result<()> {
    directory(root, target.parent().unwrap_or(Path::new("/")))?;
    if root.readlink(target).is_ok() {
        root.remove_file(target).map_err(|error| refusal(target, &error))?;
    }
    Ok(())
}

/// Where a handle leads, in the helper's own `/proc`.
fn path(handle: &impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()))
}

fn refusal(target: &Path, why: &dyn Display) -> io::Error {
    let words = format!("the image's {} can not be mounted on: {why}", target.display());
    io::Error::new(io::ErrorKind::InvalidInput, words)
}
