//! Retention: what ended long enough ago goes with its file, whenever the server dies, and nothing
//! else does. Without an engine: a job ends when it is cancelled.

use std::time::Duration;

use fileyard_tests::{LONG, client::id, server::Server, until, yard::Yard};

const BRIEFLY: (&str, &str) = ("FILEYARD_RETENTION__JOBS", "1s");

/// A yard where a job was cancelled, and a server that keeps it for ever.
async fn one_ended() -> (Yard, Server, String) {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let job = server.accepted("drill/first.txt", "the first").await;
    server.cancel(&job).await.expect(200);
    (yard, server, job)
}

async fn is_gone(server: &Server, job: &str) {
    until("it goes", LONG, async || {
        (server.get(&format!("/status/{job}")).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_ended_goes_with_its_file_and_what_waits_stays() {
    let (yard, server, first) = one_ended().await;
    let waits = server.accepted("drill/waits.txt", "it waits").await;
    let again = server.retry(&first).await.expect(202).json();
    server.stop().await;

    let server = yard.start_with(&[BRIEFLY]).await;
    is_gone(&server, &first).await;
    for path in ["", "/input", "/logs", "/outputs/a.txt"] {
        server.get(&format!("/jobs/{first}{path}")).await.problem(404, "unknown_job");
    }
    server.cancel(&first).await.problem(404, "unknown_job");
    server.retry(&first).await.problem(404, "unknown_job");
    let left: Vec<_> = server.jobs().await.iter().map(id).collect();
    assert_eq!(left, [id(&again), waits.clone()]);
    // The file is the other's too.
    let input = server.get(again["input"]["url"].as_str().unwrap()).await;
    assert_eq!(input.expect(200).body, "the first");

    for job in [&id(&again), &waits] {
        server.cancel(job).await.expect(200);
        is_gone(&server, job).await;
    }
    yard.nothing_left().await;
    assert_eq!(yard.rows().blobs(), ["fileyard-install.json"]);
    assert!(server.jobs().await.is_empty());
    let said = server.process().said();
    assert!(said.contains("jobs go 1s after they end"), "{said}");
}

#[tokio::test]
async fn a_request_may_be_sent_anew_once_its_job_is_gone() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let send = async |server: &Server| {
        let put = server.request(reqwest::Method::PUT, "/upload/drill/a.txt");
        server.must(put.header("Idempotency-Key", "k").body("a")).await.expect(202).clone()
    };
    let first = id(&send(&server).await.json());
    assert_eq!(id(&send(&server).await.json()), first);
    server.cancel(&first).await.expect(200);
    server.stop().await;
    let server = yard.start_with(&[BRIEFLY]).await;
    is_gone(&server, &first).await;
    let second = send(&server).await;
    assert_ne!(id(&second.json()), first);
    assert_eq!(second.header("idempotency-replayed"), "");
    server.cancel(&id(&second.json())).await.expect(200);
    yard.nothing_left().await;
}

/// Dies at that step of pruning; the next server, which keeps jobs for ever, ends what was begun.
async fn dies_at(step: &str) -> Yard {
    let (yard, server, _) = one_ended().await;
    server.stop().await;
    let failing = [BRIEFLY, ("FILEYARD_FAILPOINT", step)];
    yard.spawn(&failing).killed_by_failpoint().await;
    yard
}

#[tokio::test]
async fn what_was_begun_is_ended_by_the_next_server() {
    for step in ["pruned", "half-removed", "file-removed:2"] {
        let yard = dies_at(step).await;
        assert_eq!(yard.rows().pruned.len(), 1, "{step}");
        let server = yard.start().await;
        yard.nothing_left().await;
        assert!(server.jobs().await.is_empty());
        assert_eq!(yard.rows().blobs(), ["fileyard-install.json"]);
    }
}

/// The control: a server that forgets what it has not removed is found out.
#[tokio::test]
async fn a_server_that_leaves_the_files_is_found_out() {
    let yard = dies_at("pruned").await;
    let _server = yard.start_with(&[("FILEYARD_BROKEN_RULE", "prune")]).await;
    until("it has forgotten", LONG, async || yard.rows().pruned.is_empty().then_some(())).await;
    let wrong = yard.settled(Duration::ZERO).await.unwrap_err();
    assert!(wrong.iter().all(|what| what.contains("no row names the blob")), "{wrong:?}");
}
