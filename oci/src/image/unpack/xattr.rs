//! Extended attributes of a layer's files.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{XattrFlags, fsetxattr},
    io::Errno,
};

use super::entries::Entry;
use crate::{
    image::{ImageError, error::Context},
    userns,
};

/// A directory that hides those below it, to overlayfs; and to one that is not root's.
const OPAQUE: &str = "trusted.overlay.opaque";
const OPAQUE_TO_USERS: &str = "user.overlay.opaque";

/// Sets what is to be set. Last of all: a new owner takes capabilities away.
pub(super) fn apply(to: impl AsFd, entry: &Entry) -> Result<(), ImageError> {
    for (name, value) in &entry.xattrs {
        if !is_wanted(name)? {
            continue;
        }
        match fsetxattr(&to, name.as_str(), value, XattrFlags::empty()) {
            // As everybody does where the file system does not have them.
            Err(Errno::NOTSUP) => tracing::debug!(name, entry = entry.named(), "left out"),
            // Capabilities are root's to give, and mean nothing in a container that gains none.
            Err(Errno::PERM) if !userns::is_root() => {
                tracing::debug!(name, entry = entry.named(), "left out");
            }
            // A file's attributes have little room of their own, and what is full then is that.
            Err(Errno::NOSPC | Errno::RANGE | Errno::TOOBIG | Errno::INVAL)
                if is_odd(name, value) =>
            {
                let words = "is none that this file system can have";
                return Err(ImageError::Image(format!("{} {words}", named(name, value))));
            }
            set => set.map_err(io::Error::from).context(|| named(name, value))?,
        }
    }
    Ok(())
}

/// Marks a directory: nothing of the layers below shows through.
pub(super) fn make_opaque(directory: impl AsFd) -> Result<(), ImageError> {
    let name = if userns::is_root() { OPAQUE } else { OPAQUE_TO_USERS };
    let set = fsetxattr(directory, name, b"y", XattrFlags::empty());
    set.map_err(io::Error::from).context(|| "hiding what is below")
}

/// Labels are the machine's that the image was made on. What overlayfs goes by is ours alone to say.
fn is_wanted(name: &str) -> Result<bool, ImageError> {
    Ok(match name.split_once('.') {
        Some(("user" | "trusted", what)) if what.starts_with("overlay.") => {
            let words = format!("its attribute {name:?} is not an image's to set");
            return Err(ImageError::Image(words));
        }
        Some(("user" | "trusted", _)) => true,
        Some(("security", what)) => what == "capability",
        Some(("system", what)) => what.starts_with("posix_acl_"),
        _ => false,
    })
}

fn is_odd(name: &str, value: &[u8]) -> bool {
    name.len() > 255 || name.contains('\0') || value.len() > 2000 || !name.starts_with("user.")
}

fn named(name: &str, value: &[u8]) -> String {
    let name: String = name.chars().take(255).collect();
    format!("its attribute {name:?} of {} bytes", value.len())
}
