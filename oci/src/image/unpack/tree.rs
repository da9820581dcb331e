//! The directory that a layer becomes.
//!
//! Every path is looked up from the root's descriptor by a kernel that is told not to leave it
//! (`openat2`), so a link that an earlier entry planted leads to somewhere inside or nowhere. The last
//! part of a path is never followed.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    mem,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timestamps, chmodat, chownat, fchmod,
        fchown, fstatvfs, futimens, linkat, makedev, mknodat, openat, openat2, readlinkat, statat,
        symlinkat, utimensat,
    },
    io::Errno,
    process::getegid,
};
use tar::EntryType;

use super::{
    entries::{Entry, damaged, sparse},
    node::{clear, dress, is_free, make_directory, mode, owner, times},
    path::Inside,
    xattr,
};
use crate::{
    image::{
        ImageError,
        limits::{MOST_DEPTH, MOST_DIRECTORIES},
    },
    userns,
};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other marks of aufs, which mean nothing to anybody else.
const OTHER_MARK: &[u8] = b".wh..wh.";
/// What an entry without content takes, about.
const LEAST: u64 = 512;
/// How much is written between two looks at the disk.
const LOOK: u64 = 64 << 20;

pub(super) struct Tree {
    root: OwnedFd,
    /// How deep the root itself is, as the kernel tells it.
    root_depth: usize,
    /// Directories get their times last, when nothing is made in them any more.
    times: Vec<(PathBuf, Timestamps)>,
    times_bytes: usize,
    opaque: bool,
    keep_free: u64,
    until_look: u64,
    buffer: Vec<u8>,
}

