//! The unpacked layers, by diff_id: the digest of a layer's bytes before anybody compressed them.

use std::{
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    ImageError, Place,
    digest::Digest,
    error::Context,
    index::{is_there, write_durably},
    limits::Limits,
    unpack::{Unpacked, unpack},
    work::{Work, settle},
};
use crate::lock::Lock;

/// What is known of an unpacked layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Bytes of its files.
    pub(super) size: u64,
    /// Files, directories and whatever else there is.
    pub(super) entries: u64,
    /// Nothing of the layers below shows through.
    pub(super) opaque: bool,
    /// Bytes of the tar that it was, before anybody compressed it.
    pub(super) tar_size: u64,
}

/// The right to unpack a layer, which one alone has until it is dropped.
#[derive(Debug)]
pub(super) struct Unpacking {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // The lock is still held: who waited for it sees that its file is gone, and asks again.
        let _ = fs::remove_file(&self.path);
    }
}

impl Place {
    /// What is known of a layer that the work counts on from now on; `None` when it is not there.
    pub(super) fn count_on(
        &self,
        work: &Work,
        layer: &Digest,
    ) -> Result<Option<Layer>, ImageError> {
        let held = self.add()?;
        work.count_on(layer, &held)?;
        self.layer(layer)
    }

    /// The right to unpack a layer; `None` while somebody else has it.
    pub(super) fn try_unpacking(&self, layer: &Digest) -> Result<Option<Unpacking>, ImageError> {
        self.take(layer, Lock::attempt)
    }

    /// The same, as soon as nobody else has it.
    pub(super) fn unpacking(&self, layer: &Digest) -> Result<Unpacking, ImageError> {
        let taken = self.take(layer, |path| Lock::exclusive(path).map(Some))?;
        Ok(taken.expect("it was waited for"))
    }

    fn take(
        &self,
        layer: &Digest,
        lock: impl Fn(&Path) -> io::Result<Option<Lock>>,
    ) -> Result<Option<Unpacking>, ImageError> {
        let path = self.dir.join("unpacking").join(layer.digits());
        loop {
            let taken = lock(&path).context(|| path.display().to_string())?;
            let Some(taken) = taken else { return Ok(None) };
            if taken.is_current().context(|| path.display().to_string())? {
                return Ok(Some(Unpacking { path, _lock: taken }));
            }
        }
    }

    /// Unpacks a layer of which the digest is known, unless it is there.
    pub(super) fn add_known(
        &self,
        work: &Work,
        layer: &Digest,
        most: u64,
        tar: impl BufRead,
    ) -> Result<Layer, ImageError> {
        if let Some(there) = self.count_on(work, layer)? {
            return within(there, most);
        }
        let unpacking = self.unpacking(layer)?;
        self.add_alone(work, layer, most, tar, &unpacking)
    }

    /// The same, for who has the right to.
    pub(super) fn add_alone(
        &self,
        work: &Work,
        layer: &Digest,
        most: u64,
        tar: impl BufRead,
        _alone: &Unpacking,
    ) -> Result<Layer, ImageError> {
        if let Some(there) = self.count_on(work, layer)? {
            return within(there, most);
        }
        let (unpacked, new) = self.unpack(work, most, tar)?;
        if unpacked.diff_id != *layer {
            let _ = fs::remove_dir_all(&new);
            return Err(ImageError::Image(format!(
                "it is not what the image's config says: its digest is {}, and {layer} was expected",
                unpacked.diff_id
            )));
        }
        self.put(layer, &unpacked, &new)
    }

    /// Unpacks a layer of which nothing is known. It has to have the end of a tar.
    pub(super) fn add_unknown(
        &self,
        work: &Work,
        tar: impl BufRead,
    ) -> Result<(Digest, Layer), ImageError> {
        let (unpacked, new) = self.unpack(work, self.limits.layer_bytes, tar)?;
        if !unpacked.whole {
            let words = "it has no end of a tar: it was cut off on its way";
            return Err(ImageError::Image(words.into()));
        }
        let layer = unpacked.diff_id.clone();
        match self.count_on(work, &layer)? {
            Some(there) => Ok((layer, there)),
            None => self.put(&layer, &unpacked, &new).map(|put| (layer, put)),
        }
    }

    fn unpack(
        &self,
        work: &Work,
        most: u64,
        tar: impl BufRead,
    ) -> Result<(Unpacked, PathBuf), ImageError> {
        let new = work.fresh("layer");
        fs::create_dir(&new)?;
        let limits = Limits { layer_bytes: most.min(self.limits.layer_bytes), ..self.limits };
        match unpack(tar, &new.join("root"), &limits) {
            Ok(unpacked) => Ok((unpacked, new)),
            Err(error) => {
                // At once, and not at the end of the work: it may be what filled the disk.
                let _ = fs::remove_dir_all(&new);
                Err(error)
            }
        }
    }

    /// From here on it is whole, and stays so.
    fn put(&self, layer: &Digest, unpacked: &Unpacked, new: &Path) -> Result<Layer, ImageError> {
        let put = || {
            write_durably(&new.join("layer.json"), &serde_json::to_vec(&unpacked.layer)?)?;
            rustix::fs::syncfs(fs::File::open(new)?)?;
            match fs::rename(new, self.layer_dir(layer)) {
                // Who did not know what it would be was here before.
                Err(error) if is_there(&error) => fs::remove_dir_all(new),
                renamed => renamed.and_then(|()| settle(&self.dir.join("layers"))),
            }
        };
        put().context(|| format!("the layer {layer}"))?;
        Ok(unpacked.layer)
    }

    /// What is known of a layer; `None` when it is not there.
    pub(super) fn layer(&self, layer: &Digest) -> Result<Option<Layer>, ImageError> {
        match fs::read(self.layer_dir(layer).join("layer.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let parsed =
                    text.map(|text| serde_json::from_slice(&text).map_err(io::Error::from));
                parsed.and_then(|it| it).map(Some).context(|| format!("the layer {layer}"))
            }
        }
    }

    /// The directory that is mounted.
    pub(super) fn layer_root(&self, layer: &Digest) -> PathBuf {
        self.layer_dir(layer).join("root")
    }

    pub(super) fn layer_dir(&self, layer: &Digest) -> PathBuf {
        self.dir.join("layers").join(layer.digits())
    }

    /// Every layer that is there.
    pub(super) fn all_layers(&self) -> Result<Vec<Digest>, ImageError> {
        digests_in(&self.dir.join("layers"))
    }
}

/// One that is there counts as one that comes.
fn within(layer: Layer, most: u64) -> Result<Layer, ImageError> {
    if layer.tar_size <= most {
        return Ok(layer);
    }
    let words = format!("it unpacks to more than {most} bytes, which is too much");
    Err(ImageError::Image(words))
}

/// What in a directory is called by its digest.
pub(super) fn digests_in(dir: &Path) -> Result<Vec<Digest>, ImageError> {
    let read = || fs::read_dir(dir)?.map(|it| Ok(it?.file_name())).collect::<io::Result<Vec<_>>>();
    let names = read().context(|| dir.display().to_string())?;
    Ok(names.iter().filter_map(|name| Digest::from_digits(name.to_str()?)).collect())
}
