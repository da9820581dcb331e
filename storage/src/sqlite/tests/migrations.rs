//! A database of every older version opens, with all that was in it.

use rusqlite::Connection;

use crate::{
    Store,
    attempt::{AttemptEvent, AttemptStore},
    conformance::sample::{FIRST, T0, arrival, claim, t, upload},
    id::{ClaimId, JobId, Tenant},
    idempotency::{Claim, IdempotencyKey, IdempotencyStore, Route},
    job::{JobEvent, JobStore, WaitingFor},
    pruned::PrunedStore,
    sqlite::{DataLock, SqliteStore},
    upload::{Upload, UploadEvent, UploadStore},
};

#[tokio::test]
async fn from_the_first_version() {
    let data = tempfile::tempdir().unwrap();
    let db = Connection::open(data.path().join("fileyard.db")).unwrap();
    db.execute_batch(include_str!("../../../migrations/sqlite/V1__rows.sql")).unwrap();
    db.execute_batch(include_str!("v1.sql")).unwrap();
    drop(db);

    // Who only looks leaves it as it is.
    for _ in 0..2 {
        let lock = DataLock::acquire(data.path()).unwrap();
        let looked = SqliteStore::look(&lock).unwrap().unwrap();
        assert_eq!((looked.schema, looked.known), (1, 3));
        assert_eq!(looked.install.to_string(), "019a0000-b0a2-730b-abf7-91f736b6c26a");
    }
    let store = SqliteStore::open(data.path()).unwrap();
    assert_eq!(store.install().to_string(), "019a0000-b0a2-730b-abf7-91f736b6c26a");
    let id: JobId = "019a0000-b530-7494-a05b-326585852a61".parse().unwrap();
    let job = store.job(id).await.unwrap().unwrap();
    assert_eq!(job.asked.input.name, "table.csv");
    store.apply(id, JobEvent::Wait { on: Some(WaitingFor::Slot) }, T0).await.unwrap();
    store.apply(id, claim(), T0).await.unwrap();
    let receiving = store.receiving(10).await.unwrap();
    let [cut] = receiving.as_slice() else { panic!("{receiving:?}") };
    assert_eq!((&cut.name[..], &cut.claim), ("cut.csv", &None));
    store.apply_to_upload(cut.id, UploadEvent::Abandon, T0).await.unwrap();

    // And what is new works in it.
    let key =
        IdempotencyKey { tenant: Tenant::default(), route: Route::Form, key: "k".parse().unwrap() };
    let claim = Claim { key: key.clone(), by: ClaimId::new() };
    let new = Upload { claim: Some(claim), ..upload() };
    store.begin(new.clone()).await.unwrap();
    assert!(store.key(&key).await.unwrap().is_some());
    store.complete(vec![arrival(&new, "mp4")], None, T0).await.unwrap();
    // A job of then goes as one of now does.
    store.apply(id, JobEvent::Cancel, T0).await.unwrap();
    store.apply_to_attempt(id, FIRST, AttemptEvent::Remove).await.unwrap();
    assert_eq!(store.prune(t(1), 10).await.unwrap(), 1);
    assert_eq!(store.pruned(None, 10).await.unwrap()[0].input, Some(job.asked.input.key));
}
