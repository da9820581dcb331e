//! Whose store it is, and whether it can be used at all: asked once, at start.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{
    BlobError, BlobKey, BlobStore,
    store::{Home, Span},
};
use crate::id::InstallId;

/// How long [`BlobStore::ready`] waits.
const READY: Duration = Duration::from_secs(3);

/// The object that says whose store this is.
#[derive(Serialize, Deserialize)]
struct Marker {
    install: String,
}

impl BlobStore {
    /// Makes sure that this is our store and that it can be written, read and deleted from. A store
    /// without a marker becomes ours.
    ///
    /// # Errors
    /// [`BlobError::OtherInstall`]; [`BlobError::Misconfigured`] or [`BlobError::Unavailable`] with
    /// what is wrong and what to do about it.
    pub async fn claim(&self, install: InstallId) -> Result<(), BlobError> {
        let owner = self.owner().await?;
        if let Some(owner) = &owner {
            self.must_be(install, owner)?;
        }
        self.probe().await?;
        if owner.is_none() {
            self.mark(install).await?;
            // Another may have marked it at the same time: the last one has it, both see who.
            let owner = self.owner().await?.unwrap_or_default();
            self.must_be(install, &owner)?;
        }
        Ok(())
    }

    /// What [`BlobStore::claim`] would say, without making the store ours: whether it is already.
    /// Of an install that is not drawn yet (`None`) no store can be.
    ///
    /// # Errors
    /// As [`BlobStore::claim`].
    pub async fn examine(&self, install: Option<InstallId>) -> Result<bool, BlobError> {
        let owner = self.owner().await?;
        match (&owner, install) {
            (Some(owner), Some(install)) => self.must_be(install, owner)?,
            (Some(owner), None) => {
                let (store, owner) = (self.name(), owner.clone());
                return Err(BlobError::OtherInstall { store, owner, ours: "a new one".into() });
            }
            (None, _) => {}
        }
        self.probe().await?;
        Ok(owner.is_some())
    }

    /// Makes this our store, whosever it was.
    ///
    /// # Errors
    /// [`BlobError`] when it cannot be used.
    pub async fn take_over(&self, install: InstallId) -> Result<(), BlobError> {
        self.probe().await?;
        self.mark(install).await
    }

    /// Whether the store answers now, and still has its marker. Takes a few seconds at most.
    ///
    /// # Errors
    /// [`BlobError`] with what is wrong.
    pub async fn ready(&self) -> Result<(), BlobError> {
        let asked = tokio::time::timeout(READY, async {
            if let Home::Local(home) = self.home() {
                home.ready().await?;
            }
            self.owner().await
        });
        match asked.await {
            Ok(Ok(Some(_))) => Ok(()),
            Ok(Ok(None)) => Err(BlobError::Misconfigured(format!(
                "{} has lost the object {:?}, which says whose it is; was it emptied?",
                self.name(),
                BlobKey::Marker.path()
            ))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BlobError::Unavailable(format!(
                "{} did not answer in {} s",
                self.name(),
                READY.as_secs()
            ))),
        }
    }

    /// As people know it.
    #[must_use]
    pub fn name(&self) -> String {
        match self.home() {
            Home::Local(home) => home.root().display().to_string(),
            Home::Remote(home) => home.name().to_owned(),
        }
    }

    fn must_be(&self, install: InstallId, owner: &str) -> Result<(), BlobError> {
        let ours = install.to_string();
        if owner == ours {
            return Ok(());
        }
        Err(BlobError::OtherInstall { store: self.name(), owner: owner.to_owned(), ours })
    }

    /// Who the marker says.
    async fn owner(&self) -> Result<Option<String>, BlobError> {
        let text = match self.read_now(&BlobKey::Marker).await {
            Err(BlobError::NotFound(_)) => return Ok(None),
            text => text?,
        };
        match serde_json::from_slice::<Marker>(&text) {
            Ok(marker) => Ok(Some(marker.install)),
            // Not ours to overwrite, whatever it is.
            Err(_) => Ok(Some("its marker cannot be read".into())),
        }
    }

    async fn mark(&self, install: InstallId) -> Result<(), BlobError> {
        let marker = Marker { install: install.to_string() };
        let text = serde_json::to_vec(&marker).expect("a string is JSON");
        self.write_now(&BlobKey::Marker, text.into()).await
    }

    /// Writes, reads, lists uploads and deletes.
    async fn probe(&self) -> Result<(), BlobError> {
        let sent = Bytes::from(rand::random::<u128>().to_string());
        let odd = |what: &str| {
            Err(BlobError::Misconfigured(format!(
                "{} {what}: is that an S3-compatible store?",
                self.name()
            )))
        };
        match self.write_now(&BlobKey::Probe, sent.clone()).await {
            Err(BlobError::NotFound(_)) => return odd("answers \"not found\" to a write"),
            done => done?,
        }
        let read = match self.read_now(&BlobKey::Probe).await {
            Err(BlobError::NotFound(_)) => return odd("does not have what was just written to it"),
            read => read?,
        };
        // A permission of its own, which a crash is no time to find missing.
        self.abort_open(&BlobKey::Probe).await?;
        self.delete(&BlobKey::Probe).await?;
        if read == sent { Ok(()) } else { odd("gives back other bytes than were written to it") }
    }

    async fn write_now(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        match self.home() {
            Home::Remote(home) => home.put_now(key, bytes).await,
            Home::Local(home) => {
                let mut session = home.session(key).await?;
                session.write(bytes).await?;
                session.finish().await
            }
        }
    }

    async fn read_now(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        match self.home() {
            Home::Remote(home) => home.get_now(key).await,
            Home::Local(home) => {
                let read = home.get(key, &Span(None)).await?;
                let chunks: Vec<Bytes> = read.stream.try_collect().await?;
                Ok(chunks.concat().into())
            }
        }
    }
}
