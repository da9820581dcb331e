//! Uploads: begun, advanced, complete with their jobs, or abandoned and forgotten.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::sample::{T0, arrival, multipart, queued, t, upload};
use crate::{
    Store, StoreError,
    id::{JobId, UploadId},
    job::{EventKind, JobState, Refusal},
    upload::{UploadEvent, UploadState},
};

pub(crate) async fn an_upload_is_there_once_it_has_begun(store: &impl Store) {
    let upload = upload();
    assert_eq!(store.upload(upload.id).await.unwrap(), None);
    store.begin(upload.clone()).await.unwrap();
    assert_eq!(store.upload(upload.id).await.unwrap(), Some(upload));
}

pub(crate) async fn a_taken_upload_id_is_a_conflict(store: &impl Store) {
    let first = upload();
    store.begin(first.clone()).await.unwrap();
    let mut second = upload();
    second.id = first.id;
    assert!(matches!(store.begin(second).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.upload(first.id).await.unwrap(), Some(first));
}

pub(crate) async fn a_reserved_job_id_is_taken(store: &impl Store) {
    let first = upload();
    store.begin(first.clone()).await.unwrap();
    let job = queued(store).await;
    for taken in [first.job, job.id()] {
        let mut second = upload();
        second.job = taken;
        assert!(matches!(store.begin(second.clone()).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.upload(second.id).await.unwrap(), None);
    }
}

pub(crate) async fn an_upload_advances_and_keeps_its_multipart(store: &impl Store) {
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    let begin = UploadEvent::BeginMultipart { multipart: multipart("m1") };
    store.apply_to_upload(upload.id, begin.clone(), T0).await.unwrap();
    let offset = u64::MAX;
    let advance = UploadEvent::Advance { offset, lease_until: t(9) };
    let advanced = store.apply_to_upload(upload.id, advance, T0).await.unwrap();
    let multipart_ = Some(multipart("m1"));
    let state = UploadState::Receiving { lease_until: t(9), offset, multipart: multipart_.clone() };
    assert_eq!(advanced.state, state);
    assert_eq!(store.upload(upload.id).await.unwrap(), Some(advanced));
    // The same again is no second one; another is.
    store.apply_to_upload(upload.id, begin, T0).await.unwrap();
    let second = UploadEvent::BeginMultipart { multipart: multipart("m2") };
    let refused = store.apply_to_upload(upload.id, second, T0).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::NoSuchEdge { .. }))));
    let abandoned = store.apply_to_upload(upload.id, UploadEvent::Abandon, t(5)).await.unwrap();
    assert_eq!(abandoned.state, UploadState::Abandoned { at: t(5), multipart: multipart_ });
}

pub(crate) async fn what_is_not_known_is_not_found(store: &impl Store) {
    let id = UploadId::new();
    let unknown = store.apply_to_upload(id, UploadEvent::Abandon, T0).await;
    assert_eq!(unknown, Err(StoreError::NotFound(format!("upload {id}"))));
    let unknown = store.complete(vec![arrival(&upload(), "mp4")], None, T0).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
    let id = JobId::new();
    let unknown = store.apply(id, super::sample::claim(), T0).await;
    assert_eq!(unknown, Err(StoreError::NotFound(format!("job {id}"))));
    assert_eq!(store.job(id).await.unwrap(), None);
}

pub(crate) async fn a_complete_upload_is_a_queued_job(store: &impl Store) {
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    let arrival = arrival(&upload, "mp4");
    let jobs = store.complete(vec![arrival.clone()], None, t(5)).await.unwrap();
    let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!(job.asked, arrival.job);
    assert_eq!(job.state, JobState::Queued { since: t(5), not_before: None, waiting_for: None });
    assert_eq!(job.events.iter().map(|e| e.kind).collect::<Vec<_>>(), [EventKind::Created]);
    assert_eq!(store.job(job.id()).await.unwrap().as_ref(), Some(job));
    let upload = store.upload(upload.id).await.unwrap().unwrap();
    let UploadState::Complete { size, sha256, content_type } = upload.state else { panic!() };
    let input = &job.asked.input;
    assert_eq!((size, sha256, &content_type), (input.size, input.sha256, &input.content_type));
}

