//! A layer's bytes as they were before anybody compressed them: counted, hashed, and no more of them
//! than are allowed.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::image::{ImageError, digest::Digest, limits::Limits};

/// Decompresses what is compressed, by how it begins and not by what anybody calls it.
fn decompressed<'a>(mut from: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match from.fill_buf()? {
        // Some compress in several pieces, one after the other.
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(from)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::stream::read::Decoder::with_buffer(from)?)
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(unknown("xz")),
        [b'B', b'Z', b'h', ..] => return Err(unknown("bzip2")),
        _ => Box::new(from),
    })
}

fn unknown(how: &str) -> io::Error {
    let words =
        format!("it is compressed with {how}, of which fileyard knows nothing: use gzip or zstd");
    io::Error::other(ImageError::Image(words))
}

/// Counts, hashes and bounds what is read.
pub(in crate::image) struct Plain<'a> {
    from: Box<dyn Read + 'a>,
    hash: Sha256,
    read: u64,
    /// How much of it there was before it was decompressed.
    packed: Rc<Cell<u64>>,
    limits: Limits,
}

impl<'a> Plain<'a> {
    /// Of a layer, compressed or not.
    pub(in crate::image) fn new(from: impl BufRead + 'a, limits: &Limits) -> io::Result<Self> {
        let packed = Rc::new(Cell::new(0));
        let from = decompressed(Counted { from, read: packed.clone() })?;
        Ok(Self { from, hash: Sha256::new(), read: 0, packed, limits: *limits })
    }

    /// The digest of what was read, and how much that was.
    pub(in crate::image) fn finish(self) -> (Digest, u64) {
        (Digest::finish(self.hash), self.read)
    }

    fn check(&self) -> Result<(), ImageError> {
        let Limits { layer_bytes, harmless_bytes, times, .. } = self.limits;
        if self.read > layer_bytes {
            let words = format!("it unpacks to more than {layer_bytes} bytes, which is too much");
            return Err(ImageError::Image(words));
        }
        if self.read > harmless_bytes && self.read / times > self.packed.get() {
            let words = format!(
                "it unpacks to more than {times} times its size: it was made to fill a disk"
            );
            return Err(ImageError::Image(words));
        }
        Ok(())
    }
}

impl Read for Plain<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(&into[..read]);
        self.read += read as u64;
        self.check().map_err(io::Error::other)?;
        Ok(read)
    }
}

/// Counts what is taken.
struct Counted<R> {
    from: R,
    read: Rc<Cell<u64>>,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.read.set(self.read.get() + bytes as u64);
        self.from.consume(bytes);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}
