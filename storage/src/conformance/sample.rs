//! Rows to test with, and the short way to each phase of a job.

#![allow(clippy::unwrap_used, reason = "a sample that can not be made is a failed test")]

use std::time::Duration;

use serde_json::json;

use crate::{
    Store, StoreError,
    attempt::Contract,
    blob::{BlobKey, Digest},
    clock::Timestamp,
    id::{AttemptNo, BatchId, Fence, JobId, Tenant, UploadId},
    job::{
        Budget, ExitFacts, Gone, Input, Job, JobEvent, NewJob, Output, OwnerEvent, Phase, Progress,
        Reason, ReasonCode, StopCause,
    },
    upload::{Arrival, Multipart, Upload, UploadState},
};

/// When everything begins.
pub(crate) const T0: Timestamp = Timestamp(1_767_323_045_678);

/// So many milliseconds after that.
pub(crate) fn t(ms: i64) -> Timestamp {
    Timestamp(T0.0 + ms)
}

/// An upload that has just begun.
pub(crate) fn upload() -> Upload {
    Upload {
        id: UploadId::new(),
        tenant: Tenant::default(),
        job: JobId::new(),
        processor: None,
        name: "a \"file\"\nof ü.csv".into(),
        created_at: T0,
        claim: None,
        state: UploadState::Receiving { lease_until: t(30_000), offset: 0, multipart: None },
    }
}

/// The complete form of an upload, as a job for `processor`.
pub(crate) fn arrival(upload: &Upload, processor: &str) -> Arrival {
    let key = BlobKey::Input { tenant: upload.tenant.clone(), upload: upload.id };
    let input = Input {
        name: upload.name.clone(),
        content_type: "text/csv".into(),
        size: 9_007_199_254_740_993,
        sha256: Digest([7; 32]),
        key,
    };
    let params = [("height".to_owned(), json!(720)), ("ratio".to_owned(), json!(1.5))];
    let job = NewJob {
        id: upload.job,
        tenant: upload.tenant.clone(),
        processor: processor.parse().unwrap(),
        params: params.into(),
        upload: upload.id,
        input,
        batch: None,
        retry_of: None,
    };
    Arrival { upload: upload.id, job }
}

/// A job in memory that nobody has claimed.
pub(crate) fn job() -> Job {
    Job::new(arrival(&upload(), "mp4").job, T0)
}

/// A queued job, at T0, for `mp4`.
pub(crate) async fn queued(store: &impl Store) -> Job {
    queued_as(store, "mp4", None, T0).await
}

/// A queued job.
pub(crate) async fn queued_as(
    store: &impl Store,
    processor: &str,
    batch: Option<BatchId>,
    at: Timestamp,
) -> Job {
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    let mut arrival = arrival(&upload, processor);
    arrival.job.batch = batch;
    store.complete(vec![arrival], None, at).await.unwrap().remove(0)
}

/// A job that somebody has just claimed, with a lease of 30 s.
pub(crate) async fn claimed(store: &impl Store) -> Job {
    let job = queued(store).await;
    store.apply(job.id(), claim(), T0).await.unwrap()
}

/// A job whose container runs.
pub(crate) async fn started(store: &impl Store) -> Job {
    let job = claimed(store).await;
    own(store, &job, OwnerEvent::Started).await.unwrap()
}

/// A job whose container has exited.
pub(crate) async fn collecting(store: &impl Store) -> Job {
    let job = started(store).await;
    own(store, &job, exited(0)).await.unwrap()
}

/// A job in each phase that a running job can have.
pub(crate) async fn in_each_phase(store: &impl Store) -> Vec<Job> {
    let job = started(store).await;
    let stopping = own(store, &job, stop()).await.unwrap();
    assert!(matches!(stopping.phase(), Some(Phase::Stopping { .. })));
    vec![claimed(store).await, started(store).await, stopping, collecting(store).await]
}

/// What a job's owner does, at T0, with the fence that `job` has.
pub(crate) async fn own(
    store: &impl Store,
    job: &Job,
    event: OwnerEvent,
) -> Result<Job, StoreError> {
    store.apply(job.id(), JobEvent::Own(job.fence, event), T0).await
}

pub(crate) fn claim() -> JobEvent {
    JobEvent::Claim {
        engine: "fake".into(),
        contract: Contract::Files,
        image: Some("sha256:4d2f".into()),
        lease_until: t(30_000),
    }
}

pub(crate) fn adopt(from: Fence, gone: Gone) -> JobEvent {
    JobEvent::Adopt { from, gone, lease_until: t(60_000) }
}

pub(crate) fn heartbeat() -> OwnerEvent {
    let progress = Some(Progress { permille: 400, message: Some("resizing".into()) });
    OwnerEvent::Heartbeat {
        lease_until: t(40_000),
        elapsed: Duration::from_millis(10_001),
        progress,
    }
}

pub(crate) fn stop() -> OwnerEvent {
    OwnerEvent::Stop { cause: StopCause::TimedOut }
}

pub(crate) fn exit(code: i64) -> ExitFacts {
    ExitFacts { code, out_of_memory: false, at: T0, message: None }
}

pub(crate) fn exited(code: i64) -> OwnerEvent {
    OwnerEvent::Exited { exit: exit(code) }
}

pub(crate) fn succeed() -> OwnerEvent {
    let output = |i: u8| Output {
        name: format!("thumbs/{i}.png"),
        content_type: "image/png".into(),
        size: u64::MAX - u64::from(i),
        sha256: Digest([i; 32]),
        place: None,
    };
    OwnerEvent::Succeed {
        result: json!({"is": "failed", "deep": [1, -2.5, 18_446_744_073_709_551_615_u64, null, "é"]}),
        outputs: (0..3).map(output).collect(),
    }
}

pub(crate) fn fail(code: ReasonCode) -> OwnerEvent {
    OwnerEvent::Fail { reason: Reason::new(code, "what was wrong") }
}

pub(crate) fn retry(budget: Budget, not_before: Timestamp) -> OwnerEvent {
    OwnerEvent::Retry { budget, not_before, detail: "again".into() }
}

pub(crate) fn multipart(id: &str) -> Multipart {
    Multipart { id: id.into(), part_size: 8 << 20 }
}

/// The first attempt's number.
pub(crate) const FIRST: AttemptNo = AttemptNo(1);