impl Tree {
    pub(super) fn new(root: &Path, keep_free: u64) -> Result<Self, ImageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, root, flags, Mode::empty()).map_err(io::Error::from)?;
        if !userns::is_root() {
            // Not one that the store's own directory hands down: a container knows this one alone.
            fchown(&root, None, Some(getegid())).map_err(io::Error::from)?;
        }
        // Until the tar says otherwise; whatever this process's umask is.
        fchmod(&root, Mode::from_raw_mode(0o755)).map_err(io::Error::from)?;
        let root_depth = depth(&root)?;
        let mut tree = Self {
            root,
            root_depth,
            times: Vec::new(),
            times_bytes: 0,
            opaque: false,
            keep_free,
            until_look: 0,
            buffer: vec![0; 128 << 10],
        };
        tree.written(0)?;
        Ok(tree)
    }

    /// Adds an entry; says how many bytes of files it has.
    pub(super) fn add(
        &mut self,
        path: &Inside,
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<u64, ImageError> {
        let Some((parent, name)) = path.split() else { return self.add_root(entry) };
        self.written(LEAST)?;
        if let Some(mark) = name.as_bytes().strip_prefix(WHITEOUT) {
            self.mark(parent, name, OsStr::from_bytes(mark))?;
            return Ok(0);
        }
        let parts = parent.components().map(|part| part.as_os_str().as_bytes());
        if parts.clone().any(|part| part.starts_with(OTHER_MARK)) {
            return Ok(0);
        }
        if parts.clone().any(|part| part.starts_with(WHITEOUT)) {
            return Err(damaged("it is in something that is not there").into());
        }
        match entry.kind {
            EntryType::Directory => self.add_directory(path, entry)?,
            EntryType::Regular | EntryType::Continuous => {
                return self.add_file(parent, name, entry, content);
            }
            EntryType::Symlink => self.add_symlink(parent, name, entry)?,
            EntryType::Link => self.add_link(path, entry)?,
            EntryType::Fifo => self.add_fifo(parent, name, entry)?,
            EntryType::Char | EntryType::Block => {
                // A container has a /dev of its own.
                if !path.is_below("dev") {
                    return Err(
                        damaged("it is a device, which an image may not bring along").into()
                    );
                }
            }
            EntryType::GNUSparse => return Err(sparse().into()),
            other => {
                let words =
                    format!("it is of a kind that can not be ({:?})", char::from(other.as_byte()));
                return Err(damaged(&words).into());
            }
        }
        Ok(0)
    }

    /// Says whether all layers below are hidden.
    pub(super) fn finish(mut self) -> Result<bool, ImageError> {
        for (path, times) in mem::take(&mut self.times) {
            // What is no directory any more was replaced by a later entry.
            match self.directory(&path) {
                Ok(directory) => futimens(&directory, &times).map_err(io::Error::from)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(self.opaque)
    }

    fn add_root(&mut self, entry: &Entry) -> Result<u64, ImageError> {
        if entry.kind != EntryType::Directory {
            return Err(damaged("it is in the place of the root directory").into());
        }
        dress(&self.root, entry)?;
        self.remember(PathBuf::new(), entry)?;
        Ok(0)
    }

    fn add_directory(&mut self, path: &Inside, entry: &Entry) -> Result<(), ImageError> {
        let Some((parent, name)) = path.split() else { return Ok(()) };
        let parent = self.parent(parent)?;
        let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if !stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()) {
            make_directory(&parent, name)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, name, flags, Mode::empty()).map_err(io::Error::from)?;
        dress(&made, entry)?;
        self.remember(path.as_path().to_owned(), entry)
    }

    fn add_file(
        &mut self,
        parent: &Path,
        name: &OsStr,
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<u64, ImageError> {
        let parent = self.parent(parent)?;
        clear(&parent, name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(made.map_err(io::Error::from)?);
        loop {
            let read = content.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&self.buffer[..read])?;
            self.written(read as u64)?;
        }
        dress(&file, entry)?;
        futimens(&file, &times(entry)).map_err(io::Error::from)?;
        Ok(entry.size)
    }

    fn add_symlink(&self, parent: &Path, name: &OsStr, entry: &Entry) -> Result<(), ImageError> {
        let parent = self.parent(parent)?;
        clear(&parent, name)?;
        symlinkat(OsStr::from_bytes(&entry.link), &parent, name).map_err(|why| match why {
            Errno::NOENT | Errno::INVAL | Errno::NAMETOOLONG => damaged("it is a link to no path"),
            why => why.into(),
        })?;
        let (user, group) = owner(entry);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(&parent, name, user, group, flags).map_err(io::Error::from)?;
        Ok(utimensat(&parent, name, &times(entry), flags).map_err(io::Error::from)?)
    }

    /// A second name of what this layer has.
    fn add_link(&self, path: &Inside, entry: &Entry) -> Result<(), ImageError> {
        let target = Inside::parse(&entry.link)?;
        let (Some((parent, name)), Some((there, of))) = (path.split(), target.split()) else {
            return Err(damaged("it is a second name of the root").into());
        };
        let said = || String::from_utf8_lossy(&entry.link).into_owned();
        let missing = || {
            damaged(&format!("it is a second name of {:?}, which is no file in this layer", said()))
        };
        let there = self.directory(there).map_err(|why| match why {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => missing(),
            why => why.into(),
        })?;
        let stat = statat(&there, of, AtFlags::SYMLINK_NOFOLLOW);
        let kind = stat.as_ref().map(|stat| FileType::from_raw_mode(stat.st_mode));
        if !matches!(kind, Ok(FileType::RegularFile | FileType::Symlink | FileType::Fifo)) {
            return Err(missing().into());
        }
        let parent = self.parent(parent)?;
        // Another name for the same place would be cleared away before it is linked to.
        let same = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if let (Ok(same), Ok(stat)) = (same, stat)
            && (same.st_dev, same.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        clear(&parent, name)?;
        Ok(linkat(&there, of, &parent, name, AtFlags::empty()).map_err(io::Error::from)?)
    }

    fn add_fifo(&self, parent: &Path, name: &OsStr, entry: &Entry) -> Result<(), ImageError> {
        let parent = self.parent(parent)?;
        clear(&parent, name)?;
        let made = mknodat(&parent, name, FileType::Fifo, Mode::empty(), 0);
        let (user, group) = owner(entry);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        // It is no link, so following it or not is the same.
        let dressed = made
            .and_then(|()| chownat(&parent, name, user, group, flags))
            .and_then(|()| chmodat(&parent, name, mode(entry), AtFlags::empty()))
            .and_then(|()| utimensat(&parent, name, &times(entry), flags));
        Ok(dressed.map_err(io::Error::from)?)
    }

    /// Hides something of the layers below.
    fn mark(&mut self, parent: &Path, name: &OsStr, hidden: &OsStr) -> Result<(), ImageError> {
        if name.as_bytes() == OPAQUE {
            self.opaque |= parent.as_os_str().is_empty();
            return xattr::make_opaque(self.parent(parent)?);
        }
        if name.as_bytes().starts_with(OTHER_MARK) {
            return Ok(());
        }
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(damaged("it hides nothing that could be").into());
        }
        let parent = self.parent(parent)?;
        match statat(&parent, hidden, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                let kind = FileType::CharacterDevice;
                let made = mknodat(&parent, hidden, kind, Mode::empty(), makedev(0, 0));
                Ok(made.map_err(io::Error::from)?)
            }
            // This layer's own stays, and is all there is.
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = openat(&parent, hidden, flags, Mode::empty());
                xattr::make_opaque(opened.map_err(io::Error::from)?)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The directory at a path. Most paths have no link in them, and then none is followed.
    fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.open(path, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {
                let opened =
                    self.open(path, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?;
                let depth = depth(&opened).map_err(|_| Errno::NAMETOOLONG)?;
                let fits = depth <= self.root_depth + MOST_DEPTH;
                if fits { Ok(opened) } else { Err(Errno::NAMETOOLONG) }
            }
            opened => opened,
        }
    }

    fn open(&self, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        loop {
            match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                // Something was renamed somewhere on the machine while the kernel went up.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }

    /// The directory at a path, made where it is not there, as it is for who forgot it.
    fn parent(&self, path: &Path) -> Result<OwnedFd, ImageError> {
        match self.directory(path) {
            Ok(directory) => return Ok(directory),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(lookup(path, error).into()),
        }
        let mut at = PathBuf::new();
        let mut directory = self.directory(&at).map_err(io::Error::from)?;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            at.push(name);
            directory = match self.directory(&at) {
                Ok(directory) => directory,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    if !is_free(&directory, name) {
                        return Err(lookup(&at, Errno::NOTDIR).into());
                    }
                    make_directory(&directory, name)?;
                    self.directory(&at).map_err(|error| lookup(&at, error))?
                }
                Err(error) => return Err(lookup(&at, error).into()),
            };
        }
        Ok(directory)
    }

    fn remember(&mut self, path: PathBuf, entry: &Entry) -> Result<(), ImageError> {
        self.times_bytes += path.as_os_str().len() + mem::size_of::<(PathBuf, Timestamps)>();
        if self.times_bytes > MOST_DIRECTORIES {
            return Err(damaged("there are too many directories").into());
        }
        self.times.push((path, times(entry)));
        Ok(())
    }

    /// Looks now and then at how much of the disk is left.
    fn written(&mut self, bytes: u64) -> Result<(), ImageError> {
        self.until_look = self.until_look.saturating_sub(bytes);
        if self.until_look == 0 {
            keep_free(&self.root, self.keep_free)?;
            self.until_look = LOOK;
        }
        Ok(())
    }
}

/// Refuses when less than so much of the disk is free.
pub(in crate::image) fn keep_free(on: impl AsFd, bytes: u64) -> Result<(), ImageError> {
    let disk = fstatvfs(on).map_err(io::Error::from)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= bytes {
        return Ok(());
    }
    let words = format!(
        "the disk has {free} bytes left, and {bytes} are to stay free: make room, for instance with \
         fileyard image prune"
    );
    Err(ImageError::NoSpace(words))
}

/// How many directories a directory is in.
fn depth(directory: &OwnedFd) -> io::Result<usize> {
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let real = readlinkat(CWD, path, Vec::new())?;
    Ok(real.as_bytes().iter().filter(|byte| **byte == b'/').count())
}

fn lookup(path: &Path, error: Errno) -> io::Error {
    match error {
        Errno::NOTDIR | Errno::LOOP => {
            damaged(&format!("{path:?} is no directory, and no link that leads to one"))
        }
        Errno::NAMETOOLONG => {
            damaged("it is in more directories than can be, or its name is too long")
        }
        Errno::NOSYS => io::Error::other(ImageError::Passing(
            "this kernel does not know openat2: unpacking images needs Linux 5.6".into(),
        )),
        error => error.into(),
    }
}
