//! Who stands on which layers: a small file a holder.
//!
//! They are not forced to the disk. A killed process leaves them in the kernel's hands, and after a
//! power cut nothing runs that could hold anything.

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use super::{Image, ImageError, Place, digest::Digest, error::Context};
use crate::lock::Lock;

impl Place {
    pub(super) fn hold(&self, image: &Image, holder: &str) -> Result<(), ImageError> {
        let path = self.holder(holder)?;
        let _held = self.add()?;
        for layer in image.diff_ids() {
            if self.layer(layer)?.is_none() {
                let words = format!("the image {} was removed meanwhile", image.digest);
                return Err(ImageError::NotFound(words));
            }
        }
        let written = || {
            let new = self.dir.join("holders").join(format!(".{holder}"));
            fs::write(&new, serde_json::to_vec(image.diff_ids())?)?;
            fs::rename(&new, &path)
        };
        written().context(|| format!("holding {} for {holder}", image.digest))
    }

    pub(super) fn release(&self, holder: &str) -> Result<(), ImageError> {
        match fs::remove_file(self.holder(holder)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.context(|| format!("releasing {holder}'s image")),
        }
    }

    pub(super) fn holders(&self) -> Result<Vec<String>, ImageError> {
        let read = || {
            let all = fs::read_dir(self.dir.join("holders"))?.map(|it| Ok(it?.file_name()));
            all.collect::<io::Result<Vec<_>>>()
        };
        let names = read().context(|| "the image store's holders")?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        // Those with a dot are being written.
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// The layers that somebody holds.
    pub(super) fn held(&self, _held: &Lock) -> Result<BTreeSet<Digest>, ImageError> {
        let mut layers = BTreeSet::new();
        for holder in self.holders()? {
            match fs::read(self.holder(&holder)?) {
                // It was released, or is what a power cut made of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                text => {
                    let text = text.context(|| format!("what {holder} holds"))?;
                    layers.extend(serde_json::from_slice::<Vec<_>>(&text).unwrap_or_default());
                }
            }
        }
        Ok(layers)
    }

    fn holder(&self, holder: &str) -> Result<PathBuf, ImageError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let right = (1..=200).contains(&holder.len()) && holder.bytes().all(plain);
        if !right || holder.starts_with('.') {
            return Err(ImageError::Image(format!("{holder:?} is no name of a container")));
        }
        Ok(self.dir.join("holders").join(holder))
    }
}
