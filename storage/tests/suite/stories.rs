//! The stories.

use std::sync::Arc;

use bytes::Bytes;
use fileyard_storage::{
    blob::{BlobError, BlobKey, Written},
    id::{AttemptNo, Fence, InstallId, JobId, Tenant},
    upload::Multipart,
};

use super::{Home, MIB, Notes, PART, chunks, content, input, sha256, whole};

/// Every size around the seams comes back whole, with its size and digest.
pub async fn what_is_written_is_read(home: &Home) {
    for size in [0, 1, MIB, MIB + 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7] {
        let (key, bytes) = (input(), content(size));
        let written = home.write(&key, &bytes).await;
        let (sha256, size) = (sha256(&bytes), size as u64);
        assert_eq!(written, Written { size, sha256, sniffed: written.sniffed.clone() });
        assert!(home.read(&key).await == bytes, "{size} bytes came back changed");
        home.store.delete(&key).await.unwrap();
        home.assert_absent(&key).await;
    }
    home.assert_empty();
}

pub async fn the_first_bytes_tell_the_type(home: &Home) {
    let png = Bytes::from_static(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01");
    let text = Bytes::from_static(b"a,b\n1,2\n");
    for (bytes, kind) in [(png, "image/png"), (text, "text/plain")] {
        let key = input();
        assert_eq!(home.write(&key, &bytes).await.sniffed.as_deref(), Some(kind));
        home.store.delete(&key).await.unwrap();
    }
    let key = input();
    assert_eq!(home.write(&key, &Bytes::new()).await.sniffed, None);
    home.store.delete(&key).await.unwrap();
}

pub async fn ranges_are_as_far_as_the_blob_goes(home: &Home) {
    let (key, bytes) = (input(), content(2 * PART + 5));
    home.write(&key, &bytes).await;
    let end = bytes.len();
    for (from, to) in [
        (0, 1),
        (0, end),
        (7, 7),
        (PART - 1, PART + 1),
        (end - 1, end),
        (end - 3, end + 100),
        (end, end + 1),
        (end + 5, end + 9),
    ] {
        let read = home.store.get(&key, Some(from as u64..to as u64)).await.unwrap();
        assert_eq!(read.size, end as u64);
        let got = whole(read).await.unwrap();
        assert!(got == bytes[from.min(end)..to.min(end)], "{from}..{to}");
    }
    home.store.delete(&key).await.unwrap();

    let empty = input();
    home.write(&empty, &Bytes::new()).await;
    for range in [0..0, 0..9, 3..9] {
        let read = home.store.get(&empty, Some(range)).await.unwrap();
        assert_eq!((read.size, whole(read).await.unwrap()), (0, Bytes::new()));
    }
    home.store.delete(&empty).await.unwrap();
    let absent = home.store.get(&empty, Some(0..0)).await;
    assert!(matches!(absent, Err(BlobError::NotFound(_))), "{absent:?}");
}

/// The upload's id is recorded before any part is there, once, and only when there are parts.
pub async fn the_recorder_is_told_before_the_first_part(home: &Home) {
    let one = Notes::new();
    let key = input();
    let mut writer = home.writer(&key, &one);
    writer.write(content(PART)).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(*one.begun.lock().unwrap(), Vec::<Multipart>::new(), "one part is one PUT");
    home.store.delete(&key).await.unwrap();

    let (notes, files) = (Notes::new(), Arc::new((home.files)()));
    assert!(files.is_empty());
    let key = input();
    let mut writer = home.writer(&key, &notes);
    for chunk in chunks(&content(3 * PART), MIB) {
        writer.write(chunk).await.unwrap();
    }
    writer.finish().await.unwrap();
    let begun = notes.begun.lock().unwrap().clone();
    if home.multipart {
        let [multipart] = &begun[..] else { panic!("{begun:?}") };
        assert_eq!(multipart.part_size, PART as u64);
        // It is finished, so there is nothing to abort, and that is no error.
        home.store.abort(&key, multipart).await.unwrap();
    } else {
        assert_eq!(begun, Vec::new());
    }
    assert!(home.read(&key).await == content(3 * PART));
    home.store.delete(&key).await.unwrap();
    home.assert_empty();
}

/// 20 MB cut off at 9 and at 17: by an abort, and by a caller that is just gone.
pub async fn what_is_not_finished_leaves_nothing(home: &Home) {
    let bytes = content(20_000_000);
    for cut in [0, 1, MIB + 1, 9_000_000, 17_000_000] {
        for dropped in [false, true] {
            let (key, notes) = (input(), Notes::new());
            let mut writer = home.writer(&key, &notes);
            for chunk in chunks(&bytes.slice(..cut), 70_001) {
                writer.write(chunk).await.unwrap();
            }
            if dropped {
                drop(writer);
                home.store.settled().await;
            } else {
                writer.abort().await.unwrap();
            }
            home.assert_absent(&key).await;
            home.assert_empty();
            if home.multipart && cut > 2 * PART {
                assert_eq!(notes.begun.lock().unwrap().len(), 1, "cut at {cut}");
            }
        }
    }
}

/// A caller dropped while it waits for its finish, at any point of it, leaves nothing either.
pub async fn a_finish_that_nobody_waits_for_leaves_nothing(home: &Home) {
    for size in [0, 10, PART + 1] {
        for polls in 1..20 {
            let key = input();
            let mut writer = home.writer(&key, &Notes::new());
            writer.write(content(size)).await.unwrap();
            let mut finish = Box::pin(writer.finish());
            let mut finished = false;
            for _ in 0..polls {
                finished = futures::poll!(&mut finish).is_ready();
                if finished {
                    home.store.delete(&key).await.unwrap();
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert!(polls > 1 || !finished, "it was dropped at no point");
            drop(finish);
            home.store.settled().await;
            home.assert_absent(&key).await;
            home.assert_empty();
        }
    }
}

/// No row, no parts: a recorder's refusal ends the upload.
pub async fn a_refusal_of_the_recorder_ends_it(home: &Home) {
    if !home.multipart {
        return;
    }
    let (key, notes) = (input(), Notes::refusing());
    let mut writer = home.writer(&key, &notes);
    let mut failed = None;
    for chunk in chunks(&content(4 * PART), MIB) {
        if let Err(error) = writer.write(chunk).await {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(BlobError::Row(_))), "{failed:?}");
    let again = writer.write(content(1)).await;
    assert_eq!(again.err(), failed, "and says the same again");
    let finished = writer.finish().await;
    assert_eq!(finished.err(), failed);
    home.store.settled().await;
    home.assert_absent(&key).await;
    home.assert_empty();
    assert_eq!(notes.begun.lock().unwrap().len(), 1);
    assert_eq!(*notes.advanced.lock().unwrap(), Vec::<u64>::new());
}

pub async fn more_than_was_said_is_refused(home: &Home) {
    let key = input();
    let mut writer = home.store.writer(key.clone(), 10, Notes::new());
    writer.write(content(10)).await.unwrap();
    let refused = writer.write(content(1)).await;
    assert_eq!(refused, Err(BlobError::TooLarge { limit: 10 }));
    assert_eq!(writer.finish().await.err(), Some(BlobError::TooLarge { limit: 10 }));
    home.assert_absent(&key).await;
    home.assert_empty();
}

pub async fn what_is_gone_is_gone_without_a_word(home: &Home) {
    let key = input();
    home.write(&key, &content(3)).await;
    for _ in 0..2 {
        home.store.delete(&key).await.unwrap();
        let multipart = Multipart { id: "77".into(), part_size: PART as u64 };
        home.store.abort(&key, &multipart).await.unwrap();
    }
    home.assert_empty();
}

/// An upload that a row names, of a process that died: here a writer that is leaked.
pub async fn a_row_is_enough_to_end_an_upload(home: &Home) {
    if !home.multipart {
        return;
    }
    let (key, notes) = (input(), Notes::new());
    let mut writer = home.writer(&key, &notes);
    for chunk in chunks(&content(3 * PART), MIB) {
        writer.write(chunk).await.unwrap();
    }
    let begun = notes.begun.lock().unwrap()[0].clone();
    home.store.abort(&key, &begun).await.unwrap();
    // Its writer finds its upload gone and fails, rather than to make half a blob.
    let finished = writer.finish().await;
    assert!(finished.is_err(), "{finished:?}");
    home.store.settled().await;
    home.store.abort(&key, &begun).await.unwrap();
    home.assert_absent(&key).await;
    home.assert_empty();
}

pub async fn an_attempt_has_what_all_its_owners_stored(home: &Home) {
    let (tenant, job) = (Tenant::default(), JobId::new());
    let output = |job, attempt, fence, index| BlobKey::Output {
        tenant: Tenant::default(),
        job,
        attempt: AttemptNo(attempt),
        fence: Fence(fence),
        index,
    };
    let log = |attempt, fence| BlobKey::Log {
        tenant: Tenant::default(),
        job,
        attempt: AttemptNo(attempt),
        fence: Fence(fence),
    };
    let mut ours =
        vec![output(job, 1, 1, 0), output(job, 1, 1, 10), output(job, 1, 3, 0), log(1, 3)];
    let others =
        [output(job, 11, 4, 0), output(job, 2, 3, 0), log(2, 1), output(JobId::new(), 1, 1, 0)];
    for key in ours.iter().chain(&others) {
        home.write(key, &content(3)).await;
    }
    ours.sort();
    assert_eq!(home.store.list_attempt(&tenant, job, AttemptNo(1)).await, Ok(ours.clone()));
    let none = home.store.list_attempt(&tenant, JobId::new(), AttemptNo(1)).await;
    assert_eq!(none, Ok(Vec::new()));
    // Twice: whoever did it before may have died in the middle.
    for _ in 0..2 {
        home.store.delete_job(&tenant, job).await.unwrap();
        for no in [1, 2, 11] {
            let left = home.store.list_attempt(&tenant, job, AttemptNo(no)).await;
            assert_eq!(left, Ok(Vec::new()));
        }
        home.store.get(&others[3], None).await.unwrap();
    }
    home.store.delete(&others[3]).await.unwrap();
    home.assert_empty();
}

/// Neighbours come and go in the same directories.
pub async fn many_at_once(home: &Home) {
    let one = |n: u64| async move {
        let key = BlobKey::Output {
            tenant: Tenant::default(),
            job: JobId::from_u128(u128::from(n % 2)),
            attempt: AttemptNo(1),
            fence: Fence(n % 3),
            index: u32::try_from(n).unwrap(),
        };
        let bytes = content(1000 + usize::try_from(n).unwrap());
        for _ in 0..5 {
            home.write(&key, &bytes).await;
            assert!(home.read(&key).await == bytes);
            home.store.delete(&key).await.unwrap();
        }
    };
    futures::future::join_all((0..16).map(one)).await;
    home.assert_empty();
}

/// Nobody's store becomes ours; somebody else's does not, until it is taken over.
pub async fn a_store_belongs_to_one_install(home: &Home) {
    let (ours, theirs) = (InstallId::new(), InstallId::new());
    let lost = home.store.ready().await;
    assert!(matches!(lost, Err(BlobError::Misconfigured(_))), "{lost:?}");
    home.store.claim(ours).await.unwrap();
    home.store.claim(ours).await.unwrap();
    home.store.ready().await.unwrap();
    home.assert_absent(&BlobKey::Probe).await;
    let refused = home.store.claim(theirs).await.unwrap_err();
    let BlobError::OtherInstall { owner, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(*owner, ours.to_string());
    assert!(refused.to_string().contains("fileyard check --take-over-store"), "{refused}");
    home.store.take_over(theirs).await.unwrap();
    home.store.claim(theirs).await.unwrap();
    assert!(home.store.claim(ours).await.is_err());
    home.write(&BlobKey::Marker, &Bytes::from_static(b"what is this?")).await;
    assert!(matches!(home.store.claim(theirs).await, Err(BlobError::OtherInstall { .. })));
    home.store.delete(&BlobKey::Marker).await.unwrap();
    home.assert_empty();
}
