//! Servers come and go, containers stay: drains, adoptions, and neighbours that are left alone.

use fileyard_tests::{
    LONG,
    minio::MinIo,
    until,
    yard::{On, Store, Yard},
};

on_both_stores! { a_drained_server_leaves_its_containers_to_the_next }

async fn a_drained_server_leaves_its_containers_to_the_next(on: On) {
    let yard = Yard::with_engine(on.open().await);
    let server = yard.start().await;
    let job =
        server.accepted("drill/a.txt", "say started\nsleep 8s\nwrite a.txt x\nsay ended").await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    until("it says so", LONG, async || (server.log(&job).await == "started\n").then_some(())).await;
    server.stop().await;
    let containers = yard.containers().await;
    assert_eq!(containers.len(), 1, "{containers:?}");
    assert_eq!(containers[0].state, "running", "it runs on without a server");

    let server = yard.start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()), "{ended:#}");
    assert_eq!(server.log(&job).await, "started\nended\n");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_ended_while_no_server_ran_is_collected() {
    let yard = Yard::with_engine(Store::Local);
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say started\nsleep 2s\nwrite a.txt x").await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    server.stop().await;
    until("it has ended", LONG, async || {
        let found = yard.containers().await;
        (found.len() == 1 && found[0].state == "exited").then_some(())
    })
    .await;
    let server = yard.start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()), "{ended:#}");
    assert_eq!(server.output(&job, "a.txt").await, "x");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_installs_on_one_engine_and_one_bucket_leave_each_other_alone() {
    let minio = MinIo::start().await;
    let beside = minio.config().replace("a/prefix", "another/prefix");
    let (same, other) = (minio.config(), Yard::with_docker(Store::Local).section("store", &beside));
    let one = Yard::with_docker(Store::MinIo(minio));
    let (first, second) = (one.start().await, other.start().await);
    let steps = "say started\nsleep 4s\nwrite a.txt x";
    let (a, b) =
        (first.accepted("drill/a.txt", steps).await, second.accepted("drill/b.txt", steps).await);
    first.job_until(&a, "it runs", |job| job["phase"] == "running").await;
    second.job_until(&b, "it runs", |job| job["phase"] == "running").await;
    // One of them starts anew, and takes only its own for its own.
    first.kill().await;
    let first = one.start().await;
    for (server, job) in [(&first, &a), (&second, &b)] {
        let ended = server.ended(job, LONG).await;
        assert_eq!(
            (&ended["state"], &ended["attempt"]),
            (&"succeeded".into(), &1.into()),
            "{ended:#}"
        );
        assert_eq!(server.log(job).await, "started\n");
        assert_eq!(server.output(job, "a.txt").await, "x");
    }
    first.get(&format!("/status/{b}")).await.problem(404, "unknown_job");
    one.nothing_left().await;

    // A third that is pointed at the first's place is refused, and told what to do.
    let third = Yard::with_docker(Store::Local).section("store", &same);
    let mut process = third.spawn(&[]);
    let status = process.end(LONG).await;
    assert_eq!(status.code(), Some(1), "{}", process.said());
    assert!(process.said().contains("--take-over-store"), "{}", process.said());
}
