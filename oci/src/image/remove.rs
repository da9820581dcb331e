//! Images and layers on their way out.
//!
//! Nothing goes that an image, a holder or work under way has a use for. What goes is moved aside
//! while the store is locked, and removed when it is not: it may be much.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    ImageError, Place, digest,
    digest::Digest,
    error::Context,
    name,
    work::{Work, sweep},
};
use crate::lock::Lock;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names, as people write them.
    pub references: Vec<String>,
    /// Digests of images.
    pub images: Vec<String>,
    /// How many layers.
    pub layers: usize,
    /// Bytes of their files.
    pub bytes: u64,
    /// How many layers stay because a container stands on them; they go with the next prune.
    pub held: usize,
}

impl Place {
    pub(super) fn remove(&self, text: &str) -> Result<Removed, ImageError> {
        let work = self.work()?;
        let lock = self.change()?;
        let mut names = self.names()?;
        let none = || {
            let words =
                format!("there is no image {text:?}: fileyard image list shows those there are");
            ImageError::NotFound(words)
        };
        let image = self.means(text, &names)?.ok_or_else(none)?;
        let all: Vec<String> =
            names.iter().filter(|(_, its)| **its == image).map(|(name, _)| name.clone()).collect();
        let called = match digest::beginning(text) {
            Some(_) => None,
            None => Some(name::kept(&name::parse(text)?)).filter(|name| all.contains(name)),
        };
        let going = called.map_or_else(|| all.clone(), |name| vec![name]);
        names.retain(|name, _| !going.contains(name));
        self.write_names(&names, &lock)?;
        let references = going.iter().map(|name| name::short(name).to_owned()).collect();
        let mut removed = Removed { references, ..Removed::default() };
        if going.len() == all.len() {
            let layers = self.layers_of(&image)?;
            self.remove_image(&work, &image, &mut removed)?;
            self.remove_layers(&work, &layers, &lock, &mut removed)?;
        }
        Ok(removed)
    }

    pub(super) fn prune(&self) -> Result<Removed, ImageError> {
        let work = self.work()?;
        let lock = self.change()?;
        let mut removed = Removed::default();
        let dead = self.dead_work(&lock)?;
        let named: BTreeSet<Digest> = self.names()?.into_values().collect();
        for image in self.all_images()?.iter().filter(|image| !named.contains(image)) {
            self.remove_image(&work, image, &mut removed)?;
        }
        let layers = self.all_layers()?.into_iter().collect();
        self.remove_layers(&work, &layers, &lock, &mut removed)?;
        self.remove_stale_locks()?;
        drop(lock);
        sweep(&dead)?;
        Ok(removed)
    }

    fn remove_image(
        &self,
        work: &Work,
        image: &Digest,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        if aside(work, &self.image_dir(image))? {
            removed.images.push(image.to_string());
        }
        Ok(())
    }

    /// Of these layers those that nobody has a use for.
    fn remove_layers(
        &self,
        work: &Work,
        layers: &BTreeSet<Digest>,
        lock: &Lock,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        let mut used = self.counted_on(lock)?;
        for image in self.all_images()? {
            used.extend(self.layers_of(&image)?);
        }
        let held = self.held(lock)?;
        for layer in layers.difference(&used) {
            if held.contains(layer) {
                removed.held += 1;
                continue;
            }
            let known = self.layer(layer).ok().flatten().unwrap_or_default();
            if aside(work, &self.layer_dir(layer))? {
                removed.layers += 1;
                removed.bytes += known.size;
            }
        }
        Ok(())
    }

    /// Those of processes that died while they unpacked.
    fn remove_stale_locks(&self) -> Result<(), ImageError> {
        for layer in super::layers::digests_in(&self.dir.join("unpacking"))? {
            // Dropped, it takes its file with it.
            drop(self.try_unpacking(&layer)?);
        }
        Ok(())
    }
}

/// Out of everybody's sight; it is gone with the work. Whether it was there.
fn aside(work: &Work, path: &Path) -> Result<bool, ImageError> {
    let to: PathBuf = work.fresh("removed");
    match fs::rename(path, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        moved => moved.map(|()| true).context(|| path.display().to_string()),
    }
}
