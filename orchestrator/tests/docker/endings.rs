//! How a container ended, and how a start can fail.

use std::fs;

use fileyard_orchestrator::engine::{
    ContainerState, Engine, EngineError, HostDirs, LogStream, Signal, conformance::text,
    docker::DockerEngine,
};

use crate::docker;

#[tokio::test]
async fn memory_over_the_limit_is_told_from_a_kill() {
    let (it, _) = docker();
    let spec = it.spec(&["eat", "1GiB"]);
    let facts = it.run(&spec).await;
    assert_eq!((facts.code, facts.out_of_memory), (137, true));
    it.remove(&spec).await;

    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "ready").await;
    it.engine.signal(&spec.id, Signal::Kill).await.unwrap();
    let facts = it.exit(&spec.id).await;
    assert_eq!((facts.code, facts.out_of_memory), (137, false));
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_killed_child_is_no_failure_of_a_program_that_goes_on() {
    let (it, _) = docker();
    let spec = it.spec(&["oomchild", "1GiB", "say", "went on"]);
    assert_eq!(it.run(&spec).await.code, 0);
    assert!(text(&it.log(&spec.id).await, LogStream::Stdout).contains("went on"));
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_signal_of_its_own_is_128_and_its_number() {
    let (it, _) = docker();
    for (signal, code) in [("11", 139), ("6", 134), ("9", 137)] {
        let spec = it.spec(&["signal", signal]);
        let facts = it.run(&spec).await;
        assert_eq!((facts.code, facts.out_of_memory), (code, false));
        it.remove(&spec).await;
    }
    let mut spec = it.spec(&["fill", "large", "2MiB"]);
    spec.limits.file_size = 1 << 20;
    assert_eq!(it.run(&spec).await.code, 128 + 25, "SIGXFSZ");
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_fork_bomb_ends_at_its_limit() {
    let (it, _) = docker();
    let spec = it.spec(&["fork", "0"]);
    assert_eq!(it.run(&spec).await.code, 3);
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_run_never_ran() {
    let (it, _) = docker();
    // The input is a file that nobody may run.
    let mut spec = it.spec(&[]);
    spec.entrypoint = vec!["/in/input.txt".into()];
    let facts = it.run(&spec).await;
    assert!(facts.never_ran(), "{facts:?}");
    assert_eq!(facts.message.as_deref(), Some("exec /in/input.txt failed: Permission denied"));
    it.remove(&spec).await;

    // A program's own 127 is its own.
    let spec = it.spec(&["err", "not found", "exit", "127"]);
    let facts = it.run(&spec).await;
    assert_eq!((facts.never_ran(), facts.code), (false, 127));
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

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
