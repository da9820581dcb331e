//! Bytes out again: whole, in part, by HEAD, and with headers that let nothing run.

use axum::body::Body;
use futures::StreamExt;
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::yard::{Answer, Yard};

async fn ask(yard: &Yard, method: Method, path: &str, range: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::RANGE, range);
    yard.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_input_is_sent_whole_in_part_and_by_head() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "0123456789").await;
    let path = format!("/jobs/{}/input", job.id());
    let whole = yard.get(&path).await;
    assert_eq!((whole.status, whole.text().as_str()), (StatusCode::OK, "0123456789"));
    assert_eq!(whole.header(header::CONTENT_LENGTH), "10");
    for (range, body, said) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
        ("bytes=0-99", "0123456789", "bytes 0-9/10"),
    ] {
        let part = ask(&yard, Method::GET, &path, range).await;
        assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, body));
        assert_eq!(part.header(header::CONTENT_RANGE), said);
        assert_eq!(part.header(header::CONTENT_LENGTH), body.len().to_string());
    }
    let many = ask(&yard, Method::GET, &path, "bytes=0-1,3-4").await;
    assert_eq!((many.status, many.text().as_str()), (StatusCode::OK, "0123456789"));
    let none = ask(&yard, Method::GET, &path, "bytes=10-").await;
    assert_eq!(none.code(), "range_not_satisfiable");
    assert_eq!(none.header(header::CONTENT_RANGE), "bytes */10");
    let head = ask(&yard, Method::HEAD, &path, "bytes=2-4").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header(header::CONTENT_LENGTH), "10");
}

#[tokio::test]
async fn a_file_says_its_digest_and_is_not_sent_to_who_has_it() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "hello").await;
    let path = format!("/jobs/{}/input", job.id());
    for (range, status) in [("bytes=0-1", 206), ("bytes=a", 200)] {
        let answer = ask(&yard, Method::GET, &path, range).await;
        assert_eq!(answer.status.as_u16(), status);
        // Of the whole, and of all of `hello`.
        let digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
        assert_eq!(answer.headers["repr-digest"], digest);
        assert_eq!(answer.header(header::CACHE_CONTROL), "private, no-cache");
    }
    let etag = yard.get(&path).await.header(header::ETAG).to_owned();
    for (tags, status) in [
        (etag.clone(), 304),
        (format!("\"a\", W/{etag}"), 304),
        ("*".into(), 304),
        ("\"other\"".into(), 200),
        (etag.trim_matches('"').into(), 200),
    ] {
        let request = Request::get(&path).header(header::IF_NONE_MATCH, &tags);
        let answer = yard.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{tags}");
        assert_eq!(answer.body.is_empty(), status == 304);
        assert_eq!(answer.header(header::ETAG), etag);
    }
}

#[tokio::test]
async fn nothing_in_a_file_can_run() {
    let yard = Yard::new();
    let job = yard.job("page.html", "<script>alert(1)</script>").await;
    let outputs: [(&str, &str, &[u8]); 3] = [
        ("x.svg", "image/svg+xml", b"<svg/>"),
        ("x.js", "text/javascript", b"alert(1)"),
        ("x.png", "image/png", b"no picture"),
    ];
    yard.succeeded(job.id(), Value::Null, &outputs).await;
    for path in ["input", "outputs/x.svg", "outputs/x.js", "outputs/x.png", "logs"] {
        let answer = yard.get(&format!("/jobs/{}/{path}", job.id())).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{path}");
        assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin", "{path}");
        if path == "outputs/x.png" {
            assert!(answer.header(header::CONTENT_DISPOSITION).starts_with("inline"), "{path}");
        } else if path != "logs" {
            assert!(answer.header(header::CONTENT_DISPOSITION).starts_with("attachment"), "{path}");
        }
        let code = path == "outputs/x.js";
        let unnamed = answer.header(header::CONTENT_TYPE) == "application/octet-stream";
        assert_eq!(unnamed, code, "{path}: a script is not sent as one");
    }
}

