//! The life of an attempt's network over the fake engine: before its container, after it, and found
//! again by whoever adopts it.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use fileyard_orchestrator::engine::{
    ContainerId, Engine, EngineError, Network, Networks, Reach, fake::FakeEngine,
};
use fileyard_storage::{
    id::{AttemptNo, InstallId, JobId},
    job::{Job, JobState, Phase},
};
use yard::Yard;

const INTERNET: Reach = Reach { listener: None, internet: true };

fn with_network() -> Yard {
    let mut yard = Yard::exclusive();
    yard.processor.network = Network::Egress;
    yard
}

fn succeeded(job: &Job) -> bool {
    matches!(job.state, JobState::Succeeded { .. })
}

#[tokio::test]
async fn an_attempt_has_a_network_of_its_own_while_it_lives() {
    let yard = with_network();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("gate end").await;
    yard.tick_until(&orchestrator, id, |job| job.phase() == Some(&Phase::Running)).await;
    let container = yard.container(id, 1);
    assert_eq!(yard.engine.networks(), [(container, INTERNET)]);
    yard.engine.open_gate("end");
    assert!(succeeded(&yard.ended(&orchestrator, id).await));
    assert_eq!(yard.engine.network_asks(&container), 1, "whoever made it need not ask again");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn who_may_reach_nothing_has_none() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("say hello").await;
    assert!(succeeded(&yard.ended(&orchestrator, id).await));
    assert_eq!(yard.engine.network_asks(&yard.container(id, 1)), 0);
}

#[tokio::test]
async fn an_adopter_asks_for_the_network_again() {
    let yard = with_network();
    let first = yard.orchestrator();
    let id = yard.submit("gate end").await;
    yard.tick_until(&first, id, |job| job.phase() == Some(&Phase::Running)).await;
    let container = yard.engine.at_gate("end").await;
    drop(first);

    let second = yard.orchestrator();
    second.tick().await.unwrap();
    yard.engine.until(|engine| engine.network_asks(&container) == 2).await;
    yard.engine.open_gate("end");
    assert!(succeeded(&yard.ended(&second, id).await));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_network_that_can_not_be_made_is_the_infrastructure_s_failure() {
    let yard = with_network();
    let orchestrator = yard.orchestrator();
    // In words that would be the processor's fault if a start were answered so.
    yard.engine.refuse_next_network(EngineError::Rejected("no bridges here".into()));
    let id = yard.submit("say hello").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.attempt, job.retries), (Some(AttemptNo(2)), 0));
    assert!(
        job.events.iter().any(|event| {
            event.detail.as_deref().is_some_and(|words| words.contains("no bridges here"))
        }),
        "{job:#?}"
    );
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_job_waits_for_a_network_and_spends_no_attempt() {
    let yard = with_network();
    let orchestrator = yard.orchestrator();
    yard.engine.refuse_next_network(EngineError::Exhausted("all are taken".into()));
    let id = yard.submit("say hello").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.attempt, yard.engine.refusals_left()), (Some(AttemptNo(1)), 0));
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_network_that_no_row_explains_goes_only_when_two_passes_saw_it() {
    let yard = with_network();
    let orchestrator = yard.orchestrator();
    let of = |install| ContainerId { install, job: JobId::new(), attempt: AttemptNo(1) };
    let (ours, theirs) = (of(yard.store.install()), of(InstallId::new()));
    for id in [ours, theirs] {
        networks(&yard.engine).ensure(&id, INTERNET).await.unwrap();
    }
    orchestrator.tick().await.unwrap();
    assert_eq!(yard.engine.networks().len(), 2, "once is not enough");
    orchestrator.tick().await.unwrap();
    assert_eq!(yard.engine.networks(), [(theirs, INTERNET)]);
}

fn networks(engine: &FakeEngine) -> &dyn Networks {
    Engine::networks(engine).unwrap()
}
