//! `Idempotency-Key` and `Content-Digest`: the same request again makes nothing, and what is not
//! what it was said to be is not kept.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{channel::mpsc, future::join_all, stream};
use http::{HeaderName, Request, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::form::Form;
use crate::processors::{pictures, processor};
use crate::yard::{Answer, BROWSER, LIMITS, Yard};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const DIGEST: HeaderName = HeaderName::from_static("content-digest");

fn digest(content: impl AsRef<[u8]>) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(content)))
}

fn put(path: &str, key: &str, body: impl Into<Body>) -> Request<Body> {
    Request::put(path).header(KEY, key).body(body.into()).unwrap()
}

fn post(form: &Form, key: &str) -> Request<Body> {
    let mut request = form.request("/upload");
    request.headers_mut().insert(KEY, key.parse().unwrap());
    request
}

fn with(mut request: Request<Body>, name: HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// A body that must not be read.
fn untouched() -> Body {
    Body::from_stream(stream::once(async { panic!("the body was read") as Result<Bytes, String> }))
}

/// A body that is sent when a story sends it.
fn sending() -> (mpsc::UnboundedSender<Result<Bytes, String>>, Body) {
    let (send, body) = mpsc::unbounded();
    (send, Body::from_stream(body))
}

fn same(first: &Answer, again: &Answer) {
    assert_eq!(first.header(REPLAYED), "");
    assert_eq!(again.header(REPLAYED), "true", "{again:?}");
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    for name in [header::LOCATION, header::ETAG, header::CONTENT_LOCATION] {
        assert_eq!(first.headers.get(&name), again.headers.get(&name), "{name}");
    }
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_the_first_was() {
    let yard = Yard::new();
    let first = yard.ask(put("/upload/text/a.txt?x=1", "k", "content")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let id = first.json()["job_id"].as_str().unwrap().to_owned();
    // Whatever has become of the job: the answer is the one of then.
    yard.clock.advance(Duration::from_secs(3600));
    yard.intake.cancel(id.parse().unwrap()).await.unwrap();
    // Spelled in other ways, it is the same request.
    for (path, key) in [
        ("/upload/text/a.txt", "k"),
        ("/upload/a.txt?processor=text", "\"k\""),
        ("/upload/text/%61.txt", "k"),
    ] {
        let again = yard.ask(put(path, key, "content")).await;
        same(&first, &again);
        let announced = with(put(path, key, untouched()), DIGEST, &digest("content"));
        same(&first, &yard.ask(announced).await);
    }
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn a_form_again_is_answered_as_the_first_was() {
    let yard = Yard::new();
    let form = Form::default().file("a", "1").file("b", "2").field("processor", "text");
    let first = yard.ask(with(post(&form, "k"), DIGEST, &digest(form.bytes()))).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    assert!(!first.json()["batch_id"].is_null());
    // Its fields in another order: other bytes, the same request.
    let again = Form::default().field("processor", "text").file("a", "1").file("b", "2");
    same(&first, &yard.ask(post(&again, "k")).await);
    same(&first, &yard.ask(with(post(&again, "k"), DIGEST, &digest(again.bytes()))).await);
    let mut announced = with(post(&form, "k"), DIGEST, &digest(form.bytes()));
    *announced.body_mut() = untouched();
    same(&first, &yard.ask(announced).await);
    let browser = yard.ask(with(post(&again, "k"), header::ACCEPT, BROWSER)).await;
    assert_eq!((browser.status, browser.header(REPLAYED)), (StatusCode::SEE_OTHER, "true"));
    assert_eq!(browser.header(header::LOCATION), first.header(header::LOCATION));
    assert_eq!(yard.left_behind().await, (2, 0));
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let yard = Yard::new();
    yard.ask(put("/upload/text/a.txt", "k", "content")).await;
    for (path, body) in [
        ("/upload/text/a.txt", "Content"),
        ("/upload/text/b.txt", "content"),
        ("/upload/a.txt", "content"),
        ("/upload/nobody/a.txt", "content"),
        ("/upload/text/a.txt?param.x=1", "content"),
    ] {
        let answer = yard.ask(put(path, "k", body)).await;
        let code = (answer.status.as_u16(), answer.code());
        assert_eq!(code, (422, "idempotency_mismatch".into()), "{path}");
        let announced = with(put(path, "k", untouched()), DIGEST, &digest(body));
        assert_eq!(yard.ask(announced).await.code(), "idempotency_mismatch");
    }
    let form = Form::default().file("a.txt", "content").field("processor", "text");
    let answer = yard.ask(post(&form, "k")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "a form's key is another key");
    for other in [
        Form::default().file("a.txt", "content"),
        Form::default().file("a.txt", "content").field("processor", "text").file("b", ""),
        Form::default().field("processor", "text"),
        Form::default().file("a.txt", "content").field("processor", "text").field("param.x", "1"),
    ] {
        assert_eq!(yard.ask(post(&other, "k")).await.code(), "idempotency_mismatch");
    }
    let large = "x".repeat(LIMITS.max_size as usize + 1);
    assert_eq!(yard.ask(put("/upload/text/a.txt", "k", large)).await.code(), "too_large");
    assert_eq!(yard.left_behind().await, (2, 0));
}

#[tokio::test]
async fn while_a_request_is_under_way_its_key_is_taken() {
    let yard = Arc::new(Yard::new());
    let (mut send, body) = sending();
    let running = tokio::spawn({
        let yard = Arc::clone(&yard);
        async move { yard.ask(put("/upload/text/a.txt", "k", body)).await }
    });
    send.start_send(Ok("con".into())).unwrap();
    while yard.store.receiving(1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let busy = yard.ask(put("/upload/text/a.txt", "k", untouched())).await;
    assert_eq!((busy.status.as_u16(), busy.code().as_str()), (409, "idempotency_in_progress"));
    assert_eq!(busy.header(header::RETRY_AFTER), "1");
    send.start_send(Ok("tent".into())).unwrap();
    drop(send);
    let first = running.await.unwrap();
    same(&first, &yard.ask(put("/upload/text/a.txt", "k", "content")).await);
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn fifty_at_once_are_one_job() {
    let yard = Yard::new();
    let form = Form::default().file("a", "1").file("b", "2");
    let puts = join_all((0..50).map(|_| yard.ask(put("/upload/text/a.txt", "k", "content"))));
    let posts = join_all((0..50).map(|_| yard.ask(post(&form, "k"))));
    let (puts, posts) = tokio::join!(puts, posts);
    for answers in [puts, posts] {
        let accepted: Vec<_> =
            answers.iter().filter(|a| a.status == StatusCode::ACCEPTED).collect();
        let made = accepted.iter().filter(|answer| answer.header(REPLAYED).is_empty()).count();
        assert_eq!(made, 1);
        assert!(accepted.iter().all(|answer| answer.body == accepted[0].body));
        let busy = answers.iter().filter(|answer| answer.status == StatusCode::CONFLICT).count();
        assert_eq!(accepted.len() + busy, 50);
    }
    assert_eq!(yard.left_behind().await, (3, 0));
}

#[tokio::test]
async fn a_request_that_came_to_nothing_has_used_no_key() {
    let yard = Yard::new();
    let (mut send, body) = sending();
    send.start_send(Ok("con".into())).unwrap();
    send.start_send(Err("the line broke".into())).unwrap();
    drop(send);
    let cut = yard.ask(put("/upload/text/a.txt", "k", body)).await;
    assert_eq!(cut.code(), "length_mismatch");
    let refused = Form::default().file("a", "1").file("b", "2").field("processor", "nobody");
    assert_eq!(yard.ask(post(&refused, "k")).await.code(), "unknown_processor");
    let wrong = with(put("/upload/text/a.txt", "k", "content"), DIGEST, &digest("other"));
    assert_eq!(yard.ask(wrong).await.code(), "digest_mismatch");
    while !yard.store.receiving(1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for request in [
        put("/upload/pictures/b.raw", "k", "quite another one"),
        post(&Form::default().file("c", "3"), "k"),
    ] {
        let answer = yard.ask(request).await;
        assert_eq!((answer.status, answer.header(REPLAYED)), (StatusCode::ACCEPTED, ""));
    }
    assert_eq!(yard.left_behind().await, (2, 0));
}

#[tokio::test]
async fn a_dead_servers_keys_are_free_and_what_it_answered_is_answered_again() {
    let yard = Arc::new(Yard::new());
    let first = yard.ask(put("/upload/text/done.txt", "done", "content")).await;
    let (mut send, body) = sending();
    let dying = tokio::spawn({
        let yard = Arc::clone(&yard);
        async move { yard.ask(put("/upload/text/cut.txt", "cut", body)).await }
    });
    send.start_send(Ok("con".into())).unwrap();
    while yard.store.receiving(1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    // Another process on the same rows, with another config; the first one hangs as if dead.
    let next = yard.with_config([pictures()]);
    next.intake.sweep().await.unwrap();
    same(&first, &next.ask(put("/upload/text/done.txt", "done", "content")).await);
    let again = next.ask(put("/upload/pictures/cut.raw", "cut", "content")).await;
    assert_eq!((again.status, again.header(REPLAYED)), (StatusCode::ACCEPTED, ""), "{again:?}");
    // Should it come back to life, it makes no second job.
    drop(send);
    let late = dying.await.unwrap();
    assert!(!late.status.is_success(), "{late:?}");
    assert_eq!(next.left_behind().await, (2, 0));
}

#[tokio::test]
async fn a_key_is_kept_for_seven_days() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let yard = Yard::new();
    let first = yard.ask(put("/upload/text/a.txt", "k", "content")).await;
    yard.clock.advance(7 * DAY - Duration::from_secs(1));
    yard.intake.sweep().await.unwrap();
    same(&first, &yard.ask(put("/upload/text/a.txt", "k", "content")).await);
    yard.clock.advance(Duration::from_secs(2));
    yard.intake.sweep().await.unwrap();
    let new = yard.ask(put("/upload/text/a.txt", "k", "content")).await;
    assert_eq!((new.status, new.header(REPLAYED)), (StatusCode::ACCEPTED, ""));
    assert_ne!(new.body, first.body);
}

#[tokio::test]
async fn a_key_that_can_not_be_one_is_refused() {
    let yard = Yard::new();
    let long = "x".repeat(256);
    for key in ["", "a b", "\"open", &long] {
        assert_eq!(yard.ask(put("/upload/a", key, untouched())).await.code(), "bad_param", "{key}");
    }
    assert_eq!(yard.left_behind().await, (0, 0));
}

#[tokio::test]
async fn what_is_not_what_it_was_said_to_be_is_not_kept() {
    let yard = Yard::of([processor("text")], Some("text"), None);
    let form = Form::default().file("a", "1");
    let part = |content: &str| {
        let part = format!(
            "form-data; name=\"file\"; filename=\"a\"\r\nContent-Digest: {}",
            digest(content)
        );
        Form::default().part(part.as_bytes(), b"1")
    };
    let put = |body: &'static str| Request::put("/upload/a").body(Body::from(body)).unwrap();
    for request in [
        with(put("content"), DIGEST, &digest("other")),
        // Of a form it is of the whole body, and not of its file.
        with(form.request("/upload"), DIGEST, &digest("1")),
        part("2").request("/upload"),
    ] {
        let answer = yard.ask(request).await;
        let code = (answer.status.as_u16(), answer.code());
        assert_eq!(code, (422, "digest_mismatch".into()), "{answer:?}");
    }
    let typo = with(put("content"), DIGEST, "sha-256=:abc:");
    assert_eq!(yard.ask(typo).await.code(), "bad_param");
    yard.nothing_is_left().await;

    let yard = Yard::of([processor("text")], Some("text"), None);
    for request in [
        with(put("content"), DIGEST, &digest("content")),
        with(put(""), DIGEST, &digest("")),
        with(form.request("/upload"), DIGEST, &digest(form.bytes())),
        part("1").request("/upload"),
        // Not read: a recipient may ignore what it does not know.
        with(put("content"), DIGEST, "sha-512=:AA==:, crc32c=:AA==:"),
    ] {
        assert_eq!(yard.ask(request).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(yard.left_behind().await, (5, 0));
}
