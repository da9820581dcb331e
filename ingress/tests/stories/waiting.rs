//! Long polls: subscribe, then read, then wait.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use axum::body::Body;
use fileyard_storage::{
    attempt::AttemptEvent,
    clock::Clock,
    id::AttemptNo,
    job::{JobEvent, WaitingFor},
};
use futures::future::join_all;
use http::{HeaderName, Request, StatusCode, header};

use crate::yard::{Answer, BROWSER, KEEP_JOBS, Yard};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Far less than any wait of these stories that would have to run out, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(30);

async fn ask(yard: &Yard, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    yard.ask(request.body(Body::empty()).unwrap()).await
}

fn tag(answer: &Answer) -> String {
    let tag = answer.header(header::ETAG);
    assert!(tag.len() > 10 && tag.starts_with('"') && tag.ends_with('"'), "{answer:?}");
    tag.to_owned()
}

/// Until so many wait for a job.
async fn waiting(yard: &Yard, jobs: usize) {
    while yard.changes.watched() < jobs {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_job_has_ended_and_not_before() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let path = format!("/status/{}?wait=60", job.id());
    let asked = ask(&yard, &path, &[]);
    let story = async {
        waiting(&yard, 1).await;
        yard.apply(job.id(), JobEvent::Wait { on: Some(WaitingFor::Engine) }).await;
        yard.running(job.id()).await;
        yard.intake.cancel(job.id()).await.unwrap();
        Instant::now()
    };
    let (answer, ended) = tokio::join!(asked, story);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["state"], "cancelled");
    assert!(ended.elapsed() < AT_ONCE, "at once, and not when it looks by itself");
    assert_eq!(yard.changes.watched(), 0, "nothing is kept of what nobody waits for");
}

#[tokio::test]
async fn after_its_time_a_long_poll_is_answered_with_what_is() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let began = Instant::now();
    let answer = ask(&yard, &format!("/jobs/{}?wait=1", job.id()), &[]).await;
    assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::OK, &"queued".into()));
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(answer.header(PREFERENCE_APPLIED), "");

    let known = tag(&answer);
    let headers = [(PREFER, "wait=1"), (header::IF_NONE_MATCH, known.as_str())];
    let answer = ask(&yard, &format!("/status/{}", job.id()), &headers).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header(PREFERENCE_APPLIED), "wait=1");
    assert_eq!(answer.header(header::VARY), "Accept, Prefer");
    assert_eq!(tag(&answer), known);
    assert_eq!(yard.changes.watched(), 0);
}

#[tokio::test]
async fn who_knows_what_is_hears_of_the_first_change() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let path = format!("/status/{}?wait=60", job.id());
    let known = tag(&ask(&yard, &format!("/status/{}", job.id()), &[]).await);
    let headers = [(header::IF_NONE_MATCH, known.as_str())];
    let story = async {
        waiting(&yard, 1).await;
        yard.apply(job.id(), JobEvent::Wait { on: Some(WaitingFor::Slot) }).await;
    };
    let (answer, ()) = tokio::join!(ask(&yard, &path, &headers), story);
    assert_eq!(answer.json()["waiting_for"], "slot");
    assert_ne!(tag(&answer), known);
    // What it knows is older than what is: it is told at once.
    let began = Instant::now();
    let answer = ask(&yard, &path, &headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(began.elapsed() < AT_ONCE);
}

#[tokio::test]
async fn what_has_ended_is_read_once_and_what_has_not_each_time() {
    let yard = Yard::new();
    let (ended, queued) = (yard.job("a.txt", "a").await, yard.job("b.txt", "b").await);
    let path = format!("/status/{}", ended.id());
    assert_eq!(ask(&yard, &path, &[]).await.json()["state"], "queued");
    yard.succeeded(ended.id(), 1.into(), &[]).await;
    let first = ask(&yard, &path, &[]).await;
    assert_eq!(
        first.json()["state"],
        "succeeded",
        "and not what it was when it was last asked for"
    );
    let read = || yard.jobs_read.load(Ordering::SeqCst);
    let before = read();
    for path in [&path, &format!("/jobs/{}", ended.id()), &format!("{path}?wait=60")] {
        let again = ask(&yard, path, &[]).await;
        assert_eq!((&again.body, tag(&again)), (&first.body, tag(&first)));
    }
    assert_eq!(read(), before);
    for _ in 0..2 {
        ask(&yard, &format!("/status/{}", queued.id()), &[]).await;
    }
    assert_eq!(read(), before + 2);
    // Once it may have been pruned nobody takes its word for it.
    yard.clock.advance(KEEP_JOBS);
    assert_eq!(ask(&yard, &path, &[]).await.body, first.body);
    assert_eq!(read(), before + 3);
    yard.clock.advance(Duration::from_millis(1));
    let removed = yard.store.apply_to_attempt(ended.id(), AttemptNo(1), AttemptEvent::Remove);
    removed.await.unwrap();
    assert_eq!(yard.store.prune(yard.clock.now().before(KEEP_JOBS), 9).await.unwrap(), 1);
    assert_eq!(ask(&yard, &path, &[]).await.code(), "unknown_job");
}

