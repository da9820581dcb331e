//! Images in a directory: content-addressed, unpacked once, shared by every container.
//!
//! What is in it is said by one small file, the names, and by directories called by their digests,
//! which appear whole or not at all. It never mounts anything, and never runs what is in an image.
//!
//! ```text
//! lock                 held by who changes something, never by who reads
//! names.json           every name and the digest of its image
//! images/HEX/          manifest.json and config.json, as their digests want them
//! layers/HEX/          by diff_id: root/, the unpacked directory, and layer.json
//! holders/NAME         which layers a container stands on
//! unpacking/HEX        held by who unpacks that layer
//! work/N/              held by who works in it; nobody's after a crash, and swept
//! ```

#![allow(dead_code, reason = "unpacking and removing, which use it, are on their way")]

mod config;
mod digest;
mod error;
mod holders;
mod index;
mod layers;
mod lock;
mod name;
mod pull;
mod work;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::{
    config::ImageConfig,
    error::{Fault, ImageError},
    index::Image,
    pull::PullOptions,
};
use self::{error::Context, lock::Lock};

/// The images of a data directory. Cloning is cheap, and any number of processes may have one of the
/// same directory.
///
/// All but [`Store::pull`] blocks: from async code it is called on a thread that may.
#[derive(Debug, Clone)]
pub struct Store(Arc<Place>);

/// Where everything is.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
}

impl Store {
    /// The one in `dir`, which is made where it is not there. What a crash left half-done in it is
    /// removed.
    ///
    /// # Errors
    /// When the directory can not be made or used.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let place = Place::make(dir).context(|| format!("the image store {}", dir.display()))?;
        let store = Self(Arc::new(place));
        // Whoever changes something right now will not mind what is left for the next.
        if let Some(lock) = Lock::attempt(&store.0.lock()).context(|| "the image store's lock")? {
            let dead = store.0.dead_work(&lock)?;
            drop(lock);
            work::sweep(&dead)?;
        }
        Ok(store)
    }

    /// The image that people mean by `reference`: a name as `alpine`, `fileyard/sample:latest` or
    /// `registry.example/a/b@sha256:...`, or the digest of an image, whole or its first twelve digits
    /// or more. One whose layers are not all there is as good as absent.
    ///
    /// # Errors
    /// When `reference` is no name, or the store can not be read.
    pub fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        self.0.find(reference)
    }

    /// Every image, by its first name.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        self.0.list()
    }

    /// Keeps the image's layers, whatever happens to its names, until `holder` is released. Asked for
    /// again it is the same; it outlives this process.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the image was removed since it was found; when `holder` is no plain
    /// file name; when the store can not be written.
    pub fn hold(&self, image: &Image, holder: &str) -> Result<(), ImageError> {
        self.0.hold(image, holder)
    }

    /// Ends what [`Store::hold`] began. Of nobody it is nothing.
    ///
    /// # Errors
    /// When `holder` is no plain file name, or the store can not be written.
    pub fn release(&self, holder: &str) -> Result<(), ImageError> {
        self.0.release(holder)
    }

    /// Everybody who holds an image.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn holders(&self) -> Result<Vec<String>, ImageError> {
        self.0.holders()
    }
}

impl Place {
    fn make(dir: &Path) -> io::Result<Self> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        for within in ["images", "layers", "holders", "unpacking", "work"] {
            private.create(dir.join(within))?;
        }
        Ok(Self { dir })
    }

    fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// For who changes the names, or removes something.
    fn change(&self) -> Result<Lock, ImageError> {
        Lock::exclusive(&self.lock()).context(|| "the image store's lock")
    }

    /// For who adds something that nobody else could mean.
    fn add(&self) -> Result<Lock, ImageError> {
        Lock::shared(&self.lock()).context(|| "the image store's lock")
    }
}
