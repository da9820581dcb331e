//! `kill -9` while an upload comes in, without an engine: what was acknowledged is there after a
//! restart, and nothing of the rest is.

use fileyard_tests::{client::id, yard::Yard};

async fn crash(step: &str) -> (Yard, Option<String>) {
    let yard = Yard::new().processors();
    let server = yard.start_failing_at(step).await;
    let put = server.request(reqwest::Method::PUT, "/upload/drill/a.txt");
    let answer = server.send(put.body(vec![b'\n'; 3 << 20])).await;
    server.killed_by_failpoint().await;
    let acknowledged = answer.ok().map(|answer| id(&answer.expect(202).json()));
    (yard, acknowledged)
}

async fn jobs_after(step: &str) -> usize {
    let (yard, acknowledged) = crash(step).await;
    assert_eq!(acknowledged, None, "nothing was acknowledged at {step}");
    let server = yard.start().await;
    let jobs = server.jobs().await;
    for job in &jobs {
        assert!(job["attempt"].is_null(), "nothing is claimed while there is no engine: {job:#}");
        let input = server.get(job["input"]["url"].as_str().unwrap()).await;
        assert_eq!(input.expect(200).body.len(), 3 << 20);
        server.cancel(&id(job)).await.expect(200);
    }
    yard.nothing_left().await;
    jobs.len()
}

#[tokio::test]
async fn at_the_upload_s_row() {
    assert_eq!(jobs_after("upload-row").await, 0);
}

#[tokio::test]
async fn in_the_middle_of_its_body() {
    assert_eq!(jobs_after("mid-body").await, 0);
    assert_eq!(jobs_after("mid-body:3").await, 0);
}

#[tokio::test]
async fn when_its_blob_is_stored() {
    assert_eq!(jobs_after("blob-stored").await, 0);
}

#[tokio::test]
async fn when_it_is_committed_and_not_answered() {
    assert_eq!(jobs_after("committed").await, 1);
}

/// The control: with a rule switched off the same look finds that something is left.
#[tokio::test]
async fn a_server_that_abandons_nothing_is_found_out() {
    let (yard, _) = crash("mid-body").await;
    let server = yard.start_with(&[("FILEYARD_BROKEN_RULE", "abandon")]).await;
    server.stop().await;
    let wrong = yard.violations().await;
    assert!(wrong.iter().any(|what| what.contains("is receiving")), "{wrong:?}");
}
