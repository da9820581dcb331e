//! The memory of uploads: however little there is, everybody gets on, and who stalls keeps nobody.
#![allow(clippy::unwrap_used)]

mod suite;

use std::{future::pending, time::Duration};

use fileyard_storage::blob::{BlobConfig, BlobError, BlobStore, BlobWriter, Patience};
use futures::{FutureExt, future::join_all};
use suite::{MAX, MIB, Notes, PART, chunks, content, input, whole};

/// Nobody is judged in the time that a test takes.
const CALM: Patience = Patience {
    first_part: Duration::from_secs(600),
    slow_for: Duration::from_secs(600),
    slow_rate: 64 << 10,
};

const QUICK: Patience = Patience {
    first_part: Duration::from_millis(300),
    slow_for: Duration::from_millis(300),
    slow_rate: 64 << 10,
};

struct Yard {
    store: BlobStore,
    _data: tempfile::TempDir,
}

fn yard(url: &str, memory: usize, patience: Patience) -> Yard {
    let data = tempfile::tempdir().unwrap();
    let (part_size, memory) = (PART as u64, memory as u64);
    let url = url.to_owned();
    let config = BlobConfig { url, part_size, memory, patience, ..BlobConfig::default() };
    Yard { store: BlobStore::open(&config, data.path()).unwrap(), _data: data }
}

impl Yard {
    fn upload(&self) -> BlobWriter {
        let mut writer = self.store.upload(input(), MAX, Notes::new());
        writer.set_patient(false);
        writer
    }

    /// As a client sends it and a handler takes it.
    async fn send(&self, size: usize) -> Result<(), BlobError> {
        let (key, bytes) = (input(), content(size));
        let mut writer = self.store.upload(key.clone(), MAX, Notes::new());
        writer.set_patient(false);
        for chunk in chunks(&bytes, 100_003) {
            let chunk = writer.listen(async { chunk }).await?;
            writer.write(chunk).await?;
        }
        writer.listen(async {}).await?;
        writer.finish().await?;
        let read = self.store.get(&key, None).await?;
        assert!(whole(read).await? == bytes, "{size} bytes came back changed");
        Ok(())
    }
}

/// Each holds a part in flight while it waits for the next: none may wait for the other for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_part_of_memory_is_enough_for_any_number_of_uploads() {
    for url in ["memory://", ""] {
        let yard = yard(url, PART, CALM);
        let sizes = [PART, 2 * PART, 3 * PART + 7, 2 * PART - 1, 1, 0, MIB, 3 * PART];
        let sent = join_all(sizes.map(|size| yard.send(size))).await;
        assert!(sent.iter().all(Result::is_ok), "{url}: {sent:?}");
    }
}

#[tokio::test]
async fn results_are_stored_while_uploads_have_all_their_memory() {
    let yard = yard("memory://", PART, CALM);
    let mut holder = yard.upload();
    assert!(holder.listen(pending::<()>()).now_or_never().is_none());
    holder.write(content(1)).await.unwrap();
    let mut result = yard.store.writer(input(), MAX, Notes::new());
    result.write(content(3 * PART)).await.unwrap();
    result.finish().await.unwrap();
    holder.abort().await.unwrap();
}

/// A small file takes as much as it needs: a hundred of them fit where one part does.
#[tokio::test]
async fn what_is_announced_to_be_small_takes_little() {
    let yard = yard("memory://", PART, CALM);
    let mut held = Vec::new();
    for _ in 0..PART / (256 << 10) {
        let mut writer = yard.upload();
        writer.expect_at_most(1000);
        writer.write(content(999)).await.unwrap();
        held.push(writer);
    }
    let mut next = yard.upload();
    next.expect_at_most(1000);
    assert!(next.write(content(1)).now_or_never().is_none(), "that was all of it");
    drop(held);
    next.write(content(1)).await.unwrap();
    next.finish().await.unwrap();
}

#[tokio::test]
async fn an_upload_without_its_first_part_is_refused_in_time_and_leaves_nothing() {
    let yard = yard("memory://", PART, QUICK);
    let mut holder = yard.upload();
    holder.listen(async {}).await.unwrap();
    // Nobody listens to it now, as where its store is slow: it is not told to leave.
    let refused = yard.send(10).await;
    assert_eq!(refused, Err(BlobError::Crowded));
    holder.write(content(10)).await.unwrap();
    holder.finish().await.unwrap();
    yard.send(10).await.unwrap();
}

#[tokio::test]
async fn one_that_stalls_while_others_wait_has_to_leave_and_the_others_go_on() {
    let yard = yard("memory://", PART, QUICK);
    let mut slow = yard.upload();
    slow.write(content(PART)).await.unwrap();
    let stalled = async {
        let told = slow.listen(pending::<()>()).await;
        assert_eq!(told, Err(BlobError::Slow));
        assert_eq!(slow.write(content(1)).await, Err(BlobError::Slow), "and again");
        assert_eq!(slow.finish().await.err(), Some(BlobError::Slow));
    };
    let ((), sent) = tokio::join!(stalled, yard.send(2 * PART));
    assert_eq!(sent, Ok(()));
    yard.store.settled().await;
}

/// What they sent is in their files: they hold no memory that another could want.
#[tokio::test]
async fn any_number_of_stalled_uploads_to_local_files_keep_nobody() {
    let yard = yard("", MIB, CALM);
    let mut stalled = Vec::new();
    for n in 0..50 {
        let mut writer = yard.upload();
        writer.write(content(1000 + n)).await.unwrap();
        stalled.push(Box::pin(async move {
            writer.listen(pending::<()>()).await.unwrap();
        }));
        // Those before hand on what they hold when the next one waits.
        tokio::select! {
            _ = join_all(stalled.iter_mut()) => unreachable!("nobody tells them anything"),
            sent = yard.send(3 * MIB + 5) => assert_eq!(sent, Ok(())),
        }
    }
}
