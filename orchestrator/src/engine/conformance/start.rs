//! Starting, once; what a program finds, and what its exit is.

use std::{fs, os::unix::fs::MetadataExt};

use fileyard_storage::id::{AttemptNo, JobId};
use futures::future::join_all;

use super::{Harness, text};
use crate::engine::{ContainerId, ContainerState, EngineError, LogStream, Signal};

/// No container, no error.
pub async fn an_unknown_container_is_none(it: &Harness) {
    let id = ContainerId { install: it.install, job: JobId::new(), attempt: AttemptNo(1) };
    assert_eq!(it.engine.inspect(&id).await, Ok(None));
    assert_eq!(it.engine.signal(&id, Signal::Term).await, Ok(()));
    assert_eq!(it.engine.remove(&id).await, Ok(()));
    assert_eq!(it.log(&id).await, []);
}

/// The second start finds it running.
pub async fn started_once_though_asked_twice(it: &Harness) {
    let spec = it.endless(&["say", "begun"]);
    assert_eq!(it.engine.start(&spec).await, Ok(ContainerState::Running));
    it.says(&spec.id, "begun").await;
    assert_eq!(it.engine.start(&spec).await, Ok(ContainerState::Running));
    it.engine.signal(&spec.id, Signal::Kill).await.expect("killed");
    it.exit(&spec.id).await;
    assert_eq!(text(&it.log(&spec.id).await, LogStream::Stdout), "begun\n");
    it.remove(&spec).await;
}

/// All of them find the same container, and it has one start line.
pub async fn started_once_though_asked_by_several_at_once(it: &Harness) {
    let spec = it.endless(&["say", "begun"]);
    let answers = join_all((0..8).map(|_| it.engine.start(&spec))).await;
    for answer in answers {
        assert_eq!(answer, Ok(ContainerState::Running));
    }
    it.says(&spec.id, "begun").await;
    it.engine.signal(&spec.id, Signal::Kill).await.expect("killed");
    it.exit(&spec.id).await;
    assert_eq!(text(&it.log(&spec.id).await, LogStream::Stdout), "begun\n");
    assert_eq!(it.engine.list(it.install).await.expect("a list").len(), 1);
    it.remove(&spec).await;
}

/// The answer is how it exited.
pub async fn starting_what_has_exited_does_nothing(it: &Harness) {
    let spec = it.spec(&["say", "begun", "exit", "3"]);
    let facts = it.run(&spec).await;
    assert_eq!(it.engine.start(&spec).await, Ok(ContainerState::Exited(facts)));
    assert_eq!(text(&it.log(&spec.id).await, LogStream::Stdout), "begun\n");
    it.remove(&spec).await;
}

/// Zero or not.
pub async fn an_exit_code_is_told(it: &Harness) {
    for code in [0, 3, 75] {
        let spec = it.spec(&["exit", &code.to_string()]);
        let facts = it.run(&spec).await;
        assert_eq!((facts.code, facts.out_of_memory), (code, false));
        it.remove(&spec).await;
    }
}

/// And no container is made.
pub async fn a_missing_image_is_told(it: &Harness) {
    let mut spec = it.spec(&["exit", "0"]);
    spec.image = "fileyard/there-is-no-such-image:1".into();
    assert_eq!(it.engine.start(&spec).await, Err(EngineError::NoImage(spec.image.clone())));
    assert_eq!(it.engine.inspect(&spec.id).await, Ok(None));
}

/// Which is a name as any other, and never means another image.
pub async fn an_image_goes_by_its_digest(it: &Harness) {
    let images = it.engine.images().expect("an engine that has images");
    let digest = images.resolve(&it.image).await.expect("an answer").expect("it is there");
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(images.resolve(&digest).await, Ok(Some(digest.clone())));
    assert_eq!(images.resolve("fileyard/there-is-no-such-image:1").await, Ok(None));

    let mut spec = it.spec(&["say", "begun", "exit", "3"]);
    spec.image = digest;
    assert_eq!(it.run(&spec).await.code, 3);
    assert_eq!(text(&it.log(&spec.id).await, LogStream::Stdout), "begun\n");
    it.remove(&spec).await;

    let mut spec = it.spec(&["exit", "0"]);
    spec.image = format!("sha256:{}", "0".repeat(64));
    assert_eq!(it.engine.start(&spec).await, Err(EngineError::NoImage(spec.image.clone())));
    assert_eq!(it.engine.inspect(&spec.id).await, Ok(None));
}

/// In the engine's own words, which name it: at the start, or, where the engine's init is what runs
/// the program, with the exit. And it is so again.
pub async fn a_command_that_is_not_there_is_told(it: &Harness) {
    let mut spec = it.spec(&[]);
    spec.entrypoint = vec!["/no/such/program".into()];
    for _ in 0..2 {
        let words = match it.engine.start(&spec).await {
            Err(EngineError::Rejected(words)) => words,
            Ok(_) => {
                let facts = it.exit(&spec.id).await;
                assert!(facts.never_ran(), "{facts:?}");
                facts.message.expect("words")
            }
            other => panic!("{other:?}"),
        };
        assert!(words.contains("/no/such/program"), "{words}");
    }
    it.remove(&spec).await;
}

/// Without a command the program is what the input says.
pub async fn the_input_is_readable_and_read_only(it: &Harness) {
    let spec = it.spec_with_input(&[], "say from the input\nwrite /in/input.txt spoilt\n");
    assert_eq!(it.run(&spec).await.code, 1);
    let log = it.log(&spec.id).await;
    assert_eq!(text(&log, LogStream::Stdout), "from the input\n");
    assert!(text(&log, LogStream::Stderr).contains("read-only file"), "{log:?}");
    it.remove(&spec).await;
}

/// They belong to the spec's user, and stay when the container is removed.
pub async fn outputs_are_left_in_out(it: &Harness) {
    let spec = it.spec(&["write", "a/b.txt", "an output"]);
    assert_eq!(it.run(&spec).await.code, 0);
    it.remove(&spec).await;
    let output = it.dirs().out(&spec.id).join("a/b.txt");
    assert_eq!(fs::read_to_string(&output).expect("an output"), "an output");
    let (user, metadata) = (it.dirs().user(spec.user), fs::metadata(&output).expect("metadata"));
    assert_eq!((metadata.uid(), metadata.gid()), (user.uid, user.gid));
}
