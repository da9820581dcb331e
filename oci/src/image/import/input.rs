//! A tar whose members can be read in any order.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Component, Path},
};

use tar::EntryType;

use super::Tar;
use crate::image::{
    ImageError,
    error::Context,
    limits::{Limits, MOST_JSON},
    unpack::{Entries, Plain, keep_free, read_bounded},
    work::Work,
};

/// Members that are kept track of. Those who have images in them have a few dozen.
const MOST_MEMBERS: usize = 100_000;
/// Links to links, in old tars of Docker's.
const MOST_LINKS: usize = 8;
const LOOK: u64 = 64 << 20;

/// A tar, uncompressed, in a file.
pub(super) struct Input {
    file: File,
    members: BTreeMap<String, Member>,
}

enum Member {
    Content { at: u64, size: u64 },
    Link(String),
}

impl Input {
    /// Compressed, or not from a file, it is written to one first.
    pub(super) fn read(tar: Tar<'_>, work: &Work, limits: &Limits) -> Result<Self, ImageError> {
        let file = match tar {
            Tar::File(path) => {
                let file = File::open(path).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => ImageError::NotFound("there is no such file".into()),
                    _ => error.into(),
                })?;
                let kind = file.metadata()?.file_type();
                if kind.is_dir() {
                    return Err(ImageError::Image(
                        "it is a directory: pack it with tar first".into(),
                    ));
                }
                if kind.is_file() && is_plain(&file)? { file } else { spool(file, work, limits)? }
            }
            Tar::Stream(stream) => spool(stream, work, limits)?,
        };
        let members = members(&file, limits)?;
        Ok(Self { file, members })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// All of it.
    pub(super) fn whole(&self) -> io::Result<impl Read + use<>> {
        Ok(Part { file: self.file.try_clone()?, at: 0, left: u64::MAX })
    }

    /// One member's content.
    pub(super) fn open(&self, name: &str) -> Result<impl Read + use<>, ImageError> {
        let mut at = normal(name);
        for _ in 0..MOST_LINKS {
            match self.members.get(&at) {
                Some(Member::Content { at, size }) => {
                    return Ok(Part { file: self.file.try_clone()?, at: *at, left: *size });
                }
                Some(Member::Link(to)) => at.clone_from(to),
                None => break,
            }
        }
        Err(ImageError::Image(format!("there is no {name:?} in it, of which it speaks")))
    }

    /// A small member.
    pub(super) fn json(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        read_bounded(self.open(name)?, MOST_JSON, name)
    }
}

/// A part of a file, without a position that others could move.
struct Part {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

fn is_plain(file: &File) -> io::Result<bool> {
    let mut start = [0; 512];
    let read = file.read_at(&mut start, 0)?;
    // A tar has its mark where nothing compressed would have it; one from before there was a mark
    // is written to a file of its own, which does no harm.
    Ok(read == start.len() && &start[257..262] == b"ustar")
}

fn spool(from: impl Read, work: &Work, limits: &Limits) -> Result<File, ImageError> {
    let path = work.at("input");
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.context(|| path.display().to_string())?;
    let all = Limits { layer_bytes: limits.image_bytes, ..*limits };
    let mut plain = Plain::new(BufReader::new(from), &all)?;
    let mut to = BufWriter::new(&file);
    loop {
        keep_free(&file, limits.keep_free)?;
        if io::copy(&mut (&mut plain).take(LOOK), &mut to)? == 0 {
            break;
        }
    }
    to.flush()?;
    drop(to);
    Ok(file)
}

fn members(file: &File, limits: &Limits) -> Result<BTreeMap<String, Member>, ImageError> {
    let all = Part { file: file.try_clone()?, at: 0, left: u64::MAX };
    let mut entries = Entries::new(BufReader::with_capacity(1 << 20, all));
    let (mut members, mut seen) = (BTreeMap::new(), 0);
    while let Some(entry) = entries.next()? {
        seen += 1;
        if seen > limits.entries {
            return Err(ImageError::Image("it has more entries than can be".into()));
        }
        let (Ok(path), at) = (String::from_utf8(entry.path), entries.position()) else { continue };
        let link = String::from_utf8(entry.link).unwrap_or_default();
        let member = match entry.kind {
            EntryType::Regular | EntryType::Continuous => Member::Content { at, size: entry.size },
            EntryType::Link => Member::Link(normal(&link)),
            EntryType::Symlink => {
                let within = Path::new(&path).parent().unwrap_or(Path::new(""));
                Member::Link(normal(&within.join(link).to_string_lossy()))
            }
            _ => continue,
        };
        if members.len() < MOST_MEMBERS {
            members.insert(normal(&path), member);
        }
    }
    if seen == 0 {
        return Err(ImageError::Image("there is nothing in it, or it is no tar".into()));
    }
    Ok(members)
}

/// `./a/../b` is `b`. These are names in a list, never paths on a disk.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}
