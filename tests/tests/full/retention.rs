//! Retention with all that a job can store: outputs and logs of real containers, on both stores.

use fileyard_tests::{
    LONG, until,
    yard::{On, Yard},
};

on_both_stores! {
    all_that_a_job_stored_goes_with_it
}

async fn all_that_a_job_stored_goes_with_it(on: On) {
    let yard = Yard::with_engine(on.open().await);
    let server = yard.start().await;
    // Two attempts, each with its log, and outputs of the second.
    let steps = "say at work\nflaky 2\nwrite a.txt A\nwrite deep/b.txt B\nresult {\"a\": 1}";
    let job = server.accepted("drill/a.txt", steps).await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &2.into()), "{ended:#}");
    let failed = server.accepted("drill/b.txt", "say no\nexit 3").await;
    server.ended(&failed, LONG).await;
    yard.nothing_left().await;
    // Input, two outputs and two logs; input and log; the store's marker.
    assert_eq!(yard.rows().blobs().len(), 8);
    server.stop().await;

    let briefly = ("FILEYARD_RETENTION__JOBS", "1s");
    let failing = [briefly, ("FILEYARD_FAILPOINT", "half-removed:2")];
    yard.spawn(&failing).killed_by_failpoint().await;
    let server = yard.start_with(&[briefly]).await;
    let runs = server.accepted("drill/c.txt", "say here\nwait").await;
    server.job_until(&runs, "it runs", |job| job["phase"] == "running").await;
    until("the ended ones go", LONG, async || (server.jobs().await.len() == 1).then_some(())).await;
    for gone in [&job, &failed] {
        server.get(&format!("/jobs/{gone}")).await.expect(404);
    }
    server.cancel(&runs).await.expect(200);
    until("the last one goes", LONG, async || server.jobs().await.is_empty().then_some(())).await;
    yard.nothing_left().await;
    let rows = yard.rows();
    assert_eq!(rows.blobs(), ["fileyard-install.json"]);
    assert!(rows.uploads.is_empty() && rows.attempts.is_empty());
}
