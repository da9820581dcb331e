//! The unpacked layers, by diff_id: the digest of a layer's bytes before anybody compressed them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{ImageError, Place, digest::Digest, error::Context};

/// What is known of an unpacked layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Bytes of its files.
    pub(super) size: u64,
    /// Files, directories and whatever else there is.
    pub(super) entries: u64,
    /// Nothing of the layers below shows through.
    pub(super) opaque: bool,
}

impl Place {
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

/// What in a directory is called by its digest.
pub(super) fn digests_in(dir: &Path) -> Result<Vec<Digest>, ImageError> {
    let read = || fs::read_dir(dir)?.map(|it| Ok(it?.file_name())).collect::<io::Result<Vec<_>>>();
    let names = read().context(|| dir.display().to_string())?;
    Ok(names.iter().filter_map(|name| Digest::from_digits(name.to_str()?)).collect())
}
