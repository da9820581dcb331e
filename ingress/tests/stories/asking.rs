//! What is asked about jobs, lists, processors and health; every document is a snapshot.

use fileyard_storage::job::{JobEvent, OwnerEvent, Reason, ReasonCode, WaitingFor};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::form::Form;
use crate::processors::pictures;
use crate::yard::{BROWSER, Yard};

/// Ids are drawn, and digests are of what a story says: everything else is as it is.
fn stable(mut json: Value) -> Value {
    fn walk(value: &mut Value, id: &regex::Regex) {
        match value {
            Value::String(text) => *text = id.replace_all(text, "ID").into_owned(),
            Value::Array(values) => values.iter_mut().for_each(|value| walk(value, id)),
            Value::Object(map) => map.values_mut().for_each(|value| walk(value, id)),
            _ => {}
        }
    }
    let id = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    walk(&mut json, &id);
    json
}

async fn shown(yard: &Yard, id: impl std::fmt::Display) -> Value {
    stable(yard.get(&format!("/status/{id}")).await.json())
}

#[tokio::test]
async fn a_job_in_every_state_has_every_key() {
    let yard = Yard::new();
    let answer = yard.put("/upload/pictures/a.raw", "x").await.json();
    insta::assert_json_snapshot!("queued", stable(answer));

    let job = yard.job("a.txt", "content").await;
    yard.apply(job.id(), JobEvent::Wait { on: Some(WaitingFor::Engine) }).await;
    insta::assert_json_snapshot!("waiting", shown(&yard, job.id()).await);
    yard.running(job.id()).await;
    insta::assert_json_snapshot!("running", shown(&yard, job.id()).await);

    let job = yard.job("a.txt", "content").await;
    let outputs: [(&str, &str, &[u8]); 2] =
        [("a b/ü.png", "image/png", b"png"), ("empty", "application/octet-stream", b"")];
    yard.succeeded(job.id(), json!({"lines": 1, "nothing": null}), &outputs).await;
    insta::assert_json_snapshot!("succeeded", shown(&yard, job.id()).await);

    let job = yard.job("a.txt", "content").await;
    let fence = yard.exited(job.id(), 3).await;
    let reason =
        Reason { code: ReasonCode::Exit, exit_code: Some(3), message: "exit code 3".into() };
    yard.apply(job.id(), JobEvent::Own(fence, OwnerEvent::Fail { reason })).await;
    insta::assert_json_snapshot!("failed", shown(&yard, job.id()).await);

    let job = yard.job("a.txt", "content").await;
    let cancel = Request::post(format!("/jobs/{}/cancel", job.id()));
    let answer = yard.ask(cancel.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    insta::assert_json_snapshot!("cancelled", stable(answer.json()));
}

#[tokio::test]
async fn a_job_has_two_addresses_and_keeps_its_bytes_once_it_has_ended() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    yard.succeeded(job.id(), Value::Null, &[]).await;
    let before = yard.get(&format!("/status/{}", job.id())).await;
    yard.clock.advance(std::time::Duration::from_secs(1000));
    let after = yard.get(&format!("/jobs/{}", job.id())).await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.header(header::VARY), "Accept, Prefer");
}

