//! What fileyard stands on goes away and comes back: nothing is lost, and nobody is blamed.

use std::time::Duration;

use fileyard_tests::{
    LONG,
    client::id,
    relay::Relay,
    until,
    yard::{On, Store, Yard},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_wait_while_the_engine_is_away() {
    let yard = Yard::with_docker(Store::Local);
    let mut relay = Relay::start(yard.path());
    let yard =
        yard.section("engine", &format!("kind = \"docker\"\ndocker_host = \"{}\"", relay.host()));
    let server = yard.start().await;
    let steps = "say started\nsleep 3s\nwrite a.txt x\nsay ended";
    let running = server.accepted("drill/a.txt", steps).await;
    server.job_until(&running, "it runs", |job| job["phase"] == "running").await;
    relay.cut().await;
    until("/readyz says so", LONG, async || {
        let ready = server.get("/readyz").await.expect(200).json();
        (ready["engine"]["ok"] == false).then_some(())
    })
    .await;
    let waiting = server.accepted("drill/b.txt", "say started\nsay ended").await;
    server.job_until(&waiting, "it waits", |job| job["waiting_for"] == "engine").await;
    let page = server.page(&format!("/status/{waiting}")).await.text();
    assert!(page.contains("engine"), "{page}");
    assert_eq!(server.job(&running).await["state"], "running");
    relay.mend();
    for job in [&running, &waiting] {
        let ended = server.ended(job, LONG).await;
        assert_eq!(
            (&ended["state"], &ended["attempt"]),
            (&"succeeded".into(), &1.into()),
            "{ended:#}"
        );
        assert_eq!(server.log(job).await, "started\nended\n");
    }
    until("/readyz is well", LONG, async || {
        let ready = server.get("/readyz").await.expect(200).json();
        (ready["engine"]["ok"] == true).then_some(())
    })
    .await;
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_down_refuses_uploads_and_delays_results() {
    let mut yard = Yard::with_docker(On::MinIo.open().await);
    let server = yard.start().await;
    let steps = "say started\nsleep 2s\nwrite a.txt x\nresult {\"a\": 1}";
    let job = server.accepted("drill/a.txt", steps).await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    yard.minio().kill();

    let refused = server.put("drill/b.txt", "say b").await;
    refused.problem(503, "store_unavailable");
    let again: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=120).contains(&again));
    until("/readyz says so", LONG, async || {
        let ready = server.get("/readyz").await;
        (ready.status == 503 && ready.json()["store"]["ok"] == false).then_some(())
    })
    .await;
    server.job_until(&job, "it is collected", |job| job["phase"] == "collecting").await;
    let page = server.page(&format!("/status/{job}")).await;
    page.expect(200);

    yard.minio().revive().await;
    let ended = server.ended(&job, Duration::from_secs(90)).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()), "{ended:#}");
    assert_eq!(ended["result"]["a"], 1);
    assert_eq!(server.output(&job, "a.txt").await, "x");
    assert_eq!(server.log(&job).await, "started\n");
    let after = server.put("drill/c.txt", "say c").await;
    server.ended(&id(&after.expect(202).json()), LONG).await;
    yard.nothing_left().await;
}