#[tokio::test]
async fn outputs_are_found_by_their_whole_path() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "x").await;
    let outputs: [(&str, &str, &[u8]); 3] = [
        ("a b/ü.txt", "text/plain", b"one"),
        ("a%20b/x", "text/plain", b"two"),
        ("empty", "application/octet-stream", b""),
    ];
    let path = format!("/jobs/{}/outputs/", job.id());
    assert_eq!(yard.get(&format!("{path}empty")).await.status, StatusCode::NOT_FOUND);
    yard.succeeded(job.id(), Value::Null, &outputs).await;
    let json = yard.get(&format!("/status/{}", job.id())).await.json();
    for (index, (_, _, content)) in outputs.iter().enumerate() {
        let answer = yard.get(json["outputs"][index]["url"].as_str().unwrap()).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, *content));
    }
    for wrong in ["nope", "a%20b", "a%20b/", "../input", "%2e%2e/input", "A%20b/%C3%BC.txt"] {
        let answer = yard.get(&format!("{path}{wrong}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    }
    let range = ask(&yard, Method::GET, &format!("{path}empty"), "bytes=0-").await;
    assert_eq!(range.code(), "range_not_satisfiable");
}

#[tokio::test]
async fn other_bytes_are_sent_whole_instead_of_in_part() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "0123456789").await;
    let path = format!("/jobs/{}/input", job.id());
    let etag = yard.get(&path).await.header(header::ETAG).to_owned();
    for (tag, status) in [(etag.as_str(), 206), ("\"other\"", 200)] {
        let request = Request::get(&path).header(header::RANGE, "bytes=0-0");
        let request = request.header(header::IF_RANGE, tag).body(Body::empty()).unwrap();
        assert_eq!(yard.ask(request).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_log_of_nothing_is_empty_and_its_options_are_checked() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "x").await;
    let path = format!("/jobs/{}/logs", job.id());
    let log = yard.get(&path).await;
    assert_eq!((log.status, log.text().as_str()), (StatusCode::OK, ""));
    assert_eq!(log.header(header::CONTENT_TYPE), "text/plain; charset=utf-8");
    for query in ["tail=x", "tail=-1", "timestamps=maybe", "attempt=x"] {
        assert_eq!(yard.get(&format!("{path}?{query}")).await.code(), "bad_param", "{query}");
    }
    assert_eq!(ask(&yard, Method::GET, &path, "bytes=0-").await.code(), "range_not_satisfiable");
    assert_eq!(yard.get(&format!("{path}?attempt=7")).await.code(), "not_found");
}

#[tokio::test]
async fn a_log_is_read_while_it_is_written() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "x").await;
    yard.running(job.id()).await;
    yard.writes(job.id(), "one\ntwo\n\u{1b}[31mthree\u{1b}[0m\n").await;
    let path = format!("/jobs/{}/logs", job.id());
    assert_eq!(yard.get(&path).await.text(), "one\ntwo\n\u{1b}[31mthree\u{1b}[0m\n");
    assert!(yard.get(&format!("{path}?tail=1")).await.text().contains("three"));
    assert!(!yard.get(&format!("{path}?tail=1")).await.text().contains("two"));
    let timed = yard.get(&format!("{path}?timestamps=1&tail=3")).await.text();
    assert!(timed.starts_with("2026-01-02T03:04:05.678901234Z 0 stdout one\n"), "{timed}");

    let part = ask(&yard, Method::GET, &path, "bytes=4-6").await;
    assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "two"));
    // It may grow, so nobody knows how long it will be.
    assert_eq!(part.header(header::CONTENT_RANGE), "bytes 4-6/*");
    let length = yard.get(&path).await.body.len();
    let none = ask(&yard, Method::GET, &path, &format!("bytes={length}-")).await;
    assert_eq!(none.code(), "range_not_satisfiable");

    let page = yard.page(&format!("/status/{}", job.id())).await.text();
    assert!(page.contains("one\ntwo\nthree\n"), "{page}");
}

#[tokio::test]
async fn a_followed_log_goes_on_and_breaks_off_when_the_server_stops() {
    let yard = Yard::new();
    let job = yard.job("a.txt", "x").await;
    yard.running(job.id()).await;
    yard.writes(job.id(), "one\n").await;
    let request = Request::get(format!("/jobs/{}/logs?follow=1", job.id()));
    let response = yard.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
    let mut body = response.unwrap().into_body().into_data_stream();
    assert_eq!(&body.next().await.unwrap().unwrap()[..], b"one\n");
    yard.writes(job.id(), "two\n").await;
    assert_eq!(&body.next().await.unwrap().unwrap()[..], b"two\n");
    yard.stop.cancel();
    assert!(body.next().await.unwrap().is_err(), "an end would say that the log has ended");
}