#[tokio::test]
async fn a_job_that_has_ended_can_not_be_cancelled() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let cancel = |accept: &str| {
        let request = Request::post(format!("/jobs/{}/cancel", job.id()));
        request.header(header::ACCEPT, accept).body(axum::body::Body::empty()).unwrap()
    };
    let answer = yard.ask(cancel(BROWSER)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header(header::LOCATION), format!("/status/{}", job.id()));
    let answer = yard.ask(cancel("*/*")).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "conflict"));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_a_code() {
    let yard = Yard::new();
    let unknown = "/status/00000000-0000-7000-8000-000000000000";
    let mut problems = Vec::new();
    for (method, path) in [
        (Method::GET, "/nowhere"),
        (Method::GET, "/status/"),
        (Method::GET, unknown),
        (Method::GET, "/status/not-an-id"),
        (Method::GET, "/status/%FF"),
        (Method::GET, "/jobs/not-an-id/outputs/%FF"),
        (Method::GET, "/jobs/not-an-id/logs"),
        (Method::GET, "/jobs?state=done"),
        (Method::GET, "/?processor=nope"),
        (Method::GET, "/assets/style.css"),
        (Method::POST, "/jobs/not-an-id/cancel"),
        (Method::POST, "/jobs/not-an-id/retry"),
        (Method::GET, "/upload"),
        (Method::DELETE, unknown),
    ] {
        let request = Request::builder().method(&method).uri(path);
        let answer = yard.ask(request.body(axum::body::Body::empty()).unwrap()).await;
        answer.code();
        let allow = answer.header(header::ALLOW);
        problems.push(format!("{method} {path} -> {} {allow}\n{:#}", answer.status, answer.json()));
    }
    insta::assert_snapshot!(problems.join("\n\n"));
}

#[tokio::test]
async fn a_browser_gets_a_problem_as_a_page_with_the_same_status() {
    let yard = Yard::new();
    for (path, status) in [("/nowhere", 404), ("/upload", 405), ("/status/x", 404)] {
        let answer = yard.page(path).await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(answer.header(header::CONTENT_TYPE).starts_with("text/html"));
        assert!(answer.text().contains("<h1>"));
    }
    assert_eq!(yard.page("/upload").await.header(header::ALLOW), "POST");
}

#[tokio::test]
async fn a_list_is_narrowed_and_read_page_by_page() {
    let yard = Yard::new();
    for name in ["a", "b", "c"] {
        yard.job(name, "x").await;
    }
    yard.put("/upload/pictures/d.raw", "x").await;
    let names = |json: &Value| -> Vec<String> {
        let jobs = json["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job["input"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = yard.get("/jobs").await.json();
    assert_eq!(names(&all), ["d.raw", "c", "b", "a"]);
    assert!(all["next"].is_null());
    let first = yard.get("/jobs?limit=3").await.json();
    assert_eq!(names(&first), ["d.raw", "c", "b"]);
    let next = format!("/jobs?limit=3&cursor={}", first["next"].as_str().unwrap());
    let second = yard.get(&next).await.json();
    assert_eq!(names(&second), ["a"]);
    assert!(second["next"].is_null());
    assert_eq!(names(&yard.get("/jobs?processor=pictures").await.json()), ["d.raw"]);
    assert!(names(&yard.get("/jobs?state=failed").await.json()).is_empty());
    let exact = yard.get("/jobs?limit=4").await.json();
    assert!(exact["next"].is_null(), "a full last page has no next one");
}

#[tokio::test]
async fn processors_are_listed_with_their_params() {
    let yard = Yard::of([pictures()], None, None);
    insta::assert_json_snapshot!(yard.get("/processors").await.json());
}

#[tokio::test]
async fn readiness_names_each_part() {
    let yard = Yard::new();
    assert_eq!(yard.get("/healthz").await.status, StatusCode::OK);
    let well = json!({"ok": true, "message": null});
    let ready = yard.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(ready.json(), json!({"store": well, "database": well, "engine": well}));
    for (sick, status) in [("engine", 200), ("store", 503), ("database", 503)] {
        let yard = Yard::new();
        yard.health.0.lock().unwrap().push(sick);
        let answer = yard.get("/readyz").await;
        assert_eq!(answer.status.as_u16(), status, "{sick}");
        assert_eq!(answer.json()[sick]["ok"], false);
    }
}

#[tokio::test]
async fn a_bug_in_a_handler_is_a_problem_and_the_next_request_is_answered() {
    let yard = Yard::new();
    yard.health.0.lock().unwrap().push("bug");
    let answer = yard.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
    yard.health.0.lock().unwrap().clear();
    assert_eq!(yard.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_forms_answer_is_a_snapshot_too() {
    let yard = Yard::new();
    let answer = yard.post("/upload", Form::default().file("a", "1")).await;
    insta::assert_json_snapshot!("submitted", stable(answer.json()));
}
