//! Staging over both kinds of store, the second time, and with an input that is gone or changed.
#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use fileyard_storage::blob::{BlobConfig, Digest, Written};

use super::*;
use crate::contract::tests::{Nobody, job, processor, spec_of};

struct Yard {
    dir: tempfile::TempDir,
    blobs: BlobStore,
    dirs: HostDirs,
    spec: ContainerSpec,
}

/// A yard whose store holds `content`.
async fn yard(url: &str, content: &[u8]) -> Yard {
    let dir = tempfile::tempdir().unwrap();
    let config = BlobConfig { url: url.into(), ..BlobConfig::default() };
    let blobs = BlobStore::open(&config, dir.path()).unwrap();
    let job = job("a b.txt", content, Digest(Sha256::digest(content).into()));
    let spec = spec_of(&job, &processor());
    put(&blobs, &spec, content).await;
    let root = blobs.local_root().map(PathBuf::from);
    let dirs = HostDirs::new(dir.path().join("attempts"), root);
    Yard { dir, blobs, dirs, spec }
}

async fn put(blobs: &BlobStore, spec: &ContainerSpec, content: &[u8]) -> Written {
    let mut writer =
        blobs.writer(spec.input.as_ref().unwrap().key.clone(), 1 << 20, Arc::new(Nobody));
    writer.write(Bytes::copy_from_slice(content)).await.unwrap();
    writer.finish().await.unwrap()
}

impl Yard {
    async fn stage(&self) -> Result<(), StageError> {
        stage(&self.dirs, &self.spec, Quota::of(&processor()), &self.blobs).await
    }

    fn input(&self) -> PathBuf {
        self.dirs.input(&self.spec.id, self.spec.input.as_ref().unwrap())
    }
}

#[tokio::test]
async fn a_remote_input_is_copied_once_and_verified() {
    let yard = yard("memory://", b"content").await;
    yard.stage().await.unwrap();
    assert_eq!(fs::read(yard.input()).unwrap(), b"content");
    assert!(yard.input().ends_with("in/a_b.txt"));
    let first = fs::metadata(yard.input()).unwrap();
    assert_eq!(first.mode() & 0o777, 0o444);
    yard.stage().await.unwrap();
    assert_eq!(fs::metadata(yard.input()).unwrap().ino(), first.ino());
    assert!(!yard.dirs.attempt(&yard.spec.id).join("in.part").exists());
}

#[tokio::test]
async fn a_copy_that_was_cut_is_made_again() {
    let yard = yard("memory://", b"content").await;
    fs::create_dir_all(yard.dirs.attempt(&yard.spec.id)).unwrap();
    fs::write(yard.dirs.attempt(&yard.spec.id).join("in.part"), "a much longer beginning").unwrap();
    yard.stage().await.unwrap();
    assert_eq!(fs::read(yard.input()).unwrap(), b"content");
}

#[tokio::test]
async fn a_local_input_is_bound_as_it_is() {
    let yard = yard("", b"content").await;
    yard.stage().await.unwrap();
    assert!(yard.input().starts_with(yard.dir.path().join("blobs")));
    assert_eq!(fs::metadata(yard.input()).unwrap().mode() & 0o004, 0o004, "any user reads it");
    assert!(!yard.dirs.attempt(&yard.spec.id).join("in").exists());
}

#[tokio::test]
async fn an_input_that_is_gone_or_changed_is_lost() {
    for url in ["", "memory://"] {
        let yard = yard(url, b"content").await;
        yard.blobs.delete(&yard.spec.input.as_ref().unwrap().key).await.unwrap();
        assert!(matches!(yard.stage().await, Err(StageError::InputLost)), "{url}: gone");
        put(&yard.blobs, &yard.spec, b"longer content").await;
        assert!(matches!(yard.stage().await, Err(StageError::InputLost)), "{url}: other size");
    }
    let yard = yard("memory://", b"content").await;
    put(&yard.blobs, &yard.spec, b"CONTENT").await;
    assert!(matches!(yard.stage().await, Err(StageError::InputLost)), "other content");
    assert!(!yard.input().exists());
}

#[tokio::test]
async fn out_is_the_containers_alone_and_is_never_emptied() {
    let yard = yard("", b"content").await;
    yard.stage().await.unwrap();
    let out = yard.dirs.out(&yard.spec.id);
    let user = yard.dirs.user(yard.spec.user);
    let metadata = fs::metadata(&out).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777),
        (user.uid, user.gid, 0o700)
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    fs::write(out.join("kept"), "").unwrap();
    yard.stage().await.unwrap();
    assert!(out.join("kept").exists());
}

#[tokio::test]
async fn an_empty_input_is_an_input() {
    for url in ["", "memory://"] {
        let yard = yard(url, b"").await;
        yard.stage().await.unwrap();
        assert_eq!(fs::read(yard.input()).unwrap(), b"", "{url}");
    }
}
