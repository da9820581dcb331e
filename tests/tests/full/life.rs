//! A job's life as its owner sees it: progress, a log that grows, and a cancel at any moment.

use std::time::Duration;

use fileyard_tests::{
    LONG,
    relay::Relay,
    until,
    yard::{On, Store, Yard},
};

on_both_stores! {
    progress_and_log_are_seen_while_it_runs
    a_job_is_cancelled_while_it_waits_runs_and_stops
}

async fn progress_and_log_are_seen_while_it_runs(on: On) {
    let yard = Yard::with_engine(on.open().await);
    let server = yard.start().await;
    let steps = "say one\nerr two\nsay fileyard:progress 0.4 resizing\nwait";
    let job = server.accepted("drill/steps.txt", steps).await;
    let seen = server.job_until(&job, "progress is seen", |job| !job["progress"].is_null()).await;
    assert_eq!(seen["progress"]["fraction"], 0.4);
    assert_eq!(seen["progress"]["message"], "resizing");
    assert_eq!(seen["phase"], "running");
    let page = server.page(&format!("/status/{job}")).await.text();
    assert!(page.contains("resizing") && page.contains("40%"), "{page}");
    let said = server.log(&job).await;
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert!(lines.contains(&"one") && lines.contains(&"two"), "{said}");
    let tail = server.get(&format!("/jobs/{job}/logs?tail=1")).await.text();
    assert_eq!(tail.lines().count(), 1, "{tail}");
    let stamped = server.get(&format!("/jobs/{job}/logs?timestamps=1")).await.text();
    assert!(stamped.lines().all(|line| line.starts_with("20")), "{stamped}");

    server.cancel(&job).await.expect(200);
    yard.nothing_left().await;
    let said = server.log(&job).await;
    assert!(said.contains("drill: stopped by SIGTERM"), "a cancelled attempt has its log: {said}");
    assert_eq!(server.job(&job).await["state"], "cancelled");
}

async fn a_job_is_cancelled_while_it_waits_runs_and_stops(on: On) {
    let drill = "image = \"fileyard/drill:latest\"\npull = \"never\"";
    let yard = Yard::with_engine(on.open().await)
        .processor("one", &format!("{drill}\nconcurrency = 1\ngrace = \"1s\""))
        .processor("slow", &format!("{drill}\ntimeout = \"1s\"\ngrace = \"2s\""));
    let server = yard.start().await;
    let running = server.accepted("one/a.txt", "stubborn").await;
    server.job_until(&running, "it runs", |job| job["phase"] == "running").await;
    let waiting = server.accepted("one/b.txt", "say never").await;
    server.job_until(&waiting, "it waits", |job| job["waiting_for"] == "slot").await;
    let stopping = server.accepted("slow/c.txt", "stubborn").await;
    server.job_until(&stopping, "it stops", |job| job["phase"] == "stopping").await;
    for job in [&stopping, &waiting, &running] {
        let cancelled = server.cancel(job).await;
        assert_eq!(cancelled.expect(200).json()["state"], "cancelled");
        server.cancel(job).await.problem(409, "conflict");
    }
    yard.nothing_left().await;
    for job in [&stopping, &waiting, &running] {
        assert_eq!(server.job(job).await["state"], "cancelled");
    }
    assert_eq!(server.log(&waiting).await, "");
}

/// While the engine takes its time to answer a job stays in `starting`, so there it can be
/// cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_cancelled_while_it_starts() {
    let yard = Yard::with_docker(Store::Local);
    let mut relay = Relay::start(yard.path());
    let yard =
        yard.section("engine", &format!("kind = \"docker\"\ndocker_host = \"{}\"", relay.host()));
    let server = yard.start().await;
    // That the image is there is known from now on.
    let first = server.accepted("drill/a.txt", "say a").await;
    assert_eq!(server.ended(&first, LONG).await["state"], "succeeded");
    yard.nothing_left().await;
    relay.hang().await;
    let job = server.accepted("drill/b.txt", "say never").await;
    server.job_until(&job, "it starts", |job| job["phase"] == "starting").await;
    server.cancel(&job).await.expect(200);
    relay.cut().await;
    relay.mend();
    yard.nothing_left().await;
    let cancelled = server.job(&job).await;
    assert_eq!((&cancelled["state"], &cancelled["attempt"]), (&"cancelled".into(), &1.into()));
    assert_eq!(server.log(&job).await, "");
}

/// While the store is down a job stays in `collecting`, so there it can be cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_cancelled_while_it_is_collected() {
    let mut yard = Yard::with_engine(On::MinIo.open().await);
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say go\nsleep 2s\nwrite a.txt x").await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    yard.minio().kill();
    server.job_until(&job, "it is collected", |job| job["phase"] == "collecting").await;
    server.cancel(&job).await.expect(200);
    yard.minio().revive().await;
    yard.nothing_left().await;
    assert_eq!(server.job(&job).await["state"], "cancelled");
}

/// Slots count containers: one that is still being stopped has its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_container_keeps_its_slot_until_it_is_gone() {
    let one =
        "image = \"fileyard/drill:latest\"\npull = \"never\"\nconcurrency = 1\ngrace = \"2s\"";
    let yard = Yard::with_engine(Store::Local).processor("one", one);
    let server = yard.start().await;
    let first = server.accepted("one/a.txt", "stubborn").await;
    server.job_until(&first, "it runs", |job| job["phase"] == "running").await;
    let second = server.accepted("one/b.txt", "say second").await;
    server.cancel(&first).await.expect(200);
    let mut most = 0;
    until("the second has ended", LONG, async || {
        let running = yard.containers().await;
        most = most.max(running.iter().filter(|container| container.state == "running").count());
        (server.job(&second).await["state"] == "succeeded").then_some(())
    })
    .await;
    assert_eq!(most, 1);
    server.ended(&second, Duration::from_secs(1)).await;
    yard.nothing_left().await;
}
