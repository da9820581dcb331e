//! Images from tars: what `docker save` writes, an OCI layout, or a root file system.

mod docker;
mod input;
mod layout;

use std::{
    io::{BufReader, Read},
    path::Path,
};

use oci_spec::image::{
    Config, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfiguration,
    ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os, RootFsBuilder, SCHEMA_VERSION,
    Sha256Digest,
};

use self::input::Input;
use super::{
    Image, ImageError, Place, config, digest::Digest, error::Context, layers::Layer, name,
    work::Work,
};

/// Where a tar comes from; compressed or not.
pub enum Tar<'a> {
    /// A file.
    File(&'a Path),
    /// Anything else, as standard input. It is kept on disk while it is looked at.
    Stream(&'a mut dyn Read),
}

/// What a tar does not say itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What the image is called: needed for a root file system, and instead of the names in other
    /// tars.
    pub name: Option<String>,
    /// Of the image that a root file system becomes.
    pub entrypoint: Vec<String>,
    /// The same.
    pub command: Vec<String>,
    /// The same: `NAME=value` each.
    pub env: Vec<String>,
    /// The same.
    pub working_dir: String,
}

impl Place {
    pub(super) fn import(
        &self,
        tar: Tar<'_>,
        options: &ImportOptions,
    ) -> Result<Vec<Image>, ImageError> {
        let name = options.name.as_deref().map(name::parse).transpose()?;
        let name = name.map(|name| name::kept(&name));
        let said = match &tar {
            Tar::File(path) => path.display().to_string(),
            Tar::Stream(_) => "the tar".to_owned(),
        };
        let imported = || {
            let work = self.work()?;
            let input = Input::read(tar, &work, &self.limits)?;
            if input.has("oci-layout") && input.has("index.json") {
                only_name(options)?;
                self.import_layout(&work, &input, name)
            } else if input.has("manifest.json") {
                only_name(options)?;
                self.import_docker(&work, &input, name)
            } else {
                self.import_root(&work, &input, name, options).map(|image| vec![image])
            }
        };
        let imported = imported();
        imported.map_err(|error| error.of(said))
    }

    fn import_root(
        &self,
        work: &Work,
        input: &Input,
        name: Option<String>,
        options: &ImportOptions,
    ) -> Result<Image, ImageError> {
        let name = name.ok_or_else(|| {
            let words = "it is neither what docker save writes nor an OCI layout: to import it as a \
                         root file system, give the image a name with -t";
            ImageError::Image(words.into())
        })?;
        let (diff_id, layer) = self.add_unknown(work, BufReader::new(input.whole()?))?;
        let config = ConfigBuilder::default()
            .entrypoint(options.entrypoint.clone())
            .cmd(options.command.clone())
            .env(variables(&options.env)?)
            .working_dir(options.working_dir.clone());
        let config = config.build().expect("nothing of it is required");
        self.add_made(work, &diff_id, &layer, config, &name)
    }

    /// An image of one layer that was made here.
    pub(super) fn add_made(
        &self,
        work: &Work,
        diff_id: &Digest,
        layer: &Layer,
        config: Config,
        name: &str,
    ) -> Result<Image, ImageError> {
        let root = RootFsBuilder::default()
            .typ("layers")
            .diff_ids(vec![diff_id.to_string()])
            .build()
            .expect("all of it is there");
        let whole = ImageConfigurationBuilder::default()
            .os(Os::Linux)
            .architecture(config::architecture())
            .config(config)
            .rootfs(root)
            .build()
            .expect("all of it is there");
        let text = serde_json::to_vec(&whole).map_err(std::io::Error::from)?;
        config::parse(&text)?;
        let manifest = manifest(&text, &[(diff_id.clone(), layer.tar_size)])?;
        self.add_image(work, &manifest, &text, &[name.to_owned()])
    }
}

/// A manifest for an image that came without one: the layers as they are, and nothing else.
fn manifest(config: &[u8], layers: &[(Digest, u64)]) -> Result<Vec<u8>, ImageError> {
    let layers = layers.iter().map(|(layer, size)| descriptor(MediaType::ImageLayer, *size, layer));
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, config.len() as u64, &Digest::of(config)))
        .layers(layers.collect::<Vec<_>>())
        .build()
        .expect("all of it is there");
    Ok(serde_json::to_vec(&manifest).map_err(std::io::Error::from)?)
}

fn descriptor(kind: MediaType, size: u64, digest: &Digest) -> Descriptor {
    let digest: Sha256Digest = digest.digits().parse().expect("it is well-formed");
    let descriptor = DescriptorBuilder::default().media_type(kind).size(size).digest(digest);
    descriptor.build().expect("all of it is there")
}

/// A config that is of use here, and its layers, lowest first.
pub(super) fn usable(text: &[u8]) -> Result<(ImageConfiguration, Vec<Digest>), ImageError> {
    let whole = config::parse(text)?;
    config::for_this_machine(&whole)?;
    let layers = config::layers(&whole)?;
    Ok((whole, layers))
}

/// Variables as they are set: `NAME=value`.
pub(super) fn variables(env: &[String]) -> Result<Vec<String>, ImageError> {
    let wrong = env.iter().find(|variable| {
        let name = variable.split_once('=').map(|(name, _)| name);
        name.is_none_or(str::is_empty) || variable.contains('\0')
    });
    match wrong {
        Some(wrong) => {
            Err(ImageError::Image(format!("{wrong:?} is no variable: write NAME=value")))
        }
        None => Ok(env.to_vec()),
    }
}

/// Other tars have a config of their own.
fn only_name(options: &ImportOptions) -> Result<(), ImageError> {
    let name = options.name.clone();
    if *options == (ImportOptions { name, ..ImportOptions::default() }) {
        return Ok(());
    }
    Err(ImageError::Image(
        "it says its entry point and environment itself: they are only given for a root file system"
            .into(),
    ))
}

/// Bounds an image's layers together.
pub(super) struct Room(u64);

impl Room {
    pub(super) fn of(place: &Place) -> Self {
        Self(place.limits.image_bytes)
    }

    /// What the next layer may be at most.
    pub(super) fn left(&self) -> u64 {
        self.0
    }

    pub(super) fn take(&mut self, layer: &Layer) {
        self.0 = self.0.saturating_sub(layer.tar_size);
    }
}

/// For errors: which of how many layers.
pub(super) fn nth(n: usize, layers: usize) -> String {
    format!("layer {} of {layers}", n + 1)
}

/// Of an image's name, or of how many there are.
fn only_one(name: Option<String>, images: usize) -> Result<Option<String>, ImageError> {
    if name.is_some() && images != 1 {
        let words = format!("there are {images} images in it, which can not all have one name");
        return Err(ImageError::Image(words));
    }
    Ok(name)
}

/// Names in a tar.
fn parse_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, ImageError> {
    let names = names.into_iter().map(|text| name::parse(text).map(|name| name::kept(&name)));
    names.collect::<Result<_, _>>().context(|| "a name in it")
}
