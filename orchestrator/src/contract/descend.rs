//! Going down into a directory that a container wrote: name by name, following no link.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, chmodat, fchmod, fstat, open, openat, statat,
    },
    io::Errno,
    path::Arg,
};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory of our own, by its path: the one step that goes by more than one name.
pub(super) fn ours(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, DIRECTORY, Mode::empty())?)
}

/// The directory `name` in `parent`, made readable if its owner left it unreadable.
pub(super) fn directory(parent: impl AsFd, name: impl Arg + Copy) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    let dir = match openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            permit(parent, name, FileType::Directory)?;
            openat(parent, name, DIRECTORY, Mode::empty())?
        }
        other => other?,
    };
    let mode = Mode::from_raw_mode(fstat(&dir)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        fchmod(&dir, mode | Mode::RWXU)?;
    }
    Ok(dir)
}

/// The directory at `path` below `root`, its names separated by `/`; empty is `root` itself.
pub(super) fn below(root: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    let mut dir = root.as_fd().try_clone_to_owned()?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        dir = directory(&dir, name)?;
    }
    Ok(dir)
}

/// The regular file `name` in `parent`, opened to read, with its facts. Anything else at that name
/// is an error; a FIFO does not block.
pub(super) fn regular(parent: impl AsFd, name: &str) -> io::Result<(std::fs::File, Stat)> {
    let parent = parent.as_fd();
    let file = match openat(parent, name, FILE, Mode::empty()) {
        Err(Errno::ACCESS) => {
            permit(parent, name, FileType::RegularFile)?;
            openat(parent, name, FILE, Mode::empty())?
        }
        other => other?,
    };
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        return Err(io::Error::other(format!("{name} is no longer the file it was")));
    }
    Ok((file.into(), stat))
}

/// At most `max` of the names in `dir`, sorted; `None` when there are more.
pub(super) fn names(dir: &OwnedFd, max: usize) -> io::Result<Option<Vec<CString>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if names.len() == max {
            return Ok(None);
        }
        names.push(entry.file_name().to_owned());
    }
    names.sort();
    Ok(Some(names))
}

/// A server that is not root owns what the container wrote, and the container may have taken the
/// owner's rights away. By name, but only where the name is what it should be: nobody else is there
/// to swap it.
fn permit(parent: impl AsFd, name: impl Arg + Copy, kind: FileType) -> Result<(), Errno> {
    let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return Err(Errno::ACCESS);
    }
    chmodat(parent, name, Mode::from_raw_mode(stat.st_mode) | Mode::RWXU, AtFlags::empty())
}
