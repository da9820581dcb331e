//! Which images there are, and what they are called.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    ImageConfig, ImageError, Place, config,
    digest::{self, Digest},
    error::Context,
    layers::{Layer, digests_in},
    name,
    work::{Work, settle},
};
use crate::lock::Lock;

/// An image that is here, unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Of its manifest, `sha256:` and 64 digits: the same in every registry. One that came without a
    /// manifest of its own was given one that says nothing but what it is.
    pub digest: String,
    /// Its names, as people write them: `alpine:latest`, not `docker.io/library/alpine:latest`.
    pub references: Vec<String>,
    /// What it says about its containers.
    pub config: ImageConfig,
    /// The directories of its layers, lowest first and none twice; what is in them is never changed.
    pub layers: Vec<PathBuf>,
    /// Bytes of its files, counted once a layer.
    pub size: u64,
    /// When it was made, if it says so, as it says it.
    pub created: Option<String>,
    /// All of its layers, also those of which nothing shows.
    diff_ids: Vec<Digest>,
}

/// Every name, in full, and whose it is.
type Names = BTreeMap<String, Digest>;

impl Place {
    pub(super) fn find(&self, text: &str) -> Result<Option<Image>, ImageError> {
        let names = self.names()?;
        match self.means(text, &names)? {
            Some(digest) => self.image(&digest, &names),
            None => Ok(None),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Image>, ImageError> {
        let names = self.names()?;
        let images = self.all_images()?;
        let images = images.iter().map(|digest| self.image(digest, &names));
        let mut images: Vec<Image> =
            images.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        images.sort_by(|a, b| (&a.references, &a.digest).cmp(&(&b.references, &b.digest)));
        Ok(images)
    }

    /// Which image people mean by `text`. It may not be there.
    pub(super) fn means(&self, text: &str, names: &Names) -> Result<Option<Digest>, ImageError> {
        if let Some(digits) = digest::beginning(text) {
            let all = self.all_images()?;
            let mut meant = all.into_iter().filter(|image| image.digits().starts_with(digits));
            let first = meant.next();
            if meant.next().is_some() {
                let words =
                    format!("{text} begins the digests of several images: write more of it");
                return Err(ImageError::Image(words));
            }
            return Ok(first);
        }
        let reference = name::parse(text)?;
        let known = names.get(&name::kept(&reference)).cloned();
        // An image that has the digest is the image, whatever it was called when it came.
        let digest = reference.digest().and_then(|digest| Digest::parse(digest).ok());
        Ok(known.or_else(|| digest.filter(|digest| self.image_dir(digest).exists())))
    }

    /// `None` when it is not there, or not all of it.
    pub(super) fn image(
        &self,
        digest: &Digest,
        names: &Names,
    ) -> Result<Option<Image>, ImageError> {
        let text = match fs::read(self.image_dir(digest).join("config.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.context(|| format!("the image {digest}"))?,
        };
        let whole = config::parse(&text).context(|| format!("the image {digest}"))?;
        let diff_ids = config::layers(&whole).context(|| format!("the image {digest}"))?;
        let mut layers = Vec::new();
        let mut sizes = BTreeMap::new();
        for diff_id in &diff_ids {
            let Some(Layer { size, opaque, .. }) = self.layer(diff_id)? else { return Ok(None) };
            if opaque {
                layers.clear();
            }
            // The kernel takes none twice, and of one that is there again the upper hides the lower.
            let root = self.layer_root(diff_id);
            layers.retain(|lower| *lower != root);
            layers.push(root);
            sizes.insert(diff_id, size);
        }
        let mine = names.iter().filter(|(_, its)| *its == digest);
        Ok(Some(Image {
            digest: digest.to_string(),
            references: mine.map(|(name, _)| name::short(name).to_owned()).collect(),
            config: ImageConfig::from(&whole),
            layers,
            size: sizes.values().sum(),
            created: whole.created().clone(),
            diff_ids,
        }))
    }

    /// The layers that an image has, as far as it is there and can be read. One that can not is of no
    /// use to anybody, and must not keep others from being removed.
    pub(super) fn layers_of(&self, digest: &Digest) -> Result<BTreeSet<Digest>, ImageError> {
        let text = match fs::read(self.image_dir(digest).join("config.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            text => text.context(|| format!("the image {digest}"))?,
        };
        match config::parse(&text).and_then(|whole| config::layers(&whole)) {
            Ok(layers) => Ok(layers.into_iter().collect()),
            Err(error) => {
                tracing::warn!(image = %digest, %error, "an image can not be read");
                Ok(BTreeSet::new())
            }
        }
    }

    /// Adds an image whose layers are there, under these names, which were others' until now.
    pub(super) fn add_image(
        &self,
        work: &Work,
        manifest: &[u8],
        config: &[u8],
        called: &[String],
    ) -> Result<Image, ImageError> {
        let digest = Digest::of(manifest);
        let held = self.change()?;
        let added = || {
            let new = work.at("image");
            fs::create_dir(&new)?;
            write_durably(&new.join("manifest.json"), manifest)?;
            write_durably(&new.join("config.json"), config)?;
            settle(&new)?;
            let images = self.dir.join("images");
            match fs::rename(&new, self.image_dir(&digest)) {
                // It was there, and is the same by its digest.
                Err(error) if is_there(&error) => fs::remove_dir_all(&new),
                renamed => renamed.and_then(|()| settle(&images)),
            }
        };
        added().context(|| format!("the image {digest}"))?;
        let mut names = self.names()?;
        names.extend(called.iter().map(|name| (name.clone(), digest.clone())));
        self.write_names(&names, &held)?;
        self.image(&digest, &names)?.ok_or_else(|| {
            ImageError::Passing(format!("the image {digest} lost a layer while it was added"))
        })
    }

    pub(super) fn names(&self) -> Result<Names, ImageError> {
        match fs::read(self.dir.join("names.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Names::new()),
            text => {
                let names =
                    text.and_then(|it| serde_json::from_slice(&it).map_err(io::Error::from));
                names.context(|| "the image store's names.json")
            }
        }
    }

    pub(super) fn write_names(&self, names: &Names, _held: &Lock) -> Result<(), ImageError> {
        let written = || {
            let new = self.dir.join("names.json.new");
            write_durably(&new, &serde_json::to_vec_pretty(names)?)?;
            fs::rename(&new, self.dir.join("names.json"))?;
            settle(&self.dir)
        };
        written().context(|| "the image store's names.json")
    }

    pub(super) fn all_images(&self) -> Result<Vec<Digest>, ImageError> {
        digests_in(&self.dir.join("images"))
    }

    pub(super) fn image_dir(&self, digest: &Digest) -> PathBuf {
        self.dir.join("images").join(digest.digits())
    }
}

impl Image {
    pub(super) fn diff_ids(&self) -> &[Digest] {
        &self.diff_ids
    }
}

/// What a rename onto a directory that is not empty says, by file system.
pub(super) fn is_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// A file that is whole after a power cut, once its directory is.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
