//! `engine.kind = "auto"`: fileyard's own engine where it can run containers, else Docker, else the
//! reasons why neither does.

use fileyard_tests::{
    LONG, docker,
    server::Server,
    shell::{checked, through},
    yard::{Store, Yard},
};
use serde_json::Value;

/// Root that may not mount: not enough for the embedded engine.
const NO_MOUNTS: [&str; 3] = ["setpriv", "--inh-caps=-sys_admin", "--bounding-set=-sys_admin"];

fn auto(yard: Yard) -> Yard {
    yard.section("engine", &format!("kind = \"auto\"\ndocker_host = \"{}\"", docker::HOST))
}

/// What `check` says of the engine, run by `words` if there are any.
fn found(yard: &Yard, words: &[&str]) -> Value {
    let check = yard.check();
    checked(if words.is_empty() { check } else { through(words, &check) }, "engine")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_is_taken_where_it_works_though_docker_is_there() {
    let yard = auto(Yard::with_oci(Store::Local));
    let engine = found(&yard, &[]);
    assert_eq!(engine["ok"], true, "{engine:#}");
    assert!(engine["message"].as_str().unwrap().starts_with("oci "), "{engine:#}");

    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say done").await;
    assert_eq!(server.ended(&job, LONG).await["state"], "succeeded");
    assert!(docker::containers(&yard.rows().install).await.is_empty());
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_does_not_docker_is_taken_and_why_is_said() {
    let yard = auto(Yard::with_docker(Store::Local));
    let engine = found(&yard, &NO_MOUNTS);
    let said = engine["message"].as_str().unwrap();
    assert_eq!(engine["ok"], true, "{engine:#}");
    assert!(said.starts_with("docker "), "{said}");
    assert!(said.contains("not fileyard's own engine: "), "{said}");

    let server = Server::ready(yard.spawn_as(through(&NO_MOUNTS, &yard.serve()))).await;
    assert!(server.process().said().contains("not fileyard's own engine: "));
    let job = server.accepted("drill/a.txt", "sleep 2s\nsay done").await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    assert_eq!(docker::containers(&yard.rows().install).await.len(), 1);
    assert_eq!(server.ended(&job, LONG).await["state"], "succeeded");
    yard.nothing_left().await;
}

/// Jobs are taken all the same: a daemon may still be started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_neither_both_reasons_are_said_and_jobs_wait() {
    let socket = "docker_host = \"unix:///nowhere/docker.sock\"";
    let yard = Yard::new().processors().section("engine", &format!("kind = \"auto\"\n{socket}"));
    let engine = found(&yard, &NO_MOUNTS);
    let said = engine["message"].as_str().unwrap();
    assert_eq!(engine["ok"], false, "{engine:#}");
    assert!(said.contains("/nowhere/docker.sock"), "{said}");
    assert!(said.contains("fileyard's own engine: "), "{said}");

    let server = Server::ready(yard.spawn_as(through(&NO_MOUNTS, &yard.serve()))).await;
    let job = server.accepted("drill/a.txt", "say done").await;
    server.job_until(&job, "it waits", |job| job["waiting_for"] == "engine").await;
    assert!(server.process().said().contains("fileyard's own engine: "));
}
