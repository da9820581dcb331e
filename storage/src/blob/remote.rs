//! Blobs as objects: on an S3-compatible service, or in memory. Both speak `MultipartStore`, so
//! that what tests see in memory is the code that S3 sees.
//!
//! Every call is bounded: `object_store` retries what is worth it for some seconds, and a store
//! that is silent is given up on here.

mod read;
mod s3;
mod session;
mod uploads;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, memory::InMemory,
    multipart::MultipartStore, path::Path,
};

pub(super) use self::session::Session;

use self::{s3::Place, uploads::Uploads};
use super::{BlobConfig, BlobError, BlobKey, BlobRead, part::MIB, store::Span};

/// How long one small call may take, retries and all.
const CALL: Duration = Duration::from_secs(30);

/// How long joining the parts may take: a store may copy them.
const JOIN: Duration = Duration::from_secs(120);
/// Objects of one job that are removed at a time.
const AT_ONCE: usize = 8;

/// Both halves of what a service can do.
pub(super) trait Api: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Api for T {}

/// A place on an object store.
#[derive(Debug)]
pub(super) struct Remote {
    api: Arc<dyn Api>,
    /// The same without retries, for questions whose answer somebody waits for.
    quick: Arc<dyn Api>,
    /// None where what a process leaves open dies with it.
    uploads: Option<Uploads>,
    place: Place,
    prefix: String,
}

impl Remote {
    pub(super) fn memory() -> Self {
        let api = Arc::new(InMemory::new());
        let (quick, place) = (api.clone(), Place::memory());
        Self { api, quick, uploads: None, place, prefix: String::new() }
    }

    pub(super) fn s3(config: &BlobConfig, bucket: &str, prefix: &str) -> Result<Self, BlobError> {
        let (api, quick) = (s3::patient(config, bucket)?, s3::quick(config, bucket)?);
        let uploads = Some(Uploads::new(config, quick.clone())?);
        let (place, prefix) = (Place::s3(config, bucket, prefix), prefix.to_owned());
        Ok(Self { api, quick, uploads, place, prefix })
    }

    /// As people know it.
    pub(super) fn name(&self) -> &str {
        self.place.name()
    }

    fn path(&self, path: &str) -> Path {
        if self.prefix.is_empty() {
            Path::from(path)
        } else {
            Path::from(format!("{}/{path}", self.prefix))
        }
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        key: &BlobKey,
        span: &Span,
    ) -> Result<BlobRead, BlobError> {
        let path = self.path(&key.path());
        let empty = |size| BlobRead { size, stream: Box::pin(futures::stream::empty()) };
        // An empty range cannot be asked for.
        if span.0.as_ref().is_some_and(std::ops::Range::is_empty) {
            return self.size(&path).await.map(empty);
        }
        let range = span.0.clone().map(GetRange::Bounded);
        let options = GetOptions { range, ..GetOptions::default() };
        match self.call(CALL, "read", self.api.get_opts(&path, options)).await {
            Ok(result) => {
                let size = result.meta.size;
                Ok(BlobRead { size, stream: read::resuming(Arc::clone(self), path, result) })
            }
            Err(BlobError::NotFound(path)) => Err(BlobError::NotFound(path)),
            Err(error) => match &span.0 {
                // Behind the end, which services answer in as many ways as there are services.
                Some(range) => match self.size(&path).await {
                    Ok(size) if size <= range.start => Ok(empty(size)),
                    _ => Err(error),
                },
                None => Err(error),
            },
        }
    }

    async fn size(&self, path: &Path) -> Result<u64, BlobError> {
        Ok(self.call(CALL, "look at", self.api.head(path)).await?.size)
    }

    /// A few bytes, whole, without a retry.
    pub(super) async fn put_now(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        let path = self.path(&key.path());
        let put = self.quick.put_opts(&path, bytes.into(), PutOptions::default());
        self.call(CALL, "write", put).await.map(drop)
    }

    /// A few bytes, whole, without a retry.
    pub(super) async fn get_now(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        let path = self.path(&key.path());
        let get = async { self.quick.get(&path).await?.bytes().await };
        self.call(CALL, "read", get).await
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.delete_path(&self.path(&key.path())).await
    }

