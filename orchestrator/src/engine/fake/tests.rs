//! The suite, and what only this engine can be made to do.

use fileyard_storage::id::InstallId;

use super::{FakeEngine, IMAGE};
use crate::engine::{ContainerState, Engine, EngineError, HostDirs, conformance::Harness};

fn harness() -> (Harness, FakeEngine) {
    let home = tempfile::tempdir().expect("a directory");
    let engine = FakeEngine::new(HostDirs::new(home.path().to_owned(), None));
    let harness = Harness {
        engine: std::sync::Arc::new(engine.clone()),
        image: IMAGE.into(),
        forever: vec!["wait".into()],
        install: InstallId::new(),
        guard: Box::new(home),
    };
    (harness, engine)
}

crate::engine_conformance!(harness().0);

#[tokio::test]
async fn a_start_whose_reply_was_lost_was_done() {
    let (it, engine) = harness();
    let spec = it.spec(&["gate", "end"]);
    engine.lose_next_start_reply();
    assert!(matches!(engine.start(&spec).await, Err(EngineError::Unavailable(_))));
    assert_eq!(engine.at_gate("end").await, spec.id);
    assert_eq!(engine.start(&spec).await, Ok(ContainerState::Running));
    assert_eq!(engine.starts(&spec.id), 1);
    engine.open_gate("end");
    assert_eq!(it.exit(&spec.id).await.code, 0);
    it.remove(&spec).await;
}

#[tokio::test]
async fn containers_outlive_an_engine_that_is_down() {
    let (it, engine) = harness();
    let spec = it.spec(&["gate", "end", "exit", "3"]);
    engine.start(&spec).await.expect("a start");
    engine.go_down();
    assert!(matches!(engine.inspect(&spec.id).await, Err(EngineError::Unavailable(_))));
    engine.open_gate("end");
    engine.until(|it| matches!(it.containers()[0].1, ContainerState::Exited(_))).await;
    engine.come_back();
    assert_eq!(it.exit(&spec.id).await.code, 3);
    it.remove(&spec).await;
}
