//! What a running container writes is watched: over its limit it is stopped, whoever minds it; and
//! when the disk is all but full, so is whoever has written most.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use fileyard_storage::job::{EventKind, Job, JobState, ReasonCode};
use yard::{Yard, is_running};

fn reason(job: &Job) -> ReasonCode {
    match &job.state {
        JobState::Failed { reason } => reason.code,
        other => panic!("not failed: {other:?}"),
    }
}

/// So many outputs, and then `rest`.
fn files(count: usize, rest: &str) -> String {
    let lines: String = (0..count).map(|n| format!("write {n} x\n")).collect();
    lines + rest
}

#[tokio::test]
async fn a_container_over_its_limit_is_stopped_and_one_within_it_is_not() {
    for (over, within) in [
        // Ten are allowed, and a mebibyte.
        (files(11, "wait"), files(10, "result 1\ngate end")),
        (files(11, "stubborn"), files(10, "gate end")),
        (format!("write a {}\nwait", "x".repeat((1 << 20) + 1)), "write a x\ngate end".into()),
    ] {
        let mut yard = Yard::exclusive();
        // Its script holds what it writes.
        yard.max_upload = 2 << 20;
        let orchestrator = yard.orchestrator();
        let stays = yard.submit(&within).await;
        yard.tick_until(&orchestrator, stays, is_running).await;
        let goes = yard.submit(&over).await;
        let job = yard.tick_until(&orchestrator, goes, |job| job.state.is_terminal()).await;
        assert_eq!(reason(&job), ReasonCode::OutputLimit, "{job:#?}");
        assert!(job.events.iter().any(|event| event.kind == EventKind::Stopping), "{job:#?}");
        // It was looked at as often by then.
        assert!(is_running(&yard.job(stays).await));
        yard.engine.open_gate("end");
        let job = yard.ended(&orchestrator, stays).await;
        assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
        yard.assert_nothing_is_left().await;
    }
}

#[tokio::test]
async fn who_adopts_a_container_watches_what_it_writes() {
    let yard = Yard::exclusive();
    let first = yard.orchestrator();
    let id = yard.submit("write a x\ngate more\nwait").await;
    yard.tick_until(&first, id, is_running).await;
    yard.engine.at_gate("more").await;
    // The first one stands still from here on, as a killed process does.
    let second = yard.orchestrator();
    second.tick().await.unwrap();
    let out = yard.dirs.out(&yard.container(id, 1));
    for n in 0..20 {
        std::fs::write(out.join(format!("more{n}")), "x").unwrap();
    }
    let job = yard.ended(&second, id).await;
    assert_eq!(reason(&job), ReasonCode::OutputLimit, "{job:#?}");
    assert!(job.events.iter().any(|event| event.kind == EventKind::Adopted), "{job:#?}");
    first.settled().await;
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn when_the_disk_is_all_but_full_the_largest_goes_and_the_others_stay() {
    let mut yard = Yard::exclusive();
    yard.max_upload = 2 << 20;
    let first = yard.orchestrator();
    let large = yard.submit(&format!("write a {}\nwait", "x".repeat(1 << 19))).await;
    let empty = yard.submit("gate end\nresult 1").await;
    for id in [large, empty] {
        yard.tick_until(&first, id, is_running).await;
    }
    yard.engine.at_gate("end").await;
    // More is to stay free than there ever was.
    yard.min_free = u64::MAX;
    let second = yard.orchestrator();
    let job = yard.tick_until(&second, large, |job| job.state.is_terminal()).await;
    assert_eq!(reason(&job), ReasonCode::DiskFull, "{job:#?}");
    assert!(is_running(&yard.job(empty).await), "it has written nothing");
    yard.engine.open_gate("end");
    let job = yard.ended(&second, empty).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    first.settled().await;
    yard.assert_nothing_is_left().await;
}
