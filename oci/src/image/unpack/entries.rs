//! The entries of a tar, one after the other.
//!
//! The `tar` crate reads the headers. What stands between them is read here, because the crate keeps
//! a long name or attributes of any size in memory, and takes a line's end in an attribute, which
//! capabilities may have in them, for a mistake. What a tar says about all of its entries at once is
//! passed over, as Docker does.

use std::{
    io::{self, Read},
    str,
};

use tar::{EntryType, Header};

use crate::image::{
    ImageError,
    limits::{MOST_EXTENSION, MOST_PATH, MOST_RECORDS},
};

const BLOCK: u64 = 512;
const CUT_OFF: &str = "it ends in the middle: it was cut off on its way";
const NO_TAR: &str = "a header is damaged, or this is no tar";
const TOO_MUCH: &str = "it says more about one entry than can be";
const XATTR: &[u8] = b"SCHILY.xattr.";

/// What a tar says of an entry.
#[derive(Debug, Clone)]
pub(in crate::image) struct Entry {
    pub(in crate::image) path: Vec<u8>,
    /// Where a link leads.
    pub(in crate::image) link: Vec<u8>,
    pub(in crate::image) kind: EntryType,
    pub(in crate::image) mode: u32,
    pub(in crate::image) user: u32,
    pub(in crate::image) group: u32,
    /// Seconds and nanoseconds.
    pub(in crate::image) modified: (i64, u32),
    pub(in crate::image) size: u64,
    pub(in crate::image) xattrs: Vec<(String, Vec<u8>)>,
}

/// Reads a tar's entries.
pub(in crate::image) struct Entries<R> {
    from: R,
    /// Bytes read so far.
    at: u64,
    /// Of the entry's content, and of what fills its last block.
    content: u64,
    padding: u64,
    ended: bool,
}

/// What extensions say of the next entry.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

impl<R: Read> Entries<R> {
    pub(in crate::image) fn new(from: R) -> Self {
        Self { from, at: 0, content: 0, padding: 0, ended: false }
    }

    /// The next one; what was not read of the one before is passed over.
    pub(in crate::image) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut records = Records::new();
        // Of one entry's extensions together.
        let mut left = MOST_EXTENSION;
        loop {
            self.pass()?;
            let Some(header) = self.header()? else {
                let announced = left < MOST_EXTENSION;
                return if announced { Err(damaged(CUT_OFF)) } else { Ok(None) };
            };
            let size = size(&header)?;
            match header.entry_type().as_byte() {
                b'x' => parse_records(&self.extension(size, &mut left)?, &mut records)?,
                b'L' => {
                    let path = c_string(self.extension(size, &mut left)?);
                    records.push((b"path".to_vec(), path));
                }
                b'K' => {
                    let link = c_string(self.extension(size, &mut left)?);
                    records.push((b"linkpath".to_vec(), link));
                }
                b'g' => self.expect_content(size),
                _ => return self.entry(&header, &records).map(Some),
            }
            if records.len() > MOST_RECORDS {
                return Err(damaged(TOO_MUCH));
            }
        }
    }

    /// What is in the entry that was returned last.
    pub(in crate::image) fn content(&mut self) -> Content<'_, R> {
        Content(self)
    }

    /// Where that begins.
    pub(in crate::image) fn position(&self) -> u64 {
        self.at
    }

    /// Whether the tar has its end, and did not just stop.
    pub(in crate::image) fn ended(&self) -> bool {
        self.ended
    }

    fn entry(&mut self, header: &Header, records: &Records) -> io::Result<Entry> {
        let raw = header.as_old();
        let mut entry = Entry {
            path: header.path_bytes().into_owned(),
            link: header.link_name_bytes().map(|it| it.into_owned()).unwrap_or_default(),
            kind: header.entry_type(),
            mode: given(&raw.mode, header.mode())? & 0o7777,
            user: id(given(&raw.uid, header.uid())?)?,
            group: id(given(&raw.gid, header.gid())?)?,
            modified: (i64::try_from(given(&raw.mtime, header.mtime())?).unwrap_or(0), 0),
            size: size(header)?,
            xattrs: Vec::new(),
        };
        for (key, value) in records {
            entry.amend(key, value)?;
        }
        // From before there were directories in tars.
        let file = matches!(entry.kind, EntryType::Regular | EntryType::Continuous);
        if file && entry.path.ends_with(b"/") {
            entry.kind = EntryType::Directory;
        }
        // Only files have content, whatever their headers say.
        if !matches!(entry.kind, EntryType::Regular | EntryType::Continuous) {
            entry.size = 0;
        }
        self.expect_content(entry.size);
        Ok(entry)
    }

    /// `None` at the end.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut read = 0;
        while read < bytes.len() {
            match self.from.read(&mut bytes[read..])? {
                0 if read == 0 => return Ok(None),
                0 if self.at == 0 => return Err(damaged(NO_TAR)),
                0 => return Err(damaged(CUT_OFF)),
                more => read += more,
            }
        }
        self.at += BLOCK;
        if bytes.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        if header.cksum().ok() != Some(expected) {
            return Err(damaged(NO_TAR));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64, left: &mut u64) -> io::Result<Vec<u8>> {
        // One without content is counted too: they must not go on without end.
        *left = left.checked_sub(size.max(1)).ok_or_else(|| damaged(TOO_MUCH))?;
        self.expect_content(size);
        let mut said = Vec::new();
        self.content().read_to_end(&mut said)?;
        Ok(said)
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    fn pass(&mut self) -> io::Result<()> {
        io::copy(&mut self.content(), &mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        let passed = io::copy(&mut (&mut self.from).take(padding), &mut io::sink())?;
        self.at += passed;
        if passed < padding { Err(damaged(CUT_OFF)) } else { Ok(()) }
    }
}

/// An entry's content.
pub(in crate::image) struct Content<'a, R>(&'a mut Entries<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let entries = &mut *self.0;
        let most = into.len().min(usize::try_from(entries.content).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let read = entries.from.read(&mut into[..most])?;
        if read == 0 {
            return Err(damaged(CUT_OFF));
        }
        entries.content -= read as u64;
        entries.at += read as u64;
        Ok(read)
    }
}