pub(crate) async fn several_files_land_together(store: &impl Store) {
    let uploads = [upload(), upload(), upload()];
    for upload in &uploads {
        store.begin(upload.clone()).await.unwrap();
    }
    // In the order they are named, which need not be the order of their ids.
    let arrivals = uploads.iter().rev().map(|upload| arrival(upload, "mp4")).collect();
    let jobs = store.complete(arrivals, None, T0).await.unwrap();
    let wanted: Vec<_> = uploads.iter().rev().map(|upload| upload.job).collect();
    assert_eq!(jobs.iter().map(crate::job::Job::id).collect::<Vec<_>>(), wanted);
    assert!(store.receiving(10).await.unwrap().is_empty());
}

pub(crate) async fn one_bad_file_lets_none_land(store: &impl Store) {
    let uploads = [upload(), upload(), upload()];
    for upload in &uploads {
        store.begin(upload.clone()).await.unwrap();
    }
    store.apply_to_upload(uploads[2].id, UploadEvent::Abandon, T0).await.unwrap();
    let arrivals = uploads.iter().map(|upload| arrival(upload, "mp4")).collect();
    let refused = store.complete(arrivals, None, T0).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    nothing_landed(store, &uploads[..2]).await;
}

pub(crate) async fn an_upload_named_twice_lets_none_land(store: &impl Store) {
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    let refused = store.complete(vec![arrival(&upload, "mp4"); 2], None, T0).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    nothing_landed(store, &[upload]).await;
}

pub(crate) async fn a_job_with_another_id_than_the_reserved_one_does_not_land(store: &impl Store) {
    let (good, upload) = (upload(), upload());
    store.begin(good.clone()).await.unwrap();
    store.begin(upload.clone()).await.unwrap();
    let mut bad = arrival(&upload, "mp4");
    bad.job.id = JobId::new();
    let refused = store.complete(vec![arrival(&good, "mp4"), bad.clone()], None, T0).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    nothing_landed(store, &[good, upload]).await;
    assert_eq!(store.job(bad.job.id).await.unwrap(), None);
}

async fn nothing_landed(store: &impl Store, uploads: &[crate::upload::Upload]) {
    for upload in uploads {
        assert_eq!(store.upload(upload.id).await.unwrap().as_ref(), Some(upload));
        assert_eq!(store.job(upload.job).await.unwrap(), None);
    }
}

pub(crate) async fn an_upload_becomes_complete_only_with_its_job(store: &impl Store) {
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    let alone = arrival(&upload, "mp4").completion();
    let refused = store.apply_to_upload(upload.id, alone, T0).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::OnlyTogether { .. }))));
    nothing_landed(store, &[upload]).await;
}

pub(crate) async fn receiving_and_abandoned_are_listed_in_order(store: &impl Store) {
    let uploads = [upload(), upload(), upload(), upload()];
    for upload in uploads.iter().rev() {
        store.begin(upload.clone()).await.unwrap();
    }
    let ids = |list: Vec<crate::upload::Upload>| list.iter().map(|it| it.id).collect::<Vec<_>>();
    let [a, b, c, d] = uploads.map(|upload| upload.id);
    assert_eq!(ids(store.receiving(10).await.unwrap()), [a, b, c, d]);
    assert_eq!(ids(store.receiving(2).await.unwrap()), [a, b]);
    for (id, at) in [(a, 3), (b, 1), (c, 2)] {
        store.apply_to_upload(id, UploadEvent::Abandon, t(at)).await.unwrap();
    }
    assert_eq!(ids(store.receiving(10).await.unwrap()), [d]);
    assert_eq!(ids(store.abandoned(10).await.unwrap()), [b, c, a]);
    assert_eq!(ids(store.abandoned(1).await.unwrap()), [b]);
}

pub(crate) async fn only_an_abandoned_upload_is_forgotten(store: &impl Store) {
    let (receiving, abandoned) = (upload(), upload());
    let complete = queued(store).await.asked.upload;
    for upload in [&receiving, &abandoned] {
        store.begin(upload.clone()).await.unwrap();
    }
    store.apply_to_upload(abandoned.id, UploadEvent::Abandon, T0).await.unwrap();
    for id in [receiving.id, abandoned.id, complete, UploadId::new()] {
        store.forget_upload(id).await.unwrap();
    }
    assert!(store.upload(receiving.id).await.unwrap().is_some());
    assert!(store.upload(complete).await.unwrap().is_some());
    assert_eq!(store.upload(abandoned.id).await.unwrap(), None);
    assert!(store.abandoned(10).await.unwrap().is_empty());
}
