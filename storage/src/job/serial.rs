//! A job's JSON reads back as the same job.
//!
//! Not a matter of course: a flattened struct and tagged enums are read through serde's buffer, which
//! has its own ideas of large numbers and of durations.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use serde_json::json;

use super::{
    Event, EventKind, ExitFacts, Job, JobState, Output, Phase, Place, Progress, Reason, ReasonCode,
    StopCause, WaitingFor,
};
use crate::{
    blob::Digest,
    conformance::sample::{job, t},
    id::{AttemptNo, BatchId, Fence, JobId},
};

fn reads_back(job: &Job) {
    let text = serde_json::to_string(job).unwrap();
    let read: Job = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, job);
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

#[test]
fn every_state_reads_back() {
    let exit =
        ExitFacts { code: i64::MIN, out_of_memory: true, at: t(1), message: Some("é".into()) };
    let output = Output {
        name: "is/in/doc \u{0}\n\"".into(),
        content_type: "image/png".into(),
        size: u64::MAX,
        sha256: Digest([255; 32]),
        place: None,
    };
    let placed =
        Output { place: Some(Place { fence: Fence(u64::MAX), index: u32::MAX }), ..output.clone() };
    let cause = StopCause::OutputLimit;
    let phases = [
        Phase::Starting,
        Phase::Running,
        Phase::Stopping { cause },
        Phase::Collecting { exit: exit.clone(), cause: None },
        Phase::Collecting { exit, cause: Some(cause) },
    ];
    let mut states: Vec<_> = phases
        .into_iter()
        .map(|phase| JobState::Running {
            phase,
            lease_until: t(i64::MAX - t(0).0),
            elapsed: Duration::new(u64::MAX, 999_999_999),
        })
        .collect();
    let result =
        json!({"is": "queued", "big": u64::MAX, "small": i64::MIN, "f": [0.1, 1e300, -0.0]});
    states.extend([
        JobState::Queued { since: t(0), not_before: None, waiting_for: None },
        JobState::Queued {
            since: t(0),
            not_before: Some(t(-1)),
            waiting_for: Some(WaitingFor::ProcessorRemoved),
        },
        JobState::Succeeded { result, outputs: vec![output, placed] },
        JobState::Succeeded { result: json!(null), outputs: Vec::new() },
        JobState::Failed {
            reason: Reason { code: ReasonCode::Exit, exit_code: Some(3), message: String::new() },
        },
        JobState::Cancelled,
    ]);
    for state in states {
        let mut job = job();
        job.state = state;
        reads_back(&job);
    }
}

#[test]
fn every_field_reads_back_at_its_largest() {
    let mut job = job();
    job.asked.input.size = u64::MAX;
    job.asked.params = [("n".to_owned(), json!(u64::MAX)), ("x".to_owned(), json!({}))].into();
    job.asked.batch = Some(BatchId::new());
    job.asked.retry_of = Some(JobId::new());
    (job.started_at, job.finished_at) = (Some(t(1)), Some(t(2)));
    (job.attempt, job.fence) = (Some(AttemptNo(u32::MAX)), Fence(u64::MAX));
    (job.retries, job.infrastructure, job.crashes) = (u32::MAX, u32::MAX, u32::MAX);
    job.progress = Some(Progress { permille: 1000, message: None });
    job.events.push(Event {
        at: t(3),
        kind: EventKind::ChildOutOfMemory,
        attempt: job.attempt,
        fence: job.fence,
        detail: Some("words".into()),
    });
    reads_back(&job);
}

proptest::proptest! {
    /// Not so without serde_json's `float_roundtrip`: one in ten comes back with another last digit.
    #[test]
    fn every_number_reads_back(numbers in proptest::collection::vec(-1e6..1e6, 1..200)) {
        let mut job = job();
        job.state = JobState::Succeeded { result: json!(numbers), outputs: Vec::new() };
        reads_back(&job);
    }
}

/// What is stored must stay readable: a change here needs a migration.
#[test]
fn a_stored_job_looks_like_this() {
    let mut job = job();
    job.asked.id = JobId::from_u128(1);
    job.asked.upload = crate::id::UploadId::from_u128(2);
    job.asked.input.key =
        crate::blob::BlobKey::Input { tenant: job.asked.tenant.clone(), upload: job.asked.upload };
    let claimed = job.apply(&crate::conformance::sample::claim(), t(5)).unwrap().job;
    insta::assert_snapshot!(serde_json::to_string_pretty(&claimed).unwrap());
}