impl Entry {
    /// For errors.
    pub(in crate::image) fn named(&self) -> String {
        let path = &self.path[..self.path.len().min(MOST_PATH)];
        format!("its entry {:?}", String::from_utf8_lossy(path))
    }

    fn amend(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if let Some(name) = key.strip_prefix(XATTR) {
            let name = String::from_utf8(name.to_vec());
            let name = name.map_err(|_| damaged("an attribute's name is no text"))?;
            self.xattrs.retain(|(other, _)| *other != name);
            self.xattrs.push((name, value.to_vec()));
            return Ok(());
        }
        if key.starts_with(b"GNU.sparse.") {
            return Err(sparse());
        }
        // Without a value it is what the header says.
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = value.to_vec(),
            b"linkpath" => self.link = value.to_vec(),
            b"size" => self.size = number(value)?,
            b"uid" => self.user = id(number(value)?)?,
            b"gid" => self.group = id(number(value)?)?,
            b"mtime" => self.modified = time(value),
            _ => {}
        }
        Ok(())
    }
}

fn size(header: &Header) -> io::Result<u64> {
    given(&header.as_old().size, header.entry_size())
}

/// A field of a header. Some leave those empty that mean nothing for what they write.
fn given<T: Default>(raw: &[u8], read: io::Result<T>) -> io::Result<T> {
    if raw.iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(T::default()) } else { read }
}

/// `LENGTH KEY=VALUE\n`, the length that of all of it; a value may have anything in it.
fn parse_records(mut said: &[u8], records: &mut Records) -> io::Result<()> {
    while !said.is_empty() && said[0] != 0 {
        let record = (|| {
            let space = said.iter().position(|byte| *byte == b' ')?;
            let length: usize = str::from_utf8(&said[..space]).ok()?.parse().ok()?;
            let record = said.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            Some((length, record[..equals].to_vec(), record[equals + 1..].to_vec()))
        })();
        let (length, key, value) =
            record.ok_or_else(|| damaged("an extended header is damaged"))?;
        records.push((key, value));
        said = &said[length..];
    }
    Ok(())
}

fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn number(text: &[u8]) -> io::Result<u64> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| damaged("an extended header has no number where one has to be"))
}

/// The highest means "as it is" to the kernel.
fn id(id: u64) -> io::Result<u32> {
    let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| damaged("an owner's number is larger than can be"))
}

/// `-1.5`: what can not be read is the beginning of time.
fn time(text: &[u8]) -> (i64, u32) {
    let text = str::from_utf8(text).unwrap_or_default();
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().unwrap_or(0);
    if seconds < 0 || text.starts_with('-') {
        return (seconds, 0);
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    (seconds, digits.parse().unwrap_or(0))
}

pub(super) fn sparse() -> io::Error {
    damaged("it is stored as a sparse file: make the tar without --sparse")
}

pub(super) fn damaged(why: &str) -> io::Error {
    io::Error::other(ImageError::Image(why.to_owned()))
}
