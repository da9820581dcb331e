//! What every home of blobs must do, told as stories that a home's own test runs.
//!
//! A [`Home`] is a store and a way to look behind it: at the directory that its files, or its
//! MinIO's files, are in.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

pub mod gate;
mod stories;

pub use stories::*;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use fileyard_storage::{
    StoreError,
    blob::{BlobError, BlobKey, BlobRead, BlobStore, BlobWriter, Digest, Recorder, Written},
    id::{Tenant, UploadId},
    upload::Multipart,
};
use futures::TryStreamExt;
use sha2::{Digest as _, Sha256};

pub const MIB: usize = 1 << 20;
/// The smallest that S3 takes.
pub const PART: usize = 5 * MIB;
/// More than any of the stories writes.
pub const MAX: u64 = 1 << 30;

/// A store, and what is behind it.
pub struct Home {
    pub store: BlobStore,
    /// Every file of a blob, a staging directory or an open upload, as it lies on the disk; empty
    /// where there is no looking behind.
    pub files: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Whether a blob of several parts is an upload with an id.
    pub multipart: bool,
}

impl Home {
    /// Nothing at all is left.
    pub fn assert_empty(&self) {
        assert_eq!((self.files)(), Vec::<String>::new());
    }

    pub fn writer(&self, key: &BlobKey, notes: &Arc<Notes>) -> BlobWriter {
        self.store.writer(key.clone(), MAX, notes.clone())
    }

    pub async fn write(&self, key: &BlobKey, bytes: &Bytes) -> Written {
        let mut writer = self.writer(key, &Notes::new());
        for chunk in chunks(bytes, 100_003) {
            writer.write(chunk).await.unwrap();
        }
        assert_eq!(writer.offset(), bytes.len() as u64);
        writer.finish().await.unwrap()
    }

    pub async fn read(&self, key: &BlobKey) -> Bytes {
        let read = self.store.get(key, None).await.unwrap();
        let size = read.size;
        let bytes = whole(read).await.unwrap();
        assert_eq!(bytes.len() as u64, size);
        bytes
    }

    pub async fn assert_absent(&self, key: &BlobKey) {
        let read = self.store.get(key, None).await;
        assert!(matches!(read, Err(BlobError::NotFound(_))), "{read:?}");
    }
}

pub async fn whole(read: BlobRead) -> Result<Bytes, BlobError> {
    let chunks: Vec<Bytes> = read.stream.try_collect().await?;
    Ok(chunks.concat().into())
}

pub fn input() -> BlobKey {
    BlobKey::Input { tenant: Tenant::default(), upload: UploadId::new() }
}

/// Bytes that differ from place to place, so that a swapped or a lost part is seen.
pub fn content(size: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

pub fn chunks(bytes: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    (0..bytes.len()).step_by(size).map(move |at| bytes.slice(at..bytes.len().min(at + size)))
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A recorder that keeps what it is told, and can refuse.
#[derive(Default)]
pub struct Notes {
    pub begun: Mutex<Vec<Multipart>>,
    pub advanced: Mutex<Vec<u64>>,
    pub refuse: AtomicBool,
    /// Called when an upload is begun.
    pub at_begin: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Notes {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn refusing() -> Arc<Self> {
        let notes = Self::default();
        notes.refuse.store(true, Ordering::SeqCst);
        Arc::new(notes)
    }

    fn answer(&self) -> Result<(), StoreError> {
        match self.refuse.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("refused by the test".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Recorder for Notes {
    async fn begun(&self, multipart: &Multipart) -> Result<(), StoreError> {
        self.begun.lock().unwrap().push(multipart.clone());
        if let Some(look) = self.at_begin.lock().unwrap().take() {
            look();
        }
        self.answer()
    }

    async fn advanced(&self, offset: u64) -> Result<(), StoreError> {
        self.advanced.lock().unwrap().push(offset);
        self.answer()
    }
}

/// The files below `dir`, as paths relative to it.
pub fn files_below(dir: &std::path::Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => found.push(entry.path().strip_prefix(dir).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}
