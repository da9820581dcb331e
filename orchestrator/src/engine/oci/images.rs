//! The images of this engine's own store.

use async_trait::async_trait;
use fileyard_oci::image::{Fault, ImageError};

use super::{OciEngine, blocking};
use crate::engine::{EngineError, Images, Pull};

#[async_trait]
impl Images for OciEngine {
    async fn ensure(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        let (images, name) = (self.images.clone(), image.to_owned());
        let found = blocking(move || images.find(&name).map_err(|error| trouble(&error))).await?;
        match (pull, found) {
            (Pull::Missing | Pull::Never, Some(_)) => return Ok(()),
            (Pull::Never, None) => return Err(EngineError::NoImage(image.to_owned())),
            (Pull::Always, _) | (Pull::Missing, None) => {}
        }
        let pulled = self.images.pull(image, &self.pulls, progress).await;
        pulled.map(drop).map_err(|error| trouble(&error))
    }

    /// Its manifest's digest.
    async fn resolve(&self, image: &str) -> Result<Option<String>, EngineError> {
        let (images, name) = (self.images.clone(), image.to_owned());
        let found = blocking(move || images.find(&name).map_err(|error| trouble(&error))).await?;
        Ok(found.map(|image| image.digest))
    }
}

/// An image's fault stays one; the machine's and a registry's may pass.
pub(super) fn trouble(error: &ImageError) -> EngineError {
    let words = error.to_string();
    match error.kind() {
        Fault::Image | Fault::NotFound => EngineError::Rejected(words),
        Fault::NoSpace => EngineError::NoSpace(words),
        Fault::Passing => EngineError::Trouble(words),
    }
}
