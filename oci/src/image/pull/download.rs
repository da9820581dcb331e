//! A blob into a file, however often its connection breaks.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use oci_client::client::BlobResponse;
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncSeekExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    patience::Patience,
    registry::{Registry, not_so},
};
use crate::image::{ImageError, digest::Digest, error::Context};

/// A blob that does not come faster is as good as stalled: bytes in a window.
const WINDOW: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 64 << 10;

type Bytes = BoxStream<'static, std::io::Result<bytes::Bytes>>;

/// One blob on its way.
pub(super) struct Download<'a> {
    registry: &'a Registry<'a>,
    digest: Digest,
    size: u64,
    path: PathBuf,
    /// What is in the file already.
    have: u64,
    hash: Sha256,
}

impl<'a> Download<'a> {
    pub(super) fn new(
        registry: &'a Registry<'a>,
        digest: Digest,
        size: u64,
        path: PathBuf,
    ) -> Self {
        Self { registry, digest, size, path, have: 0, hash: Sha256::new() }
    }

    /// Until the whole blob is in the file, and is what its digest says. `progress` is told how much
    /// there is of it.
    pub(super) async fn run(mut self, progress: &(dyn Fn(u64) + Sync)) -> Result<(), ImageError> {
        let file = OpenOptions::new().write(true).create_new(true).open(&self.path).await;
        let mut file = file.context(|| self.path.display().to_string())?;
        let mut patience = Patience::of(self.registry.options);
        loop {
            let before = self.have;
            let Err(error) = self.go_on(&mut file, progress).await else { break };
            // One that gets on has all the patience again.
            if self.have > before + SLOWEST {
                patience = Patience::of(self.registry.options);
            }
            patience.bear(error, self.registry.progress).await?;
        }
        let found = Digest::finish(self.hash);
        if found == self.digest { Ok(()) } else { Err(not_so(&self.digest)) }
    }

    /// From where it broke off to the end.
    async fn go_on(
        &mut self,
        file: &mut File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ImageError> {
        let mut bytes = self.open(file).await?;
        let mut window = (Instant::now(), self.have);
        while self.have < self.size {
            let refusals = &self.registry.refusals;
            let next = timeout(self.registry.options.silence, bytes.next()).await;
            let piece = match next.map_err(|_| refusals.silent())? {
                Some(piece) => piece.map_err(|error| refusals.broke_off(&error))?,
                None => return Err(self.too_short()),
            };
            self.have += piece.len() as u64;
            if self.have > self.size {
                return Err(self.too_long());
            }
            self.hash.update(&piece);
            file.write_all(&piece).await.context(|| self.path.display().to_string())?;
            progress(self.have);
            if window.0.elapsed() > WINDOW {
                if self.have < window.1 + SLOWEST {
                    return Err(self.registry.refusals.silent());
                }
                window = (Instant::now(), self.have);
            }
        }
        file.flush().await.context(|| self.path.display().to_string())
    }

    /// The bytes from where it broke off. Who can not begin there begins anew.
    async fn open(&mut self, file: &mut File) -> Result<Bytes, ImageError> {
        let Registry { client, reference, refusals, options, .. } = self.registry;
        let digest = self.digest.to_string();
        let asked = async {
            if self.have == 0 {
                let whole = client.pull_blob_stream(reference, digest.as_str()).await?;
                return Ok(BlobResponse::Full(whole));
            }
            client.pull_blob_stream_partial(reference, digest.as_str(), self.have, None).await
        };
        let answer = timeout(options.silence * 2, asked).await.map_err(|_| refusals.silent())?;
        match answer.map_err(|error| refusals.no_blob(&error))? {
            BlobResponse::Partial(rest) => Ok(rest.stream),
            BlobResponse::Full(whole) => {
                file.rewind().await.context(|| self.path.display().to_string())?;
                file.set_len(0).await.context(|| self.path.display().to_string())?;
                (self.have, self.hash) = (0, Sha256::new());
                Ok(whole.stream)
            }
        }
    }

    fn too_short(&self) -> ImageError {
        ImageError::Passing(format!(
            "{} broke off: {} of {} bytes came",
            self.registry.host(),
            self.have,
            self.size
        ))
    }

    fn too_long(&self) -> ImageError {
        ImageError::Image(format!(
            "{} has more bytes than the {} that the image's manifest says: the manifest is wrong",
            self.digest, self.size
        ))
    }
}
