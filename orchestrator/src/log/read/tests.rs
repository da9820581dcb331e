//! One log read in every way, while it is written, after it is stored, and across that moment.
#![allow(clippy::unwrap_used)]

use fileyard_storage::{
    attempt::{AttemptEvent, AttemptStore, Contract, StoredLog},
    blob::BlobConfig,
    clock::Timestamp,
    id::Tenant,
    job::{Budget, JobEvent, JobStore, OwnerEvent},
    memory::MemoryStore,
    upload::{Arrival, Upload, UploadState, UploadStore},
};
use proptest::prelude::*;

use super::*;
use crate::{
    contract::tests::Nobody,
    engine::{LogChunk, LogStream},
    log::{
        AttemptLog,
        write::{BOUNDS, Bounds},
    },
};

const INSTALL: InstallId = InstallId::from_u128(9);
const LATER: Timestamp = Timestamp(1_000_000);
const SMALL: Bounds = Bounds { head: 300, tail: 1000, segment: 250 };

struct Scene {
    _dir: tempfile::TempDir,
    dirs: HostDirs,
    store: Arc<MemoryStore>,
    blobs: BlobStore,
    logs: Logs,
    job: Job,
}

impl Scene {
    /// A job whose first attempt has begun.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = BlobConfig { url: "memory://".into(), ..BlobConfig::default() };
        let blobs = BlobStore::open(&config, dir.path()).unwrap();
        let store = Arc::new(MemoryStore::new(INSTALL));
        let dirs = HostDirs::new(dir.path().join("attempts"), None);
        let logs = Logs::new(Some(dirs.clone()), INSTALL, store.clone(), blobs.clone());
        let job = crate::contract::tests::job("a", b"", fileyard_storage::blob::Digest([0; 32]));
        let upload = Upload {
            id: job.asked.upload,
            tenant: Tenant::default(),
            job: job.id(),
            processor: None,
            name: "a".into(),
            created_at: Timestamp(0),
            claim: None,
            state: UploadState::Receiving { lease_until: LATER, offset: 0, multipart: None },
        };
        store.begin(upload).await.unwrap();
        let arrival = Arrival { upload: job.asked.upload, job: job.asked.clone() };
        let job = store.complete(vec![arrival], None, Timestamp(0)).await.unwrap().remove(0);
        let mut scene = Self { _dir: dir, dirs, store, blobs, logs, job };
        scene
            .apply(JobEvent::Claim {
                engine: "fake".into(),
                contract: Contract::Files,
                image: None,
                lease_until: LATER,
            })
            .await;
        scene
    }

    async fn apply(&mut self, event: JobEvent) {
        self.job = self.store.apply(self.job.id(), event, Timestamp(1)).await.unwrap();
    }

    async fn retry(&mut self) {
        let (budget, detail) = (Budget::Processor, "again".into());
        let event = OwnerEvent::Retry { budget, not_before: Timestamp(0), detail };
        self.apply(JobEvent::Own(self.job.fence, event)).await;
        self.apply(JobEvent::Claim {
            engine: "fake".into(),
            contract: Contract::Files,
            image: None,
            lease_until: LATER,
        })
        .await;
    }

    fn id(&self) -> ContainerId {
        ContainerId { install: INSTALL, job: self.job.id(), attempt: self.job.attempt.unwrap() }
    }

    fn writer(&self, bounds: Bounds) -> AttemptLog {
        AttemptLog::bounded(&self.dirs.log(&self.id()), bounds).unwrap()
    }

    /// As an owner does at the end: into the store, into the row, and the directory goes.
    async fn store_and_remove(&self) -> StoredLog {
        let no = self.job.attempt.unwrap();
        let row = self.store.attempt(self.job.id(), no).await.unwrap().unwrap();
        let (dir, fence) = (self.dirs.log(&self.id()), self.job.fence);
        let key = row.log_key(fence);
        let log = crate::log::store(&dir, &self.blobs, key, fence, Arc::new(Nobody)).await.unwrap();
        let event = AttemptEvent::StoreLog { log: log.clone() };
        self.store.apply_to_attempt(self.job.id(), no, event).await.unwrap();
        crate::contract::remove(&self.dirs, &self.id()).await.unwrap();
        log
    }

    async fn text(&self, options: &ReadOptions) -> String {
        let read = self.logs.read(&self.job, options).await.unwrap();
        let pieces: Vec<Bytes> = read.stream.try_collect().await.unwrap();
        String::from_utf8(pieces.concat()).unwrap()
    }

    async fn size(&self, options: &ReadOptions) -> Option<u64> {
        self.logs.read(&self.job, options).await.unwrap().size
    }
}

