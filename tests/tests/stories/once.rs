//! One request, sent more than once: at the same time, after a crash, and by the command line.

use std::{process::Stdio, time::Duration};

use fileyard_tests::{
    answer::Answer,
    client::id,
    server::Server,
    until,
    yard::{Yard, program},
};
use futures::future::join_all;
use reqwest::Method;

async fn put(server: &Server, key: &str) -> Option<Answer> {
    let request = server.request(Method::PUT, "/upload/drill/a.txt");
    let request = request.header("idempotency-key", key).body(vec![b'\n'; 3 << 20]);
    server.send(request).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_fifty_times_at_once_is_one_job() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let answers = join_all((0..50).map(|_| put(&server, "k"))).await;
    let mut accepted = Vec::new();
    for answer in answers {
        let answer = answer.expect("an answer");
        if answer.status == 202 {
            accepted.push(answer);
        } else {
            answer.problem(409, "idempotency_in_progress");
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
    let first: Vec<_> =
        accepted.iter().filter(|a| a.header("idempotency-replayed").is_empty()).collect();
    assert_eq!(first.len(), 1);
    assert!(accepted.iter().all(|answer| answer.body == first[0].body));
    let again = put(&server, "k").await.unwrap();
    assert_eq!(again.expect(202).header("idempotency-replayed"), "true");
    assert_eq!(again.body, first[0].body);
    let jobs = server.jobs().await;
    assert_eq!(jobs.len(), 1);
    server.cancel(&id(&jobs[0])).await.expect(200);
    yard.nothing_left().await;
}

/// A client that repeats its request until it is answered, through a server that dies at `step`.
async fn repeated_through_a_crash_at(step: &str) {
    let yard = Yard::new().processors();
    let server = yard.start_failing_at(step).await;
    let lost = put(&server, "k").await;
    assert!(lost.is_none(), "nothing was answered at {step}: {lost:?}");
    server.killed_by_failpoint().await;
    let server = yard.start().await;
    let answer = put(&server, "k").await.expect("an answer");
    let replayed = answer.expect(202).header("idempotency-replayed");
    assert_eq!(replayed, if step == "committed" { "true" } else { "" }, "{step}");
    let jobs = server.jobs().await;
    assert_eq!(jobs.len(), 1, "{step}");
    assert_eq!(id(&jobs[0]), id(&answer.json()));
    server.cancel(&id(&jobs[0])).await.expect(200);
    yard.nothing_left().await;
}

#[tokio::test]
async fn a_crash_between_makes_no_second_job() {
    for step in ["upload-row", "mid-body", "blob-stored", "committed"] {
        repeated_through_a_crash_at(step).await;
    }
}

/// The control: where what a dead server left is not abandoned, its key is not freed either.
#[tokio::test]
async fn a_server_that_abandons_nothing_keeps_the_key() {
    let yard = Yard::new().processors();
    let server = yard.start_failing_at("mid-body").await;
    put(&server, "k").await;
    server.killed_by_failpoint().await;
    let server = yard.start_with(&[("FILEYARD_BROKEN_RULE", "abandon")]).await;
    put(&server, "k").await.unwrap().problem(409, "idempotency_in_progress");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submit_repeats_what_a_crash_left_unanswered_and_it_is_one_job() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let yard = Yard::new().processors().section("http", &format!("listen = \"127.0.0.1:{port}\""));
    std::fs::write(yard.path().join("a.txt"), vec![b'\n'; 3 << 20]).unwrap();
    for (step, jobs) in [("mid-body", 1), ("committed", 2)] {
        let server = yard.start_failing_at(step).await;
        let mut command = program(yard.path());
        command.args(["submit", "a.txt", "-q", "--server", server.base()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        server.killed_by_failpoint().await;
        let server = yard.start().await;
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let ended = ended.await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{step}: {said}");
        let job = String::from_utf8(ended.stdout).unwrap();
        let all = server.jobs().await;
        assert_eq!(all.len(), jobs, "{step}: {said}");
        assert_eq!(id(&all[0]), job.trim());
        server.cancel(job.trim()).await.expect(200);
        server.stop().await;
    }
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_answered_at_the_end_and_when_the_server_stops() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let waits = |job: String| {
        let api = server.api();
        tokio::spawn(async move { api.get(&format!("/status/{job}?wait=60")).await })
    };
    let job = server.accepted("drill/a.txt", "say a").await;
    let other = server.accepted("drill/b.txt", "say b").await;
    let (first, second) = (waits(job.clone()), waits(other.clone()));
    until("the jobs are looked at", fileyard_tests::LONG, async || {
        let job = server.job(&other).await;
        (job["waiting_for"] == "engine").then_some(())
    })
    .await;
    server.cancel(&job).await.expect(200);
    let ended = tokio::time::timeout(Duration::from_secs(30), first).await.unwrap().unwrap();
    assert_eq!(ended.expect(200).json()["state"], "cancelled");
    server.stop().await;
    let stopped = tokio::time::timeout(Duration::from_secs(30), second).await.unwrap().unwrap();
    assert_eq!(stopped.expect(200).json()["state"], "queued");
}
