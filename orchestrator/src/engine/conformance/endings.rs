//! How a container ended, on an engine that has a kernel under it.

use super::{Harness, text};
use crate::engine::{LogStream, Signal};

/// Both end by SIGKILL; only one of them by the kernel's.
pub async fn memory_over_the_limit_is_told_from_a_kill(it: &Harness) {
    let spec = it.spec(&["eat", "1GiB"]);
    let facts = it.run(&spec).await;
    assert_eq!((facts.code, facts.out_of_memory), (137, true));
    it.remove(&spec).await;

    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.expect("a start");
    it.says(&spec.id, "ready").await;
    it.engine.signal(&spec.id, Signal::Kill).await.expect("it is so");
    let facts = it.exit(&spec.id).await;
    assert_eq!((facts.code, facts.out_of_memory), (137, false));
    it.remove(&spec).await;
}

/// What it makes of that is its own.
pub async fn a_killed_child_is_no_failure_of_a_program_that_goes_on(it: &Harness) {
    let spec = it.spec(&["oomchild", "1GiB", "say", "went on"]);
    assert_eq!(it.run(&spec).await.code, 0);
    assert!(text(&it.log(&spec.id).await, LogStream::Stdout).contains("went on"));
    it.remove(&spec).await;
}

/// Also that of a file which grew too large.
pub async fn a_signal_of_its_own_is_128_and_its_number(it: &Harness) {
    for (signal, code) in [("11", 139), ("6", 134), ("9", 137)] {
        let spec = it.spec(&["signal", signal]);
        let facts = it.run(&spec).await;
        assert_eq!((facts.code, facts.out_of_memory), (code, false));
        // One that was not delivered is told so.
        assert_eq!(text(&it.log(&spec.id).await, LogStream::Stderr), "");
        it.remove(&spec).await;
    }
    let mut spec = it.spec(&["fill", "large", "2MiB"]);
    spec.limits.file_size = 1 << 20;
    assert_eq!(it.run(&spec).await.code, 128 + 25, "SIGXFSZ");
    it.remove(&spec).await;
}

/// And the machine goes on.
pub async fn a_fork_bomb_ends_at_its_limit(it: &Harness) {
    let spec = it.spec(&["fork", "0"]);
    assert_eq!(it.run(&spec).await.code, 3);
    it.remove(&spec).await;
}

/// In the engine's words, which are told from a program's own.
pub async fn a_program_that_cannot_be_run_never_ran(it: &Harness) {
    // The input is a file that nobody may run.
    let mut spec = it.spec(&[]);
    spec.entrypoint = vec!["/in/input.txt".into()];
    let facts = it.run(&spec).await;
    assert!(facts.never_ran(), "{facts:?}");
    let words = facts.message.expect("words");
    assert!(words.contains("/in/input.txt"), "{words}");
    it.remove(&spec).await;

    // A program's own 127 is its own.
    let spec = it.spec(&["err", "not found", "exit", "127"]);
    let facts = it.run(&spec).await;
    assert_eq!((facts.never_ran(), facts.code), (false, 127));
    it.remove(&spec).await;
}
