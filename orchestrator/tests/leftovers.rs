//! What is left of an attempt, and who removes it: over the fake engine.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use fileyard_storage::{attempt::AttemptEvent, id::AttemptNo, job::JobState};
use yard::{Yard, is_running};

/// One finds the other's attempt ended and nobody of its own minding it; by the time it is about to remove
/// what is left, the row is removed already.
#[tokio::test]
async fn of_two_that_remove_an_attempt_neither_takes_what_its_job_committed() {
    let yard = Yard::shared();
    let (first, second) = (yard.orchestrator(), yard.orchestrator());
    yard.engine.hold_removals();
    let id = yard.submit("say hello\nwrite a.txt A").await;
    let job = yard.tick_until(&first, id, |job| job.state.is_terminal()).await;
    let JobState::Succeeded { outputs, .. } = &job.state else { panic!("{job:#?}") };
    assert_eq!(outputs.len(), 1);
    yard.engine.until(|engine| engine.removals_held() == 1).await;
    second.tick().await.unwrap();
    yard.engine.until(|engine| engine.removals_held() == 2).await;

    yard.engine.let_a_removal_go();
    first.settled().await;
    yard.assert_removed(id, 1).await;
    yard.engine.let_a_removal_go();
    second.settled().await;
    yard.blobs.get(&job.output_key(0).unwrap(), None).await.unwrap();
    assert!(yard.log(id, 1).await.contains("hello"));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_stranger_is_removed_only_when_two_passes_saw_it() {
    let yard = Yard::exclusive();
    let elsewhere = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("gate end").await;
    yard.tick_until(&orchestrator, id, is_running).await;
    // The row says that nothing is left, and yet it runs: as after a database was put back.
    yard.intake().cancel(id).await.unwrap();
    yard.store.apply_to_attempt(id, AttemptNo(1), AttemptEvent::Remove).await.unwrap();
    let other = yard.orchestrator();
    other.tick().await.unwrap();
    assert_eq!(yard.engine.containers().len(), 1, "once is not enough");
    other.tick().await.unwrap();
    assert_eq!(yard.engine.containers(), []);
    elsewhere.assert_nothing_is_left().await;
}

#[tokio::test]
async fn what_a_container_left_before_a_power_loss_is_not_taken_for_its_output() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("write a.txt A\ngate end").await;
    yard.tick_until(&orchestrator, id, is_running).await;
    yard.engine.at_gate("end").await;
    let boot = yard.dirs.attempt(&yard.container(id, 1)).join("boot");
    std::fs::write(boot, "another boot").unwrap();
    yard.engine.open_gate("end");
    let job = yard.ended(&orchestrator, id).await;
    assert!(matches!(job.state, JobState::Succeeded { .. }), "{job:#?}");
    assert_eq!((job.attempt, job.infrastructure, job.retries), (Some(AttemptNo(2)), 1, 0));
    yard.assert_nothing_is_left().await;
}