#[tokio::test]
async fn a_job_that_has_ended_is_not_waited_for() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    yard.succeeded(job.id(), 1.into(), &[]).await;
    let began = Instant::now();
    let path = format!("/status/{}?wait=60", job.id());
    let answer = ask(&yard, &path, &[]).await;
    assert_eq!(answer.json()["result"], 1);
    let tags = format!("\"other\", W/{}", tag(&answer));
    let again = ask(&yard, &path, &[(header::IF_NONE_MATCH, &tags)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let unknown = "/status/00000000-0000-7000-8000-000000000000?wait=60";
    assert_eq!(ask(&yard, unknown, &[]).await.code(), "unknown_job");
    assert_eq!(ask(&yard, &format!("{path}0"), &[]).await.code(), "bad_param");
    assert!(began.elapsed() < AT_ONCE);
}

#[tokio::test]
async fn ten_thousand_who_wait_cost_one_query_a_change() {
    const MANY: usize = 10_000;
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let path = format!("/status/{}?wait=60", job.id());
    let before = yard.jobs_read.load(Ordering::SeqCst);
    let polls = join_all((0..MANY).map(|_| ask(&yard, &path, &[])));
    let story = async {
        waiting(&yard, 1).await;
        for on in [WaitingFor::Engine, WaitingFor::Slot] {
            yard.apply(job.id(), JobEvent::Wait { on: Some(on) }).await;
            // Everybody wakes, looks, and waits on: on one thread, that is when it is idle again.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let read = yard.jobs_read.load(Ordering::SeqCst) - before;
        assert!((1..=3).contains(&read), "{read} reads for the beginning and two changes");
        yard.intake.cancel(job.id()).await.unwrap();
    };
    let (answers, ()) = tokio::join!(polls, story);
    assert_eq!(answers.len(), MANY);
    assert!(answers.iter().all(|answer| answer.json()["state"] == "cancelled"));
    let read = yard.jobs_read.load(Ordering::SeqCst) - before;
    assert!(read <= 4, "{read} reads for {MANY} who wait, and three changes");
    assert_eq!(yard.changes.watched(), 0);
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing_and_who_waits_is_answered_at_a_stop() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let path = format!("/status/{}?wait=60", job.id());
    let gone = tokio::time::timeout(Duration::from_millis(50), ask(&yard, &path, &[])).await;
    assert!(gone.is_err());
    assert_eq!(yard.changes.watched(), 0);
    let began = Instant::now();
    let stop = async {
        waiting(&yard, 1).await;
        yard.stop.cancel();
    };
    let (answer, ()) = tokio::join!(ask(&yard, &path, &[]), stop);
    assert_eq!(answer.status, StatusCode::OK);
    assert!(began.elapsed() < AT_ONCE);
    assert_eq!(answer.json()["state"], "queued");
}

#[tokio::test]
async fn a_browser_that_waits_gets_the_page_of_the_end() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "content").await;
    let headers = [(header::ACCEPT, BROWSER), (PREFER, "wait=60")];
    let path = format!("/status/{}", job.id());
    let story = async {
        waiting(&yard, 1).await;
        yard.intake.cancel(job.id()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask(&yard, &path, &headers), story);
    assert!(answer.text().contains("cancelled"));
    assert_eq!(answer.header(header::ETAG), "", "a page shows more than the row");
    assert_eq!(answer.header(PREFERENCE_APPLIED), "wait=60");
}

#[tokio::test]
async fn what_makes_or_changes_a_job_answers_with_its_tag() {
    let yard = Yard::new();
    let made = yard.put("/upload/text/a.txt", "content").await;
    let path = made.json()["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(made.header(header::CONTENT_LOCATION), path);
    assert_eq!(tag(&made), tag(&yard.get(&path).await));
    let cancel = Request::post(format!("{}/cancel", path.replace("status", "jobs")));
    let cancelled = yard.ask(cancel.body(Body::empty()).unwrap()).await;
    assert_ne!(tag(&cancelled), tag(&made));
    assert_eq!(tag(&cancelled), tag(&yard.get(&path).await));
    assert_eq!(cancelled.header(header::CONTENT_LOCATION), path);
}
