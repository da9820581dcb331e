//! The life of a job over the fake engine, told by what a user sees and what is left behind.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use std::time::Duration;

use fileyard_orchestrator::{engine::EngineError, intake::IntakeError};
use fileyard_storage::{
    StoreError,
    attempt::Contract,
    id::{AttemptNo, Fence},
    job::{
        EventKind, ExitFacts, Job, JobEvent, JobState, OwnerEvent, ReasonCode, Refusal, WaitingFor,
    },
};
use serde_json::json;
use yard::{Yard, is_running};

fn reason(job: &Job) -> ReasonCode {
    match &job.state {
        JobState::Failed { reason } => reason.code,
        other => panic!("not failed: {other:?}"),
    }
}

fn kinds(job: &Job) -> Vec<EventKind> {
    job.events.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_file_becomes_a_result_and_nothing_else_stays() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("say hello\nwrite a.txt A\nresult {\"n\":1}").await;
    let job = yard.ended(&orchestrator, id).await;
    let JobState::Succeeded { result, outputs } = &job.state else { panic!("{job:#?}") };
    assert_eq!(*result, json!({"n": 1}));
    assert_eq!(outputs.iter().map(|out| &out.name[..]).collect::<Vec<_>>(), ["a.txt"]);
    assert_eq!(
        kinds(&job),
        [
            EventKind::Created,
            EventKind::Claimed,
            EventKind::Started,
            EventKind::Exited,
            EventKind::Succeeded
        ]
    );
    assert!(yard.log(id, 1).await.contains("hello"));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn every_failed_attempt_keeps_its_log_and_a_retry_is_a_new_attempt() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("say mine\nflaky 3").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!((job.attempt, job.retries), (Some(AttemptNo(3)), 2));
    for attempt in 1..=3 {
        assert!(yard.log(id, attempt).await.contains("mine"), "attempt {attempt}");
        yard.assert_removed(id, attempt).await;
    }
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn bad_endings_have_their_reasons_and_no_outputs() {
    for (script, code) in [
        ("exit 3", ReasonCode::Exit),
        ("signal 11", ReasonCode::Signal),
        ("oom", ReasonCode::OutOfMemory),
        ("flaky 9", ReasonCode::Exit),
        ("result {", ReasonCode::BadOutput),
    ] {
        let yard = Yard::exclusive();
        let orchestrator = yard.orchestrator();
        let id = yard.submit(&format!("write a.txt A\n{script}")).await;
        let job = yard.ended(&orchestrator, id).await;
        assert_eq!(reason(&job), code, "{script}");
        let blobs = yard.blobs.list_attempt(&job.asked.tenant, id, AttemptNo(1)).await.unwrap();
        assert_eq!(blobs.len(), 1, "only the log stays: {blobs:?}");
        yard.assert_nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_restart_adopts_what_runs_and_does_not_run_it_again() {
    let yard = Yard::exclusive();
    let first = yard.orchestrator();
    let id = yard.submit("say once\ngate end\nresult 1").await;
    yard.tick_until(&first, id, is_running).await;
    yard.engine.at_gate("end").await;
    // The first one stands still from here on, as a killed process does.
    let second = yard.orchestrator();
    second.tick().await.unwrap();
    assert_eq!(yard.job(id).await.fence, Fence(2));
    yard.engine.open_gate("end");
    let job = yard.ended(&second, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!(job.attempt, Some(AttemptNo(1)));
    assert_eq!(yard.engine.starts(&yard.container(id, 1)), 1);
    assert_eq!(yard.log(id, 1).await.matches("once").count(), 1);
    first.settled().await;
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_stale_owner_s_heartbeat_exit_and_commit_are_refused() {
    let yard = Yard::shared();
    let (first, second) = (yard.orchestrator(), yard.orchestrator());
    let id = yard.submit("gate end").await;
    let job = yard.tick_until(&first, id, is_running).await;
    second.tick().await.unwrap();
    assert_eq!(yard.job(id).await.fence, job.fence, "a lease that holds is not taken");
    yard.clock.advance(Duration::from_secs(31));
    second.tick().await.unwrap();
    let adopted = yard.job(id).await;
    assert_eq!(adopted.fence, job.fence.next());
    let exit = ExitFacts { code: 0, out_of_memory: false, at: yard.now(), message: None };
    for event in [
        OwnerEvent::Heartbeat {
            lease_until: yard.now().after(Duration::from_secs(60)),
            elapsed: Duration::ZERO,
            progress: None,
        },
        OwnerEvent::Exited { exit },
        OwnerEvent::Succeed { result: json!(null), outputs: Vec::new() },
    ] {
        let refused = yard.store.apply(id, JobEvent::Own(job.fence, event), yard.now()).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::Stale { .. }))), "{refused:?}");
    }
    assert_eq!(yard.job(id).await, adopted);
    yard.engine.open_gate("end");
    let job = yard.ended(&second, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!(yard.engine.starts(&yard.container(id, 1)), 1);
    first.settled().await;
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_cancelled_container_is_told_and_then_killed() {
    for script in ["wait", "stubborn"] {
        let yard = Yard::exclusive();
        let orchestrator = yard.orchestrator();
        let id = yard.submit(&format!("say here\nwrite a A\n{script}")).await;
        let owner = yard.tick_until(&orchestrator, id, is_running).await.fence;
        let cancelled = yard.intake().cancel(id).await.unwrap();
        assert!(matches!(cancelled.state, JobState::Cancelled));
        // The owner learns it by its own heartbeat, or by a hint that `run` passes on.
        let restarted = yard.orchestrator();
        restarted.tick().await.unwrap();
        restarted.settled().await;
        assert_eq!(yard.job(id).await, cancelled, "a terminal row never changes");
        assert!(yard.log(id, 1).await.contains("here"));
        let attempt = yard.store.attempt(id, AttemptNo(1)).await.unwrap().unwrap();
        let log = attempt.log.unwrap().fence;
        assert!(log > owner, "a place of its own: what its owner takes back is not this one");
        assert_eq!(yard.engine.containers(), []);
    }
}

#[tokio::test]
async fn a_queued_job_is_cancelled_without_ever_running() {
    let yard = Yard::exclusive();
    let id = yard.submit("say never").await;
    yard.intake().cancel(id).await.unwrap();
    yard.orchestrator().tick().await.unwrap();
    assert_eq!(yard.job(id).await.attempt, None);
    assert!(yard.intake().cancel(id).await.is_err(), "it has ended");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn jobs_wait_for_an_engine_that_is_away_and_lose_no_attempt() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    yard.engine.go_down();
    let id = yard.submit("result 1").await;
    orchestrator.tick().await.unwrap();
    let waiting = yard.job(id).await;
    assert!(
        matches!(waiting.state, JobState::Queued { waiting_for: Some(WaitingFor::Engine), .. }),
        "{waiting:?}"
    );
    assert!(orchestrator.engine_trouble().is_some());
    yard.engine.come_back();
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!((job.attempt, job.infrastructure), (Some(AttemptNo(1)), 0));
    assert_eq!(orchestrator.engine_trouble(), None);
}

#[tokio::test]
async fn a_start_whose_reply_was_lost_is_never_done_twice() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    yard.engine.lose_next_start_reply();
    let id = yard.submit("say hi").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!(job.retries, 0, "never blamed on the processor");
    assert!(yard.engine.all_starts().iter().all(|(_, starts)| *starts == 1));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_broken_image_fails_with_the_engine_s_own_words() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    yard.engine.refuse_next_start(EngineError::Rejected("exec: no such file".into()));
    let id = yard.submit("say hi").await;
    let job = yard.ended(&orchestrator, id).await;
    let JobState::Failed { reason } = &job.state else { panic!("{job:#?}") };
    assert_eq!(reason.code, ReasonCode::StartFailed);
    assert!(reason.message.contains("no such file"), "{reason}");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_missing_image_is_fetched_while_the_job_waits_for_it() {
    let mut yard = Yard::exclusive();
    yard.processor.image = "later".into();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("result 1").await;
    orchestrator.tick().await.unwrap();
    let waiting = yard.job(id).await;
    assert!(
        matches!(waiting.state, JobState::Queued { waiting_for: Some(WaitingFor::Image), .. }),
        "{waiting:?}"
    );
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(reason(&job), ReasonCode::StartFailed, "nobody has it");

    yard.engine.publish_image("later");
    let id = yard.submit("result 1").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
}

#[tokio::test]
async fn a_container_that_vanished_is_run_again_as_the_infrastructure_s_failure() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("gate end").await;
    yard.tick_until(&orchestrator, id, is_running).await;
    yard.engine.lose_container(&yard.container(id, 1));
    yard.engine.open_gate("end");
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!((job.attempt, job.infrastructure, job.retries), (Some(AttemptNo(2)), 1, 0));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn no_more_containers_run_than_there_are_slots() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(yard.submit("gate end").await);
    }
    yard.tick_until(&orchestrator, ids[1], is_running).await;
    orchestrator.tick().await.unwrap();
    for id in &ids[2..] {
        let job = yard.job(*id).await;
        assert!(
            matches!(job.state, JobState::Queued { waiting_for: Some(WaitingFor::Slot), .. }),
            "{job:?}"
        );
    }
    assert_eq!(yard.engine.containers().len(), 2);
    yard.engine.open_gate("end");
    for id in ids {
        yard.ended(&orchestrator, id).await;
    }
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn five_owners_that_died_in_a_row_end_a_job() {
    let yard = Yard::exclusive();
    let id = yard.submit("say hi").await;
    let claim = JobEvent::Claim {
        engine: "fake".into(),
        contract: Contract::Files,
        image: None,
        lease_until: yard.now(),
    };
    yard.store.apply(id, claim, yard.now()).await.unwrap();
    for died in 0..5 {
        let adopt = JobEvent::Adopt {
            from: Fence(died + 1),
            gone: fileyard_storage::job::Gone::LockHeld,
            lease_until: yard.now(),
        };
        if died < 4 {
            yard.store.apply(id, adopt, yard.now()).await.unwrap();
        }
    }
    let job = yard.ended(&yard.orchestrator(), id).await;
    assert_eq!(reason(&job), ReasonCode::CrashLoop);
    assert_eq!(yard.engine.all_starts(), [], "it never ran");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn below_the_reserve_of_disk_nothing_new_begins() {
    let mut yard = Yard::exclusive();
    let id = yard.submit("say hello").await;

    yard.min_free = u64::MAX;
    let refused = yard.intake().begin("a.txt", None).await.err();
    assert!(matches!(refused, Some(IntakeError::DiskFull(_))), "{refused:?}");
    assert!(yard.store.receiving(10).await.unwrap().is_empty());
    yard.orchestrator().tick().await.unwrap();
    let waits = |job: &Job| match job.state {
        JobState::Queued { waiting_for, .. } => waiting_for,
        _ => None,
    };
    assert_eq!(waits(&yard.job(id).await), Some(WaitingFor::Disk));

    yard.min_free = 0;
    let job = yard.ended(&yard.orchestrator(), id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn jobs_that_can_not_run_do_not_keep_others_from_running() {
    let mut yard = Yard::exclusive();
    let mut stuck = Vec::new();
    for _ in 0..70 {
        stuck.push(yard.submit("say never").await);
    }
    // The config no longer has their processor, and has another one.
    yard.processor.name = "other".parse().unwrap();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("result 1").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    let first = yard.job(stuck[0]).await;
    assert!(
        matches!(
            first.state,
            JobState::Queued { waiting_for: Some(WaitingFor::ProcessorRemoved), .. }
        ),
        "{first:?}"
    );
}

#[tokio::test]
async fn what_runs_of_a_processor_that_was_removed_is_minded_to_its_end() {
    let mut yard = Yard::exclusive();
    let first = yard.orchestrator();
    let id = yard.submit("gate end\nresult 1").await;
    yard.tick_until(&first, id, is_running).await;
    yard.processor.name = "other".parse().unwrap();
    let second = yard.orchestrator();
    second.tick().await.unwrap();
    yard.engine.open_gate("end");
    let job = yard.ended(&second, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    first.settled().await;
    yard.assert_nothing_is_left().await;
}
