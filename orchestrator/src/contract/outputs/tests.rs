//! From `/out` into a store, as its keys name it.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fileyard_storage::{
    blob::BlobConfig,
    id::{AttemptNo, Fence, InstallId, JobId, Tenant},
};
use futures::TryStreamExt as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    contract::{
        collect,
        tests::{Nobody, processor},
    },
    engine::{ContainerId, HostDirs},
};

const ID: ContainerId = ContainerId {
    install: InstallId::from_u128(1),
    job: JobId::from_u128(2),
    attempt: AttemptNo(1),
};

fn key(index: u32) -> BlobKey {
    let (tenant, fence) = (Tenant::default(), Fence(4));
    BlobKey::Output { tenant, job: ID.job, attempt: ID.attempt, fence, index }
}

fn nobody(_: &BlobKey) -> Arc<dyn Recorder> {
    Arc::new(Nobody)
}

fn yard(url: &str, files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, BlobStore, HostDirs) {
    let dir = tempfile::tempdir().unwrap();
    let config = BlobConfig { url: url.into(), ..BlobConfig::default() };
    let blobs = BlobStore::open(&config, dir.path()).unwrap();
    let dirs = HostDirs::new(dir.path().join("attempts"), None);
    fs::create_dir_all(dirs.out(&ID)).unwrap();
    for (name, content) in files {
        let path = dirs.out(&ID).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    (dir, blobs, dirs)
}

#[tokio::test]
async fn outputs_are_stored_in_order_with_size_type_and_digest() {
    let large: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    let files = [
        ("result.json", b"[1]".to_vec()),
        ("b/table.csv", b"a,b\n1,2\n".to_vec()),
        ("a.bin", large.clone()),
        ("empty", Vec::new()),
    ];
    for url in ["", "memory://"] {
        let (_dir, blobs, dirs) = yard(url, &files);
        let collected = collect(&dirs, &ID, &processor()).await.unwrap();
        let (result, outputs) = store_outputs(collected, key, nobody, &blobs).await.unwrap();
        assert_eq!(result, json!([1]));
        let expected = [("a.bin", &large), ("b/table.csv", &files[1].1), ("empty", &files[3].1)];
        assert_eq!(outputs.len(), expected.len());
        for ((index, output), (name, content)) in (0..).zip(&outputs).zip(expected) {
            assert_eq!((output.name.as_str(), output.size), (name, content.len() as u64));
            let blob = blobs.get(&key(index), None).await.unwrap();
            let stored: Vec<_> = blob.stream.try_collect().await.unwrap();
            assert!(stored.concat() == *content, "{url} {name}");
            assert_eq!(output.sha256.0, <[u8; 32]>::from(Sha256::digest(content)));
        }
        assert_eq!(outputs[1].content_type, "text/csv");
    }
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_judged_is_not_stored() {
    let (_dir, blobs, dirs) = yard("", &[("a", b"12345".to_vec())]);
    let path = dirs.out(&ID).join("a");
    for change in ["123456", "1234"] {
        let collected = collect(&dirs, &ID, &processor()).await.unwrap();
        fs::write(&path, change).unwrap();
        assert!(store_outputs(collected, key, nobody, &blobs).await.is_err(), "{change}");
        fs::write(&path, "12345").unwrap();
    }
    let collected = collect(&dirs, &ID, &processor()).await.unwrap();
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    assert!(store_outputs(collected, key, nobody, &blobs).await.is_err());
    blobs.settled().await;
    let left = blobs.list_attempt(&Tenant::default(), ID.job, ID.attempt).await.unwrap();
    assert_eq!(left, []);
}

/// What was taken back behind its back might be what the next try stores by the same name.
#[tokio::test]
async fn a_try_that_failed_leaves_nothing_under_way() {
    let (_dir, blobs, dirs) = yard("", &[("a", b"1".to_vec()), ("b", vec![2; 8 << 20])]);
    let collected = collect(&dirs, &ID, &processor()).await.unwrap();
    fs::write(dirs.out(&ID).join("a"), "longer").unwrap();
    store_outputs(collected, key, nobody, &blobs).await.unwrap_err();
    // It was begun beside the first, and has come to its end.
    assert_eq!(blobs.get(&key(1), None).await.unwrap().size, 8 << 20);
}

/// Nobody is left to do this once a container has ended. Should somebody be, it gets nothing of the host's.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_s_is_stored_while_links_come_and_go() {
    let (own, theirs) = (b"its own...".to_vec(), b"the host's".to_vec());
    let (dir, blobs, dirs) = yard("memory://", &[("d/f", own.clone()), ("f", own.clone())]);
    let (host, out) = (dir.path().join("host"), dirs.out(&ID));
    fs::create_dir(&host).unwrap();
    fs::write(host.join("f"), &theirs).unwrap();
    let links = [("d", &host), ("f", &host.join("f"))].map(|(name, target)| {
        let link = dir.path().join(name);
        symlink(target, &link).unwrap();
        (link, out.join(name))
    });
    let over = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                for (link, own) in &links {
                    renameat_with(CWD, link, CWD, own, RenameFlags::EXCHANGE).unwrap();
                }
            }
        }
    });
    let until = Instant::now() + Duration::from_secs(60);
    // Whoever follows links is fooled: they do come and go.
    let (mut fooled, mut stored, mut refused) = (0, 0, 0);
    while fooled.min(stored).min(refused) < 20 {
        assert!(Instant::now() < until, "fooled {fooled}, stored {stored}, refused {refused}");
        fooled += usize::from(fs::read(out.join("d/f")).is_ok_and(|read| read == theirs));
        let taken = match collect(&dirs, &ID, &processor()).await {
            Ok(collected) => store_outputs(collected, key, nobody, &blobs).await.ok(),
            Err(_) => None,
        };
        let Some((_, outputs)) = taken else {
            refused += 1;
            continue;
        };
        stored += 1;
        for output in outputs {
            assert_eq!(output.sha256.0, <[u8; 32]>::from(Sha256::digest(&own)), "{output:?}");
        }
    }
    over.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
}
