//! What an image says about the containers that are made of it.

use std::env::consts;

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, Os};

use super::{ImageError, digest::Digest};

/// How many variables an image may set, and their bytes together: beyond that no program starts.
const MOST_VARIABLES: usize = 10_000;
const MOST_VARIABLE_BYTES: usize = 1 << 20;
/// Layers of an image. Of so many the kernel makes one root.
pub(super) const MOST_LAYERS: usize = 120;

/// What a container of an image is, where nothing else is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// The rest of them; the program too, where there is no `entrypoint`.
    pub command: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// Empty for the root.
    pub working_dir: String,
    /// Directories that want to be written to, sorted.
    pub volumes: Vec<String>,
    /// Who runs the program, as the image has it: a name or a number, maybe with a group. Empty for
    /// root.
    pub user: String,
}

/// An image's config, read and found to be of use on this machine.
pub(super) fn parse(text: &[u8]) -> Result<ImageConfiguration, ImageError> {
    let config: ImageConfiguration = serde_json::from_slice(text)
        .map_err(|why| ImageError::Image(format!("its config is no image config: {why}")))?;
    let env = config.config().as_ref().and_then(|it| it.env().as_deref()).unwrap_or_default();
    let bytes: usize = env.iter().map(|variable| variable.len() + 1).sum();
    if env.len() > MOST_VARIABLES || bytes > MOST_VARIABLE_BYTES {
        return Err(ImageError::Image(format!(
            "it sets {} environment variables of {bytes} bytes: {MOST_VARIABLES} of \
             {MOST_VARIABLE_BYTES} bytes are the most that a program can be started with",
            env.len()
        )));
    }
    Ok(config)
}

/// That its programs can run here.
pub(super) fn for_this_machine(config: &ImageConfiguration) -> Result<(), ImageError> {
    if (config.os(), config.architecture()) == (&Os::Linux, &architecture()) {
        return Ok(());
    }
    Err(ImageError::Image(format!(
        "it is for {}/{}, and this machine is linux/{}: take or build the image for this platform",
        config.os(),
        config.architecture(),
        architecture()
    )))
}

/// This machine's, as images name it.
pub(super) fn architecture() -> Arch {
    match consts::ARCH {
        "x86_64" => Arch::Amd64,
        "aarch64" => Arch::ARM64,
        "x86" => Arch::i386,
        "arm" => Arch::ARM,
        "riscv64" => Arch::RISCV64,
        "s390x" => Arch::s390x,
        "powerpc64" => Arch::PowerPC64le,
        other => Arch::Other(other.to_owned()),
    }
}

/// Its layers, lowest first, by what they are before they are compressed.
pub(super) fn layers(config: &ImageConfiguration) -> Result<Vec<Digest>, ImageError> {
    let layers = config.rootfs().diff_ids();
    if layers.len() > MOST_LAYERS {
        let words = format!("it has {} layers; {MOST_LAYERS} are the most", layers.len());
        return Err(ImageError::Image(words));
    }
    layers.iter().map(|layer| Digest::parse(layer)).collect()
}

impl From<&ImageConfiguration> for ImageConfig {
    fn from(whole: &ImageConfiguration) -> Self {
        let Some(config) = whole.config() else { return Self::default() };
        let mut volumes = config.volumes().clone().unwrap_or_default();
        volumes.sort();
        Self {
            entrypoint: config.entrypoint().clone().unwrap_or_default(),
            command: config.cmd().clone().unwrap_or_default(),
            env: config.env().clone().unwrap_or_default(),
            working_dir: config.working_dir().clone().unwrap_or_default(),
            volumes,
            user: config.user().clone().unwrap_or_default(),
        }
    }
}

/// Where there are images for several machines, those for this one. What is no image at all, as a
/// signature, is passed over.
pub(super) fn of_this_machine(all: &[Descriptor]) -> Result<Vec<&Descriptor>, ImageError> {
    let fits = |described: &&Descriptor| {
        described.platform().as_ref().is_none_or(|platform| {
            (platform.os(), platform.architecture()) == (&Os::Linux, &architecture())
        })
    };
    let fitting: Vec<&Descriptor> = all.iter().filter(fits).collect();
    if !fitting.is_empty() {
        return Ok(fitting);
    }
    let others = all.iter().filter_map(|it| it.platform().as_ref());
    let others = others.map(|it| format!("{}/{}", it.os(), it.architecture()));
    let others: Vec<String> = others.filter(|it| it != "unknown/unknown").collect();
    if others.is_empty() {
        return Err(ImageError::Image(NOT_IMAGES.into()));
    }
    Err(ImageError::Image(format!(
        "it is for {}, and this machine is linux/{}: take or build the image for this platform",
        others.join(", "),
        architecture()
    )))
}

/// Of a list without an image.
pub(super) const NOT_IMAGES: &str = "there is no image in it";

/// Whether it is a list of images, and not an image's manifest. By what is in it: not everybody says
/// so.
pub(super) fn is_list(manifest: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct List {
        #[serde(rename = "manifests")]
        _manifests: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<List>(manifest).is_ok()
}
