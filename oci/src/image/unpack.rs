//! A layer's tar into a directory, as overlayfs wants it.
//!
//! The tar is a stranger's: nothing in it is written outside the directory, not through a link that
//! it brought along either, and it ends with an error at the first thing that is not right. What is
//! there by then is for the caller to remove.

mod entries;
mod node;
mod path;
mod stream;
mod tree;
mod xattr;

use std::{
    fs,
    io::{self, BufRead, Read},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

pub(super) use self::{entries::Entries, stream::Plain, tree::keep_free};
use self::{path::Inside, tree::Tree};
use super::{ImageError, digest::Digest, error::Context, layers::Layer, limits::Limits};

/// What came of it.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Of the tar, before anybody compressed it.
    pub(super) diff_id: Digest,
    pub(super) layer: Layer,
    /// Whether the tar has its end. One without may have been cut off, unless its digest was known.
    pub(super) whole: bool,
}

/// Unpacks a tar, compressed or not, into `root`, which is made.
pub(super) fn unpack(
    tar: impl BufRead,
    root: &Path,
    limits: &Limits,
) -> Result<Unpacked, ImageError> {
    fs::DirBuilder::new().mode(0o755).create(root)?;
    let mut plain = Plain::new(tar, limits)?;
    let mut tree = Tree::new(root, limits.keep_free)?;
    let mut entries = Entries::new(&mut plain);
    let mut layer = Layer::default();
    while let Some(entry) = entries.next()? {
        layer.entries += 1;
        if layer.entries > limits.entries {
            let words = format!("it has more than {} entries, which is too many", limits.entries);
            return Err(ImageError::Image(words));
        }
        let added = Inside::parse(&entry.path)
            .and_then(|path| tree.add(&path, &entry, &mut entries.content()));
        layer.size += added.context(|| entry.named())?;
    }
    let whole = entries.ended();
    // Behind the end may be anything, and it counts for the digest.
    io::copy(&mut plain, &mut io::sink())?;
    layer.opaque = tree.finish()?;
    let (diff_id, tar_size) = plain.finish();
    layer.tar_size = tar_size;
    Ok(Unpacked { diff_id, layer, whole })
}

/// Reads no more than so many bytes; more is an error.
pub(super) fn read_bounded(from: impl Read, most: u64, what: &str) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(ImageError::Image(format!("{what} is larger than {most} bytes")));
    }
    Ok(bytes)
}
