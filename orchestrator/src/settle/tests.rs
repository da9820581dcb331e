//! Every ending in one table.

use std::{collections::BTreeMap, time::Duration};

use fileyard_storage::{
    blob::{BlobKey, Digest},
    clock::Timestamp,
    id::{AttemptNo, Fence, JobId, Tenant, UploadId},
    job::{Event, Input, NewJob},
};

use super::*;
use crate::processor;

fn processor(retries: u32, retry_on: &[ReasonCode]) -> Processor {
    Processor { retries, retry_on: retry_on.to_vec(), ..processor::tests::processor("p") }
}

fn job() -> Job {
    let (tenant, upload) = (Tenant::default(), UploadId::from_u128(1));
    let input = Input {
        name: "a".into(),
        content_type: "text/plain".into(),
        size: 1,
        sha256: Digest([0; 32]),
        key: BlobKey::Input { tenant: tenant.clone(), upload },
    };
    let asked = NewJob {
        id: JobId::from_u128(1),
        tenant,
        processor: "p".parse().expect("a name"),
        params: BTreeMap::new(),
        upload,
        input,
        batch: None,
        retry_of: None,
    };
    Job::new(asked, Timestamp(0))
}

fn exit(code: i64, out_of_memory: bool) -> ExitFacts {
    ExitFacts { code, out_of_memory, at: Timestamp(0), message: None }
}

fn verdict(job: &Job, processor: &Processor, exit: &ExitFacts, stop: Option<StopCause>) -> String {
    match judge(job, processor, exit, stop) {
        Verdict::Good => "good".into(),
        Verdict::Bad(reason) => reason.code.as_str().into(),
        Verdict::Again { budget, .. } => format!("again ({budget:?})"),
    }
}

#[test]
fn a_program_is_not_blamed_for_a_server_that_failed_it() {
    let said = |job: &Job, code, stopped, trouble| match cut_off(
        job,
        &exit(code, false),
        stopped,
        trouble,
    ) {
        Some(Verdict::Again { budget: Budget::Infrastructure, detail, .. }) => detail,
        other => format!("{other:?}"),
    };
    let away = |at: EventKind| {
        let mut job = job();
        job.attempt = Some(AttemptNo(2));
        let event = |kind, attempt| Event {
            at: Timestamp(0),
            kind,
            attempt: Some(AttemptNo(attempt)),
            fence: Fence(1),
            detail: None,
        };
        job.events = vec![event(EventKind::Adopted, 1), event(EventKind::Exited, 1)];
        let mut own = [event(EventKind::Exited, 2), event(EventKind::Adopted, 2)];
        if at == EventKind::Started {
            own.reverse();
        }
        job.events.extend(own);
        job
    };
    let (fresh, told) = (job(), Some("no space is left"));
    assert_eq!(
        said(&fresh, 1, None, told),
        "its program was told: no space is left; and then it exited with code 1"
    );
    assert!(said(&away(EventKind::Started), 1, None, None).starts_with("the server was away"));
    assert_eq!(said(&away(EventKind::Exited), 1, None, None), "None", "it had exited before");
    assert_eq!(said(&fresh, 1, None, None), "None");
    assert_eq!(said(&fresh, 0, None, told), "None");
    assert_eq!(said(&fresh, 139, None, told), "None");
    assert_eq!(said(&fresh, 1, Some(StopCause::TimedOut), told), "None");
}

#[test]
fn each_exit_has_its_one_meaning() {
    let (fresh, plain) = (job(), processor(2, &[]));
    let timed_out = Some(StopCause::TimedOut);
    for (code, oom, stop, expected) in [
        (0, false, None, "good"),
        // A killed child of a program that went on is a success with an event.
        (0, true, None, "good"),
        (3, false, None, "exit"),
        (75, false, None, "again (Processor)"),
        (137, true, None, "out_of_memory"),
        (1, true, None, "out_of_memory"),
        (137, false, None, "again (Infrastructure)"),
        (139, false, None, "signal"),
        (143, false, None, "again (Infrastructure)"),
        (134, false, None, "signal"),
        (153, false, None, "output_limit"),
        (128, false, None, "exit"),
        (255, false, None, "exit"),
        // A program that is stopped may exit as it likes.
        (0, false, timed_out, "timed_out"),
        (137, false, timed_out, "timed_out"),
        (0, false, Some(StopCause::OutputLimit), "output_limit"),
        (0, false, Some(StopCause::DiskFull), "disk_full"),
    ] {
        let got = verdict(&fresh, &plain, &exit(code, oom), stop);
        assert_eq!(got, expected, "exit {code}, out of memory {oom}, stopped {stop:?}");
    }
}

#[test]
fn exit_75_is_the_processor_s_failure_once_its_retries_are_spent() {
    let mut tried = job();
    tried.retries = 2;
    assert_eq!(verdict(&tried, &processor(2, &[]), &exit(75, false), None), "exit");
    assert_eq!(verdict(&job(), &processor(0, &[]), &exit(75, false), None), "exit");
}

#[test]
fn only_what_the_config_names_is_retried() {
    let on_exit = processor(1, &[ReasonCode::Exit]);
    assert_eq!(verdict(&job(), &on_exit, &exit(3, false), None), "again (Processor)");
    assert_eq!(verdict(&job(), &on_exit, &exit(139, false), None), "signal");
}

#[test]
fn an_unexplained_kill_is_forgiven_once() {
    let mut forgiven = job();
    forgiven.infrastructure = 1;
    for code in [137, 143] {
        assert_eq!(verdict(&forgiven, &processor(2, &[]), &exit(code, false), None), "signal");
    }
}

#[test]
fn the_infrastructure_has_a_budget_of_its_own() {
    let mut job = job();
    for _ in 0..INFRASTRUCTURE_RETRIES {
        assert!(matches!(
            infrastructure(&job, "x"),
            Verdict::Again { budget: Budget::Infrastructure, .. }
        ));
        job.infrastructure += 1;
    }
    assert!(matches!(
        infrastructure(&job, "x"),
        Verdict::Bad(Reason { code: ReasonCode::Infrastructure, .. })
    ));
    assert_eq!(job.retries, 0);
}

#[test]
fn a_pause_is_never_longer_than_a_minute() {
    for failures in [0, 1, 5, 6, 7, 100, u32::MAX] {
        let bound = Duration::from_millis(60_000.min(1000 << failures.min(6)));
        assert!((0..100).all(|_| backoff(failures) <= bound), "{failures}");
    }
}
