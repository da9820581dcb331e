//! One probe, two engines: what a program finds itself able to do is the same on both, and no known way
//! leads out of either.

use std::collections::BTreeMap;

use fileyard_orchestrator::engine::{User, conformance::Harness};
use serde_json::Value;

use crate::{
    Home, docker_beside,
    escapes::{found, ways_out},
    oci_in,
};

/// Where answers may differ, and why.
const DIFFERENT: [&str; 6] = [
    // Both have what they need, by other names and options.
    "mounts",
    "environment",
    "hostname",
    "processes",
    // Docker's init is a process of the program's own user; ours can not be traced.
    "syscalls.ptrace_init",
    // Numbers of this very process and moment.
    "pid",
];

fn flat(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flat(value, &path, into);
            }
        }
        other => drop(into.insert(path.to_owned(), other.to_string())),
    }
}

async fn answers(it: &Harness) -> BTreeMap<String, String> {
    let spec = it.spec(&["probe"]);
    let mut answers = BTreeMap::new();
    flat(&it.probe(&spec).await, "", &mut answers);
    it.remove(&spec).await;
    it.leaves_nothing().await;
    let same =
        |path: &str| !DIFFERENT.iter().any(|it| path == *it || path.starts_with(&format!("{it}.")));
    answers.into_iter().filter(|(path, _)| same(path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_can_tell_neither_engine_by_its_rights() {
    let home = Home::default();
    let here = answers(&oci_in(&home)).await;
    let there = answers(&docker_beside()).await;
    assert!(here.len() > 30, "{here:?}");
    let differ: Vec<String> = here
        .keys()
        .chain(there.keys())
        .filter(|path| here.get(*path) != there.get(*path))
        .map(|path| format!("{path}: here {:?}, on Docker {:?}", here.get(path), there.get(path)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// On Docker a container's init is a process of the program's own user and no part of the host: it may
/// be looked into, and is worth nothing.
const OPEN_ON_DOCKER: [&str; 3] = ["memory_of_init", "trace_init", "written_into_init"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_here_is_closed_there() {
    let home = Home::default();
    let root_too = [&["become_root"], &OPEN_ON_DOCKER[..]].concat();
    for (id, open) in [(65532, &OPEN_ON_DOCKER[..]), (0, &root_too)] {
        let user = User { uid: id, gid: id };
        let (here, there) =
            (found(&oci_in(&home), user).await, found(&docker_beside(), user).await);
        assert_eq!(there.keys().collect::<Vec<_>>(), here.keys().collect::<Vec<_>>());
        assert_eq!(ways_out(&there), open, "{there:#?}");
    }
}
