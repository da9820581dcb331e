//! How a start can fail, and what a dead server leaves. How containers end is in the suite that all
//! engines pass.

use std::fs;

use fileyard_orchestrator::engine::{
    ContainerState, Engine, EngineError, HostDirs, LogStream, conformance::text,
    docker::DockerEngine,
};

use crate::docker;

#[tokio::test]
async fn a_limit_below_docker_s_own_is_rejected_in_its_words() {
    let (it, engine) = docker();
    let mut spec = it.spec(&["exit", "0"]);
    spec.limits.memory = 1 << 20;
    match engine.start(&spec).await {
        Err(EngineError::Rejected(words)) => assert!(words.contains("memory"), "{words}"),
        other => panic!("{other:?}"),
    }
    it.leaves_nothing().await;
}

#[tokio::test]
async fn an_input_that_the_daemon_does_not_see_is_nobody_s_fault_but_ours() {
    let (it, engine) = docker();
    let spec = it.spec(&["exit", "0"]);
    fs::remove_file(it.dirs().input(&spec.id, spec.input.as_ref().unwrap())).unwrap();
    match engine.start(&spec).await {
        Err(EngineError::Trouble(words)) => {
            assert!(words.contains("data directory"), "{words}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(engine.inspect(&spec.id).await, Ok(None));
}

#[tokio::test]
async fn a_container_that_was_only_created_is_started() {
    let (it, engine) = docker();
    let spec = it.spec(&["say", "begun"]);
    engine.create_only(&spec).await.unwrap();
    assert_eq!(engine.inspect(&spec.id).await, Ok(Some(ContainerState::Created)));
    assert_eq!(it.run(&spec).await.code, 0);
    assert_eq!(text(&it.log(&spec.id).await, LogStream::Stdout), "begun\n");
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_said_so() {
    let (it, _) = docker();
    let dirs = HostDirs::new("/nowhere".into(), None);
    let nobody = DockerEngine::new("unix:///nowhere/docker.sock", dirs.clone()).unwrap();
    match nobody.list(it.install).await {
        Err(EngineError::Unavailable(words)) => {
            assert!(words.contains("/nowhere/docker.sock"), "{words}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(DockerEngine::new("ssh://host", dirs), Err(EngineError::Rejected(_))));
}
