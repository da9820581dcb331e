//! What stands at one name in a directory of a layer: whether it is this layer's, how it makes room for
//! another, and what its entry says of it.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, fchmod, fchown, mkdirat,
        openat, statat, unlinkat,
    },
    io::Errno,
};
use tar::EntryType;

use super::{
    entries::{Entry, damaged},
    xattr,
};
use crate::{image::ImageError, userns};

/// A new directory, as its entry or its children have it later. In the place of a mark that hid the
/// one below, it hides it too.
pub(super) fn make_directory(parent: &OwnedFd, name: &OsStr) -> Result<(), ImageError> {
    let hides =
        statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| is_whiteout(&stat));
    clear(parent, name)?;
    let mode = Mode::from_raw_mode(0o755);
    mkdirat(parent, name, mode).map_err(io::Error::from)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, name, flags, Mode::empty()).map_err(io::Error::from)?;
    // Whatever this process's umask is.
    fchmod(&made, mode).map_err(io::Error::from)?;
    if hides { xattr::make_opaque(&made) } else { Ok(()) }
}

/// Removes what an earlier entry left there.
pub(super) fn clear(parent: &OwnedFd, name: &OsStr) -> Result<(), ImageError> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(Errno::NAMETOOLONG) => return Err(damaged("its name is too long").into()),
        Err(error) => return Err(io::Error::from(error).into()),
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            Err(damaged("it is there already, as a directory with something in it").into())
        }
        removed => Ok(removed.map_err(io::Error::from)?),
    }
}

/// Owner before mode before attributes: each takes away something of those after it. Who is not root
/// gives nothing away, and sets no attributes of what its mode keeps it from writing.
pub(super) fn dress(what: impl AsFd, entry: &Entry) -> Result<(), ImageError> {
    if !userns::is_root() {
        xattr::apply(&what, entry)?;
        return Ok(fchmod(&what, mode(entry)).map_err(io::Error::from)?);
    }
    let (user, group) = owner(entry);
    let owned = fchown(&what, user, group).and_then(|()| fchmod(&what, mode(entry)));
    owned.map_err(io::Error::from)?;
    xattr::apply(what, entry)
}

/// What is not root's stays its own, whoever the tar says: no other user is there where it is looked at.
pub(super) fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    let it_is_root = userns::is_root();
    let (user, group) = (Uid::from_raw(entry.user), Gid::from_raw(entry.group));
    (Some(user).filter(|_| it_is_root), Some(group).filter(|_| it_is_root))
}

/// Who is not root can always look at what is there, write in directories, and so remove it all.
pub(super) fn mode(entry: &Entry) -> Mode {
    let own = match (userns::is_root(), entry.kind) {
        (true, _) => Mode::empty(),
        (false, EntryType::Directory) => Mode::RWXU,
        (false, _) => Mode::RUSR,
    };
    Mode::from_raw_mode(entry.mode) | own
}

pub(super) fn times(entry: &Entry) -> Timestamps {
    let (tv_sec, nanoseconds) = entry.modified;
    let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Nothing of this layer's is there.
pub(super) fn is_free(parent: &OwnedFd, name: &OsStr) -> bool {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or(true, |stat| is_whiteout(&stat))
}
