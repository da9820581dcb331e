//! Idempotency keys: claimed with an upload, freed or done with what becomes of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::sample::{T0, arrival, t, upload};
use crate::{
    Store, StoreError,
    blob::Digest,
    id::{BatchId, ClaimId, Tenant},
    idempotency::{Claim, Idempotency, IdempotencyKey, KeyState, Route, Settling},
    upload::{Upload, UploadEvent},
};

fn key(text: &str, route: Route) -> IdempotencyKey {
    IdempotencyKey { tenant: Tenant::default(), route, key: text.parse().unwrap() }
}

pub(super) fn claim(text: &str) -> Claim {
    Claim { key: key(text, Route::Raw), by: ClaimId::new() }
}

pub(super) fn claiming(claim: &Claim) -> Upload {
    Upload { claim: Some(claim.clone()), ..upload() }
}

pub(super) fn settling(claim: &Claim) -> Option<Settling> {
    let (fingerprint, shortcut) = (Digest([1; 32]), Some(Digest([2; 32])));
    Some(Settling { claim: claim.clone(), fingerprint, shortcut })
}

pub(crate) async fn a_key_is_claimed_with_an_upload_and_done_with_its_jobs(store: &impl Store) {
    let claim = claim("\"odd\\key';--DROP");
    assert_eq!(store.key(&claim.key).await.unwrap(), None);
    let uploads = [claiming(&claim), claiming(&claim)];
    for upload in &uploads {
        store.begin(upload.clone()).await.unwrap();
        let row = store.key(&claim.key).await.unwrap().unwrap();
        assert_eq!((row.at, row.state), (T0, KeyState::Claimed { by: claim.by }));
    }
    let mut arrivals = uploads.map(|upload| arrival(&upload, "mp4"));
    let batch = Some(BatchId::new());
    arrivals.iter_mut().for_each(|arrival| arrival.job.batch = batch);
    let jobs = arrivals.iter().map(|arrival| arrival.job.id).collect();
    store.complete(arrivals.into(), settling(&claim), t(5)).await.unwrap();
    let Settling { fingerprint, shortcut, .. } = settling(&claim).unwrap();
    let state = KeyState::Done { fingerprint, shortcut, batch, jobs };
    let done = Idempotency { key: claim.key.clone(), at: t(5), state };
    assert_eq!(store.key(&claim.key).await.unwrap(), Some(done.clone()));
    // It is nobody's any more, not even its own request's.
    for late in [claim.clone(), self::claim(claim.key.key.as_str())] {
        let upload = claiming(&late);
        assert_eq!(store.begin(upload.clone()).await, Err(StoreError::KeyTaken));
        assert_eq!(store.upload(upload.id).await.unwrap(), None);
    }
    assert_eq!(store.key(&claim.key).await.unwrap(), Some(done));
}

pub(crate) async fn a_claimed_key_is_one_requests_alone(store: &impl Store) {
    let (first, second) = (claim("k"), claim("k"));
    let (mine, other) = (claiming(&first), claiming(&second));
    store.begin(mine.clone()).await.unwrap();
    assert_eq!(store.begin(other.clone()).await, Err(StoreError::KeyTaken));
    assert_eq!(store.upload(other.id).await.unwrap(), None);
    // The same text on another route is another key.
    let elsewhere = Claim { key: key("k", Route::Form), by: second.by };
    store.begin(claiming(&elsewhere)).await.unwrap();
    // A claim that does not stand settles nothing.
    let arrivals = vec![arrival(&mine, "mp4")];
    let stolen = store.complete(arrivals.clone(), settling(&second), T0).await;
    assert_eq!(stolen, Err(StoreError::KeyTaken));
    assert_eq!(store.upload(mine.id).await.unwrap(), Some(mine.clone()));
    assert_eq!(store.job(mine.job).await.unwrap(), None);
    store.complete(arrivals, settling(&first), T0).await.unwrap();
}

pub(crate) async fn an_abandoned_upload_frees_its_key(store: &impl Store) {
    let first = claim("k");
    let uploads = [claiming(&first), claiming(&first)];
    for upload in &uploads {
        store.begin(upload.clone()).await.unwrap();
    }
    store.apply_to_upload(uploads[0].id, UploadEvent::Abandon, T0).await.unwrap();
    assert_eq!(store.key(&first.key).await.unwrap(), None);
    let second = claim("k");
    let next = claiming(&second);
    store.begin(next.clone()).await.unwrap();
    // What is left of the first request can neither take the key back nor make a job by it.
    let late = store.complete(vec![arrival(&uploads[1], "mp4")], settling(&first), T0).await;
    assert_eq!(late, Err(StoreError::KeyTaken));
    store.apply_to_upload(uploads[1].id, UploadEvent::Abandon, T0).await.unwrap();
    let row = store.key(&second.key).await.unwrap().unwrap();
    assert!(row.is_claimed_by(second.by));
    store.complete(vec![arrival(&next, "mp4")], settling(&second), T0).await.unwrap();
}

pub(crate) async fn a_request_that_lands_nothing_settles_nothing(store: &impl Store) {
    let claim = claim("k");
    let (good, bad) = (claiming(&claim), upload());
    store.begin(good.clone()).await.unwrap();
    let arrivals = vec![arrival(&good, "mp4"), arrival(&bad, "mp4")];
    let refused = store.complete(arrivals, settling(&claim), T0).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    assert!(store.key(&claim.key).await.unwrap().unwrap().is_claimed_by(claim.by));
}

pub(crate) async fn fifty_claims_of_a_key_have_one_winner(store: &impl Store) {
    let begin = |_| store.begin(claiming(&claim("k")));
    let all = futures::future::join_all((0..50).map(begin)).await;
    assert_eq!(all.iter().filter(|begun| begun.is_ok()).count(), 1);
    assert_eq!(store.receiving(100).await.unwrap().len(), 1);
}

pub(crate) async fn old_keys_are_forgotten_and_claimed_ones_are_not(store: &impl Store) {
    for (text, at) in [("old", t(1)), ("young", t(2))] {
        let claim = claim(text);
        let upload = claiming(&claim);
        store.begin(upload.clone()).await.unwrap();
        store.complete(vec![arrival(&upload, "mp4")], settling(&claim), at).await.unwrap();
    }
    store.begin(claiming(&claim("claimed"))).await.unwrap();
    store.forget_keys(t(2)).await.unwrap();
    let is_there = async |text| store.key(&key(text, Route::Raw)).await.unwrap().is_some();
    assert!(!is_there("old").await);
    assert!(is_there("young").await && is_there("claimed").await);
}
