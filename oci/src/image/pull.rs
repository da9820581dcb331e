//! Images from a registry.
//!
//! What is downloaded is kept aside and verified before it is unpacked, and no image is seen before all
//! of it is here. Whoever drops a pull ends it: what it was at stops at once and is removed. It runs no
//! credential helper, and speaks plain HTTP with this machine alone.

mod download;
mod layers;
mod patience;
mod refusal;
mod registry;

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use oci_client::Reference;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use tokio::task::spawn_blocking;

use self::{layers::Layers, registry::Registry};
use super::{
    Image, ImageError, Place, Store,
    config::{self, NOT_IMAGES},
    digest::Digest,
    error::Context,
    import::usable,
    name,
    work::Work,
};
use crate::credentials;

/// Lists of images that are looked into.
const MOST_NESTED: usize = 4;

/// How an image is pulled.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// The file with registries' credentials, as `docker login` writes it.
    pub credentials: Option<PathBuf>,
    /// Who is asked first, by the registry that is meant: `docker.io` by `mirror.example:5000`. What a
    /// mirror can not give, its registry is asked for.
    pub mirrors: BTreeMap<String, String>,
    /// How long a registry may be silent.
    pub silence: Duration,
    /// How often it is asked again for what may work the next time, and after how long; after twice as
    /// long the time after that.
    pub again: u32,
    /// See `again`.
    pub pause: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            credentials: credentials::default_file(),
            mirrors: BTreeMap::new(),
            silence: Duration::from_secs(30),
            again: 3,
            pause: Duration::from_secs(1),
        }
    }
}

impl Store {
    /// Fetches an image for this machine, or finds that what is here is what the registry has. `progress`
    /// is told how far it is, a few times a second at most.
    ///
    /// # Errors
    /// [`super::Fault::NotFound`] when the registry has none by this name, [`super::Fault::Image`] when
    /// it refuses or the image is no good, [`super::Fault::Passing`] when it is in trouble, and
    /// [`super::Fault::NoSpace`].
    pub async fn pull(
        &self,
        reference: &str,
        options: &PullOptions,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Image, ImageError> {
        let reference = name::parse(reference)?;
        let name = name::kept(&reference);
        let said = || format!("cannot pull {}", name::short(&name));
        if let Some(mirror) = options.mirrors.get(reference.registry()) {
            let mut there = reference.clone();
            there.set_mirror_registry(mirror.clone());
            // Its registry is asked next, and not the mirror again.
            let once = PullOptions { again: 0, ..options.clone() };
            match Pull::begin(&self.0, there, &once, progress)?.run(&name).await {
                // There is no more room for what comes from elsewhere.
                Err(error @ ImageError::NoSpace(_)) => return Err(error.of(said())),
                Err(error) => {
                    progress(format!("its mirror is of no use: {error}"));
                    tracing::info!(mirror, %name, %error, "a mirror was of no use");
                }
                pulled => return pulled,
            }
        }
        let pull =
            Pull::begin(&self.0, reference, options, progress).map_err(|it| it.of(said()))?;
        pull.run(&name).await.map_err(|error| error.of(said()))
    }
}

/// One pull from one registry.
struct Pull<'a> {
    place: Arc<Place>,
    registry: Registry<'a>,
    progress: &'a (dyn Fn(String) + Send + Sync),
}

impl<'a> Pull<'a> {
    fn begin(
        place: &Arc<Place>,
        reference: Reference,
        options: &'a PullOptions,
        progress: &'a (dyn Fn(String) + Send + Sync),
    ) -> Result<Self, ImageError> {
        let registry = Registry::new(reference, options, progress)?;
        Ok(Self { place: place.clone(), registry, progress })
    }

    async fn run(self, name: &str) -> Result<Image, ImageError> {
        (self.progress)(format!("asking {}", self.registry.host()));
        let (text, manifest) = self.manifest().await?;
        let place = self.place.clone();
        let work = Arc::new(blocking(move || place.work()).await?);
        let pulled = self.content(&work, text, &manifest, name.to_owned()).await;
        // What a failed pull was at ends by itself; until then something is left of it.
        while Arc::strong_count(&work) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        blocking(move || {
            drop(work);
            pulled
        })
        .await
    }

    /// The manifest for this machine, out of as many lists as it is in.
    async fn manifest(&self) -> Result<(Vec<u8>, ImageManifest), ImageError> {
        let mut text = self.registry.manifest().await?;
        for _ in 0..MOST_NESTED {
            if !config::is_list(&text) {
                let manifest = parse_manifest(&text)?;
                return Ok((text, manifest));
            }
            let index: ImageIndex = serde_json::from_slice(&text)
                .map_err(|why| ImageError::Image(format!("its list of images is none: {why}")))?;
            let mine = config::of_this_machine(index.manifests())?;
            let mine = mine.first().ok_or_else(|| ImageError::Image(NOT_IMAGES.into()))?;
            text = self.registry.described(mine).await?;
        }
        Err(ImageError::Image("its lists of images do not end".into()))
    }

    async fn content(
        &self,
        work: &Arc<Work>,
        text: Vec<u8>,
        manifest: &ImageManifest,
        name: String,
    ) -> Result<Image, ImageError> {
        let config = self.registry.small(work, manifest.config()).await?;
        let (_, diff_ids) = usable(&config)?;
        let layers = Layers::new(self, work, &diff_ids, manifest.layers())?;
        layers.fetch().await?;
        (self.progress)("all layers are here".into());
        let (place, work) = (self.place.clone(), work.clone());
        blocking(move || place.add_image(&work, &text, &config, &[name])).await
    }
}

fn parse_manifest(text: &[u8]) -> Result<ImageManifest, ImageError> {
    serde_json::from_slice(text).map_err(|why| {
        ImageError::Image(format!(
            "what its registry has for a manifest is none, or one of the first schema that nobody \
             writes any more: push the image again ({why})"
        ))
    })
}

/// Where and what a blob is, checked.
fn described(descriptor: &Descriptor) -> Result<(Digest, u64), ImageError> {
    Ok((Digest::parse(descriptor.digest().as_ref())?, descriptor.size()))
}

/// Does what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(io::Error::other(ImageError::Passing(error.to_string())))
                .context(|| "fileyard is about to end"),
        },
    }
}
