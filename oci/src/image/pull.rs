//! Images from a registry.

use super::{Image, ImageError, Store, name};

/// How an image is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {}

impl Store {
    /// Fetches an image.
    ///
    /// # Errors
    /// Always, so far: registries are not spoken to yet.
    pub async fn pull(
        &self,
        reference: &str,
        _options: &PullOptions,
        _progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Image, ImageError> {
        let name = name::parse(reference)?;
        Err(ImageError::Image(format!("{name}: this version can not pull images: import it")))
    }
}
