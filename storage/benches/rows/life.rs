//! Jobs through their lives, by the store alone: what an upload, a claim and an ending write.

use fileyard_storage::{
    Store,
    attempt::{AttemptEvent, Contract},
    blob::{BlobKey, Digest},
    clock::{Clock as _, SystemClock, Timestamp},
    id::{JobId, Tenant, UploadId},
    job::{ExitFacts, Input, Job, JobEvent, NewJob, Output, OwnerEvent, Params, QueueQuery},
    upload::{Arrival, Upload, UploadState},
};
use serde_json::json;

/// An upload that has just begun.
pub(crate) fn upload() -> Upload {
    Upload {
        id: UploadId::new(),
        tenant: Tenant::default(),
        job: JobId::new(),
        processor: None,
        name: "holiday.mp4".into(),
        created_at: now(),
        claim: None,
        state: UploadState::Receiving { lease_until: now(), offset: 0, multipart: None },
    }
}

/// The two commits of an upload: its row, then its completion with its job.
pub(crate) async fn submit(store: &impl Store) -> JobId {
    let upload = upload();
    let (id, job) = (upload.id, upload.job);
    let key = BlobKey::Input { tenant: Tenant::default(), upload: id };
    let input = Input {
        name: upload.name.clone(),
        content_type: "video/mp4".into(),
        size: 1 << 20,
        sha256: Digest([7; 32]),
        key,
    };
    let job = NewJob {
        id: job,
        tenant: Tenant::default(),
        processor: "video".parse().unwrap(),
        params: Params::from([("height".to_owned(), json!(720))]),
        upload: id,
        input,
        batch: None,
        retry_of: None,
    };
    store.begin(upload).await.unwrap();
    store.complete(vec![Arrival { upload: id, job }], None, now()).await.unwrap().remove(0).id()
}

/// What a dispatcher looks at: the first of what is due.
pub(crate) async fn due(store: &impl Store) -> JobId {
    let query = QueueQuery { due_by: now(), skip: Vec::new(), limit: 16 };
    store.queued(&query).await.unwrap().remove(0).id()
}

/// And what it does with it.
pub(crate) async fn claim(store: &impl Store, job: JobId) -> Job {
    let claim = JobEvent::Claim {
        engine: "oci".into(),
        contract: Contract::Files,
        image: Some(format!("sha256:{}", Digest([9; 32]))),
        lease_until: now(),
    };
    store.apply(job, claim, now()).await.unwrap()
}

/// What is left of it: it ran, succeeded with one output, and nothing of its container is there.
pub(crate) async fn finish(store: &impl Store, job: &Job) {
    let exit = ExitFacts { code: 0, out_of_memory: false, at: now(), message: None };
    let output = Output {
        name: "thumb.png".into(),
        content_type: "image/png".into(),
        size: 10_000,
        sha256: Digest([8; 32]),
        place: None,
    };
    let result = json!({"width": 1280, "height": 720, "seconds": 12.5});
    let succeed = OwnerEvent::Succeed { result, outputs: vec![output] };
    for event in [OwnerEvent::Started, OwnerEvent::Exited { exit }, succeed] {
        store.apply(job.id(), JobEvent::Own(job.fence, event), now()).await.unwrap();
    }
    let attempt = job.attempt.expect("it was claimed");
    store.apply_to_attempt(job.id(), attempt, AttemptEvent::Remove).await.unwrap();
}

fn now() -> Timestamp {
    SystemClock.now()
}
