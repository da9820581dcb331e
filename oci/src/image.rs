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

mod build;
mod config;
mod digest;
mod error;
mod holders;
mod import;
mod index;
mod layers;
mod limits;
mod name;
mod pull;
mod remove;
mod unpack;
mod work;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::{
    build::BuildRequest,
    config::ImageConfig,
    error::{Fault, ImageError},
    import::{ImportOptions, Tar},
    index::Image,
    name::is_registry,
    pull::PullOptions,
    remove::Removed,
};
use self::{error::Context, limits::Limits};
use crate::lock::Lock;

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
    limits: Limits,
}

impl Store {
    /// The one in `dir`, which is made where it is not there. What a crash left half-done in it is
    /// removed.
    ///
    /// # Errors
    /// When the directory can not be made or used.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        Self::with_limits(dir, Limits::default())
    }

    fn with_limits(dir: &Path, limits: Limits) -> Result<Self, ImageError> {
        let place = Place::make(dir, limits);
        let place = place.context(|| format!("the image store {}", dir.display()))?;
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

    /// Adds the images of a tar: `docker save`'s, an OCI layout, or a root file system.
    ///
    /// # Errors
    /// When it is none of them, damaged, for another machine, or too large; when there is no room.
    pub fn import(&self, tar: Tar<'_>, options: &ImportOptions) -> Result<Vec<Image>, ImageError> {
        self.0.import(tar, options)
    }

    /// Makes an image of one layer of a static program. The same of everything gives the same digest.
    ///
    /// # Errors
    /// When the program is none for this machine, or is not static; when a file can not be read.
    pub fn build(&self, request: &BuildRequest) -> Result<Image, ImageError> {
        self.0.build(request)
    }

    /// Takes a name away, and with its last one the image; named by its digest, at once. Layers that
    /// nobody else has go with it.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when there is no such image.
    pub fn remove(&self, reference: &str) -> Result<Removed, ImageError> {
        self.0.remove(reference)
    }

    /// Removes images without a name, layers without an image, and what a crash left.
    ///
    /// # Errors
    /// When the store can not be read or written.
    pub fn prune(&self) -> Result<Removed, ImageError> {
        self.0.prune()
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
    fn make(dir: &Path, limits: Limits) -> io::Result<Self> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        for within in ["images", "layers", "holders", "unpacking", "work"] {
            private.create(dir.join(within))?;
        }
        Ok(Self { dir, limits })
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