fn bare() -> ReadOptions {
    ReadOptions::default()
}

fn tail(lines: usize) -> ReadOptions {
    ReadOptions { tail: Some(lines), ..bare() }
}

fn range(range: Range<u64>) -> ReadOptions {
    ReadOptions { range: Some(range), ..bare() }
}

fn timestamps() -> ReadOptions {
    ReadOptions { timestamps: true, ..bare() }
}

fn follow() -> ReadOptions {
    ReadOptions { follow: true, ..bare() }
}

fn chunk(at: i64, text: &str) -> LogChunk {
    LogChunk { at, stream: LogStream::Stdout, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

#[tokio::test]
async fn a_log_reads_the_same_while_it_is_written_and_when_it_is_stored() {
    let scene = Scene::new().await;
    let mut log = scene.writer(BOUNDS);
    for (at, text) in [(1, "one\n"), (2, "two\n"), (3, "thr"), (4, "ee\n"), (5, "four")] {
        log.append(&chunk(at, text)).unwrap();
    }
    for stored in [false, true] {
        assert_eq!(scene.text(&bare()).await, "one\ntwo\nthree\nfour");
        assert_eq!(scene.text(&tail(0)).await, "");
        assert_eq!(scene.text(&tail(1)).await, "four");
        assert_eq!(scene.text(&tail(2)).await, "three\nfour");
        assert_eq!(scene.text(&tail(9)).await, "one\ntwo\nthree\nfour");
        assert_eq!(scene.text(&range(2..9)).await, "e\ntwo\nt");
        assert_eq!(scene.text(&range(9..9)).await, "");
        assert_eq!(scene.text(&range(12..99)).await, "e\nfour");
        assert_eq!(scene.text(&range(99..100)).await, "");
        let both = ReadOptions { tail: Some(2), ..timestamps() };
        assert_eq!(
            scene.text(&both).await,
            "1970-01-01T00:00:00.000000003Z 2 stdout three\n\
             1970-01-01T00:00:00.000000005Z 4 stdout four"
        );
        assert_eq!(scene.text(&follow_if(stored)).await, "one\ntwo\nthree\nfour");
        assert_eq!(scene.size(&bare()).await, stored.then_some(18));
        assert_eq!(scene.size(&timestamps()).await, None);
        if !stored {
            let log = scene.store_and_remove().await;
            assert_eq!((log.text_size, log.dropped), (18, Some(0)));
        }
    }
}

fn follow_if(stored: bool) -> ReadOptions {
    ReadOptions { follow: stored, ..bare() }
}

#[tokio::test]
async fn what_is_missing_is_told_and_counted() {
    let scene = Scene::new().await;
    let mut log = scene.writer(SMALL);
    for n in 0..100 {
        log.append(&chunk(n, &format!("{n:>49}\n"))).unwrap();
    }
    let live = scene.text(&bare()).await;
    let stored = scene.store_and_remove().await;
    let dropped = stored.dropped.unwrap();
    assert_eq!(live, scene.text(&bare()).await);
    assert_eq!(stored.text_size, live.len() as u64);
    let marker = format!("[fileyard: {dropped} bytes of this log were dropped here]\n");
    assert_eq!(live.len() as u64 + dropped - marker.len() as u64, 5000);
    assert_eq!(live.matches(&marker).count(), 1);
    // The marker is a line like any other.
    let lines = live.lines().count();
    let after = live.lines().rev().position(|line| line.starts_with('[')).unwrap();
    assert!(after > 0 && after < lines);
    assert!(scene.text(&tail(after + 1)).await.starts_with(&marker));
    assert!(!scene.text(&tail(after)).await.contains(&marker));
}

#[tokio::test]
async fn a_gap_of_unknown_size_makes_the_count_unknown() {
    let scene = Scene::new().await;
    let mut log = scene.writer(BOUNDS);
    log.append(&chunk(1, "a piece")).unwrap();
    log.append(&LogChunk::gap(2)).unwrap();
    log.append(&chunk(2, "after\n")).unwrap();
    let live = scene.text(&bare()).await;
    let words = "[fileyard: some of this log was lost here before it could be kept]";
    assert_eq!(live, format!("a piece\n{words}\nafter\n"));
    assert_eq!(scene.text(&tail(2)).await, format!("{words}\nafter\n"));
    let stored = scene.store_and_remove().await;
    assert_eq!((stored.dropped, stored.text_size), (None, live.len() as u64));
    assert_eq!(scene.text(&bare()).await, live);
}

#[tokio::test]
async fn a_container_that_wrote_nothing_has_an_empty_log() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.text(&bare()).await, "");
    assert_eq!(scene.text(&tail(3)).await, "");
    let stored = scene.store_and_remove().await;
    assert_eq!((stored.size, stored.text_size, stored.dropped), (0, 0, Some(0)));
    assert_eq!((scene.text(&follow()).await.as_str(), scene.size(&bare()).await), ("", Some(0)));
    scene.job.attempt = None;
    assert_eq!((scene.text(&follow()).await.as_str(), scene.size(&bare()).await), ("", Some(0)));
}