    /// Everything below `dir`.
    pub(super) async fn delete_all(&self, dir: &str) -> Result<(), BlobError> {
        let paths: Vec<_> = self.list(dir).await?.iter().map(|path| self.path(path)).collect();
        let each = paths.iter().map(|path| self.delete_path(path).boxed());
        stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn delete_path(&self, path: &Path) -> Result<(), BlobError> {
        gone_is_gone(self.call(CALL, "remove", self.api.delete(path)).await)
    }

    pub(super) async fn abort(&self, key: &BlobKey, id: &str) -> Result<(), BlobError> {
        self.abort_path(&self.path(&key.path()), id).await
    }

    async fn abort_path(&self, path: &Path, id: &str) -> Result<(), BlobError> {
        let id = id.to_owned();
        gone_is_gone(self.call(CALL, "end an upload of", self.api.abort_multipart(path, &id)).await)
    }

    pub(super) async fn abort_open(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.abort_open_path(&self.path(&key.path()), None).await
    }

    /// Ends every upload that is open on this key, but `except`.
    async fn abort_open_path(&self, path: &Path, except: Option<&str>) -> Result<(), BlobError> {
        let Some(uploads) = &self.uploads else { return Ok(()) };
        for id in self.call(CALL, "list the uploads of", uploads.open(path)).await? {
            if Some(&*id) != except {
                self.abort_path(path, &id).await?;
            }
        }
        Ok(())
    }

    /// The paths below `dir`, relative to the prefix.
    pub(super) async fn list(&self, dir: &str) -> Result<Vec<String>, BlobError> {
        let list = self.api.list(Some(&self.path(dir))).try_collect::<Vec<_>>();
        let found = self.call(JOIN, "list", list).await?;
        let below = |path: &Path| {
            let path = path.as_ref();
            let path = path.strip_prefix(&self.prefix)?;
            Some(path.strip_prefix('/').unwrap_or(path).to_owned())
        };
        Ok(found.iter().filter_map(|object| below(&object.location)).collect())
    }

    /// What is sent of these pieces. Memory keeps what it is given, and a piece has to come back to
    /// those who wait for its room.
    fn payload(&self, pieces: impl Iterator<Item = Bytes>) -> PutPayload {
        if self.uploads.is_some() {
            pieces.collect()
        } else {
            pieces.map(|piece| Bytes::copy_from_slice(&piece)).collect()
        }
    }

    async fn put(&self, path: &Path, payload: PutPayload) -> Result<(), BlobError> {
        let limit = for_bytes(payload.content_length());
        let put = || self.api.put_opts(path, payload.clone(), PutOptions::default());
        self.patient_call(limit, "write", put).await.map(drop)
    }

    /// One call, bounded, its error in words.
    /// As [`Remote::call`], but a refusal has to be repeated to be believed: MinIO says that access
    /// is denied when a neighbour's delete prunes the directory that is just being written to.
    async fn patient_call<T, W: Future<Output = object_store::Result<T>>>(
        &self,
        limit: Duration,
        doing: &str,
        work: impl Fn() -> W,
    ) -> Result<T, BlobError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.call(limit, doing, work()).await {
                Err(BlobError::Misconfigured(why)) if pause < Duration::from_secs(1) => {
                    tracing::debug!(why, "asking again before it is believed");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
    }

    async fn call<T>(
        &self,
        limit: Duration,
        doing: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done.map_err(|error| self.place.explain(doing, &error)),
            Err(_) => Err(self.place.silent(doing, limit)),
        }
    }
}

/// How long so many bytes may take: at 256 KiB a second a link is slow, below it is broken.
fn for_bytes(bytes: usize) -> Duration {
    CALL + Duration::from_secs(4 * (bytes as u64).div_ceil(MIB))
}

fn gone_is_gone(done: Result<(), BlobError>) -> Result<(), BlobError> {
    match done {
        Err(BlobError::NotFound(_)) => Ok(()),
        done => done,
    }
}
