//! A container's root: its image's layers over each other, in a mount namespace of the helper's own.
//!
//! Nothing is written on the host's disk: what the runtime makes there to mount on (`/in`, `/out`)
//! is in memory, and all of it goes with the helper's namespace, however the helper ends.

use std::{
    env,
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use nix::mount::{MsFlags, mount};

use super::{Request, targets};
use crate::{mounts, userns};

/// What is made to mount on is little; a program can not write there.
const SCRATCH: &str = "size=4m,nr_inodes=4k,mode=700";
/// What the kernel takes of layers in one mount.
const MOST_LAYERS: usize = 120;

/// The files that a container has in `/etc` whatever its image says.
pub(super) const FILES_IN_ETC: [&str; 3] = ["hostname", "hosts", "resolv.conf"];

/// Where things are while a container is made.
pub(super) struct Root {
    /// Its root.
    pub(super) merged: PathBuf,
    /// Where [`FILES_IN_ETC`] are.
    pub(super) etc: PathBuf,
}

/// Mounts the root at `at`, and from now on hides the helper's mounts from the host.
pub(super) fn mounted(at: &Path, request: &Request) -> io::Result<Root> {
    if request.layers.len() > MOST_LAYERS {
        let words =
            format!("the image has {} layers; {MOST_LAYERS} can be used", request.layers.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    mounts::hide()?;
    fs::create_dir_all(at)?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), at, Some("tmpfs"), quiet, Some(SCRATCH))?;
    let root = Root { merged: at.join("merged"), etc: at.join("etc") };
    for dir in ["upper", "work", "hides", "merged", "etc"] {
        fs::create_dir(at.join(dir))?;
    }
    // The root directory that a program sees is the uppermost one's.
    fs::set_permissions(at.join("upper"), Permissions::from_mode(0o755))?;
    targets::hide_what_is_the_kernel_s(&at.join("upper"), &at.join("hides"))?;
    overlay(at, &request.layers)?;
    targets::make(&root.merged, request)?;
    working_dir(&root.merged, &request.working_dir)?;
    etc(&root.etc, request)?;
    Ok(root)
}

/// Names are short, and looked up from the current directory: the kernel takes a page of options.
fn overlay(at: &Path, layers: &[PathBuf]) -> io::Result<()> {
    let mut names = Vec::new();
    for (n, layer) in layers.iter().enumerate() {
        if !layer.is_dir() {
            let words =
                format!("the layer {} is not there; fetch the image again", layer.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        }
        symlink(layer, at.join(n.to_string()))?;
        names.push(n.to_string());
    }
    names.push("hides".into());
    names.reverse();
    // What one layer hides of another, users may say only by attributes that are theirs to set.
    let whose = if userns::is_root() { "" } else { ",userxattr" };
    let options = format!("lowerdir={},upperdir=upper,workdir=work{whose}", names.join(":"));
    let before = env::current_dir()?;
    env::set_current_dir(at)?;
    let merged =
        mount(Some("overlay"), "merged", Some("overlay"), MsFlags::empty(), Some(&options[..]));
    env::set_current_dir(before)?;
    merged.map_err(|error| match error {
        nix::Error::ENODEV => io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel has no overlayfs: load the module `overlay`",
        ),
        nix::Error::EINVAL | nix::Error::EPERM if !userns::is_root() => io::Error::new(
            io::ErrorKind::Unsupported,
            format!("overlayfs without root ({error}): it needs Linux 5.12"),
        ),
        error => io::Error::from(error),
    })
}

/// As Docker does, it is made where the image does not have it; no link of the image's leads out.
fn working_dir(root: &Path, dir: &Path) -> io::Result<()> {
    let mode = Permissions::from_mode(0o755);
    let made = pathrs::Root::open(root).and_then(|root| root.mkdir_all(dir, &mode));
    made.map(drop).map_err(|error| {
        let words = format!("the working directory {}: {error}", dir.display());
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })
}

fn etc(dir: &Path, request: &Request) -> io::Result<()> {
    fs::write(dir.join("hostname"), format!("{HOSTNAME}\n"))?;
    let hosts = format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost ip6-localhost\n");
    fs::write(dir.join("hosts"), hosts)?;
    let servers = request.resolvers.iter().map(|server| format!("nameserver {server}\n"));
    fs::write(dir.join("resolv.conf"), servers.collect::<String>())?;
    for file in FILES_IN_ETC {
        fs::set_permissions(dir.join(file), Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// What every container believes its machine is called.
pub(super) const HOSTNAME: &str = "fileyard";