#[tokio::test]
async fn every_attempt_keeps_its_own_log() {
    let mut scene = Scene::new().await;
    scene.writer(BOUNDS).append(&chunk(1, "first\n")).unwrap();
    scene.store_and_remove().await;
    scene.retry().await;
    scene.writer(BOUNDS).append(&chunk(1, "second\n")).unwrap();
    let of = |no| ReadOptions { attempt: Some(AttemptNo(no)), ..bare() };
    assert_eq!(scene.text(&bare()).await, "second\n");
    assert_eq!(scene.text(&of(1)).await, "first\n");
    assert_eq!(scene.text(&of(2)).await, "second\n");
    let error = scene.logs.read(&scene.job, &of(3)).await.err();
    assert_eq!(error, Some(LogError::NoAttempt(AttemptNo(3))));
}

#[tokio::test]
async fn a_log_is_followed_from_before_its_first_line_to_its_end() {
    let scene = Scene::new().await;
    let mut stream = scene.logs.read(&scene.job, &follow()).await.unwrap().stream;
    assert!(futures::poll!(stream.next()).is_pending(), "no container yet");
    let mut log = scene.writer(BOUNDS);
    for (at, text) in [(1, "one\n"), (2, "two\n")] {
        log.append(&chunk(at, text)).unwrap();
        assert_eq!(stream.next().await, Some(Ok(Bytes::copy_from_slice(text.as_bytes()))));
    }
    log.append(&chunk(3, "last\n")).unwrap();
    scene.store_and_remove().await;
    assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"last\n"))));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_reader_whose_directory_goes_away_goes_on_in_the_store() {
    for options in [bare(), follow()] {
        let scene = Scene::new().await;
        let mut log = scene.writer(SMALL);
        let mut append = |n: i64| log.append(&chunk(n, &format!("{n:>49}\n"))).unwrap();
        (0..15).for_each(&mut append);
        let mut stream = scene.logs.read(&scene.job, &options).await.unwrap().stream;
        let first = stream.next().await.unwrap().unwrap();
        scene.store_and_remove().await;
        let rest: Vec<Bytes> = stream.try_collect().await.unwrap();
        let all = [&first[..], &rest.concat()].concat();
        assert_eq!(String::from_utf8(all).unwrap(), scene.text(&bare()).await, "{options:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_log_is_followed_from_its_last_lines() {
    let scene = Scene::new().await;
    let mut log = scene.writer(BOUNDS);
    log.append(&chunk(1, "one\n")).unwrap();
    log.append(&chunk(2, "two\n")).unwrap();
    let options = ReadOptions { follow: true, ..tail(1) };
    let read = scene.logs.read(&scene.job, &options).await.unwrap();
    log.append(&chunk(3, "three\n")).unwrap();
    scene.store_and_remove().await;
    let rest: Vec<Bytes> = read.stream.try_collect().await.unwrap();
    assert_eq!(rest.concat(), b"two\nthree\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tail_and_range_are_of_the_text_as_a_whole(
        pieces in prop::collection::vec("[a-z]{0,40}\n?", 0..100),
        lines in 0..60_usize,
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new().await;
            let mut log = scene.writer(SMALL);
            for (at, piece) in (1..).zip(pieces.iter().filter(|piece| !piece.is_empty())) {
                log.append(&chunk(at, piece)).unwrap();
            }
            let whole = scene.text(&bare()).await;
            let (a, b) = (a.index(whole.len() + 1), b.index(whole.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            let expected: Vec<_> = whole.split_inclusive('\n').collect();
            let expected = expected[expected.len().saturating_sub(lines)..].concat();
            for stored in [false, true] {
                if stored {
                    scene.store_and_remove().await;
                }
                assert_eq!(scene.text(&range(from as u64..to as u64)).await, whole[from..to]);
                assert_eq!(scene.text(&tail(lines)).await, expected);
            }
        });
    }
}
