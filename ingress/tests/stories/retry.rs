//! An ended job, done again.

use axum::body::Body;
use fileyard_orchestrator::hint::Hint;
use fileyard_storage::job::{JobEvent, OwnerEvent, Reason, ReasonCode};
use http::{Request, StatusCode, header};

use crate::form::Form;
use crate::processors::{pictures, processor};
use crate::yard::{Answer, BROWSER, Yard};

async fn again(yard: &Yard, id: impl std::fmt::Display, accept: &str) -> Answer {
    let request = Request::post(format!("/jobs/{id}/retry")).header(header::ACCEPT, accept);
    yard.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_ended_job_however_it_ended_is_a_new_one_on_the_same_file() {
    let yard = Yard::new();
    let succeeded = yard.job("a.txt", "content").await;
    yard.succeeded(succeeded.id(), 1.into(), &[]).await;
    let failed = yard.job("a.txt", "content").await;
    let fence = yard.exited(failed.id(), 3).await;
    let reason = Reason::new(ReasonCode::Exit, "exit code 3");
    yard.apply(failed.id(), JobEvent::Own(fence, OwnerEvent::Fail { reason })).await;
    let cancelled = yard.job("a.txt", "content").await;
    yard.intake.cancel(cancelled.id()).await.unwrap();

    for job in [succeeded, failed, cancelled] {
        let before = yard.get(&format!("/status/{}", job.id())).await;
        let mut hints = yard.hints.listen();
        let link = before.json()["links"]["retry"].as_str().unwrap().to_owned();
        assert_eq!(link, format!("/jobs/{}/retry", job.id()));
        let answer = again(&yard, job.id(), "*/*").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        let new = answer.json();
        assert_eq!(new["state"], "queued");
        assert_eq!(new["retry_of"], job.id().to_string());
        assert_ne!(new["job_id"], new["retry_of"]);
        assert_eq!(answer.header(header::LOCATION), new["links"]["self"]);
        assert_eq!(hints.recv().await.unwrap(), Hint::Queued, "somebody is told of it");
        let input = yard.get(new["links"]["input"].as_str().unwrap()).await;
        assert_eq!(input.text(), "content");
        let after = yard.get(&format!("/status/{}", job.id())).await;
        assert_eq!(before.body, after.body, "the ended one stays as it is");
        let page = yard.page(new["links"]["self"].as_str().unwrap()).await.text();
        assert!(page.contains(&format!("/status/{}", job.id())), "its page leads to the first one");
    }
    assert_eq!(yard.left_behind().await, (6, 0));
}

#[tokio::test]
async fn one_of_several_files_is_done_again_alone() {
    let yard = Yard::new();
    let sent = yard.post("/upload", Form::default().file("a", "1").file("b", "2")).await.json();
    let id = sent["jobs"][1]["job_id"].as_str().unwrap();
    yard.intake.cancel(id.parse().unwrap()).await.unwrap();
    let new = again(&yard, id, "*/*").await.json();
    assert!(new["batch_id"].is_null(), "{new:#}");
    assert_eq!(new["input"]["name"], "b");
}

#[tokio::test]
async fn a_browsers_button_leads_to_the_new_jobs_page() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let path = format!("/status/{}", job.id());
    assert!(!yard.page(&path).await.text().contains("/retry\""), "it has not ended");
    yard.intake.cancel(job.id()).await.unwrap();
    assert!(
        yard.page(&path).await.text().contains(&format!("action=\"/jobs/{}/retry\"", job.id()))
    );
    let answer = again(&yard, job.id(), BROWSER).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let to = answer.header(header::LOCATION).to_owned();
    assert_ne!(to, path);
    assert_eq!(yard.get(&to).await.json()["retry_of"], job.id().to_string());
}

#[tokio::test]
async fn what_can_not_be_done_again_is_refused_and_nothing_is_made() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    assert_eq!(again(&yard, job.id(), "*/*").await.code(), "conflict");
    yard.running(job.id()).await;
    assert_eq!(again(&yard, job.id(), "*/*").await.code(), "conflict");
    let unknown = "00000000-0000-7000-8000-000000000000";
    assert_eq!(again(&yard, unknown, "*/*").await.code(), "unknown_job");
    assert_eq!(yard.left_behind().await.0, 1);
}

#[tokio::test]
async fn a_job_is_done_again_by_todays_config() {
    let yard = Yard::of([pictures(), processor("text")], None, None);
    let mut ended = Vec::new();
    for path in ["pictures/a.raw?param.height=200", "text/a.txt"] {
        let id = yard.put(&format!("/upload/{path}"), "x").await.json()["job_id"].clone();
        let id = id.as_str().unwrap().to_owned();
        yard.intake.cancel(id.parse().unwrap()).await.unwrap();
        ended.push(id);
    }
    let same = again(&yard, &ended[0], "*/*").await.json();
    assert_eq!(same["params"]["height"], 200);

    let mut bare = pictures();
    bare.params.remove("height");
    let restarted = yard.with_config([bare]);
    let answer = again(&restarted, &ended[0], "*/*").await;
    assert_eq!(answer.code(), "bad_param");
    assert!(answer.text().contains("param.height"), "{answer:?}");
    let answer = again(&restarted, &ended[1], "*/*").await;
    assert_eq!(answer.code(), "unknown_processor");
    assert_eq!(answer.json()["known"], serde_json::json!(["pictures"]));

    let picky = fileyard_orchestrator::processor::Processor {
        accepts: vec!["image/png".into()],
        ..pictures()
    };
    let restarted = yard.with_config([picky]);
    assert_eq!(again(&restarted, &ended[0], "*/*").await.code(), "unsupported_type");
}
