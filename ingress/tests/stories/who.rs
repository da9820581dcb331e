//! Who may ask: by which name, from which page.

use axum::body::Body;
use fileyard_ingress::Access;
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::form::Form;
use crate::processors::processor;
use crate::yard::{Answer, BROWSER, Yard};

pub(crate) fn yard(public_url: Option<&str>, access: Access) -> Yard {
    Yard::guarded([processor("text")], Some("text"), public_url, access)
}

fn access(hosts: &[&str], origins: &[&str]) -> Access {
    Access {
        allowed_hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        allowed_origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
        ..Access::default()
    }
}

/// A request of these headers, each `name: value`.
fn request(method: Method, path: &str, headers: &[&str]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}

async fn asked_as(yard: &Yard, host: &str) -> Answer {
    yard.ask(request(Method::GET, "/jobs", &[&format!("host: {host}")])).await
}

const OWN: [&str; 10] = [
    "localhost",
    "localhost:8787",
    "LocalHost.:1",
    "a.b.localhost",
    "127.0.0.1",
    "127.0.0.1:8787",
    "127.1.2.3",
    "[::1]:8787",
    "[::ffff:127.0.0.1]",
    "localhost:",
];

const STRANGE: [&str; 10] = [
    "evil.example",
    "evil.example:8787",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    // What a browser makes an address of, it sends as one.
    "2130706433",
    "0x7f.1",
    "localhost..",
    "files.example.org",
    "www.files.example",
];

const ADDRESSES: [&str; 4] = ["192.0.2.7", "0.0.0.0:8787", "[2001:db8::7]:8787", "[::]"];

#[tokio::test]
async fn only_its_own_names_are_answered_to() {
    let yard = yard(None, Access::default());
    for host in OWN {
        assert_eq!(asked_as(&yard, host).await.status, StatusCode::OK, "{host}");
    }
    for host in STRANGE.iter().chain(&ADDRESSES) {
        let answer = asked_as(&yard, host).await;
        let code = answer.code();
        assert_eq!((answer.status.as_u16(), code.as_str()), (421, "forbidden_host"), "{host}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("allowed_hosts"));
    }
    for host in
        ["a b", "user@localhost", "localhost:x", "[::1", "[::1]x", "http://localhost", "ü", ""]
    {
        let answer = asked_as(&yard, host).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "bad_request"),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_strange_name_gets_nothing_at_all() {
    let yard = yard(None, Access::default());
    let job = yard.job("a.txt", "secret").await;
    let id = job.id();
    let paths = [
        "/".into(),
        "/login".into(),
        "/healthz".into(),
        "/readyz".into(),
        "/processors".into(),
        "/nothing".into(),
        format!("/status/{id}"),
        format!("/jobs/{id}/input"),
        format!("/jobs/{id}/logs"),
    ];
    for path in &paths {
        for (host, refused) in [("evil.example", true), ("localhost", false)] {
            let headers = [format!("host: {host}"), format!("accept: {BROWSER}")];
            let headers = [headers[0].as_str(), &headers[1]];
            let answer = yard.ask(request(Method::GET, path, &headers)).await;
            assert_eq!(answer.status == StatusCode::MISDIRECTED_REQUEST, refused, "{path} {host}");
        }
    }
    for (method, path) in [(Method::PUT, "/upload/text/a"), (Method::POST, "/upload")] {
        let answer = yard.ask(request(method, path, &["host: evil.example"])).await;
        assert_eq!(answer.code(), "forbidden_host", "{path}");
    }
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn configured_names_are_its_own() {
    let hosts =
        ["files.example.org", "*.files.example", "192.0.2.7", "2001:db8::7", "bücher.example"];
    let yard = yard(Some("https://public.example/yard"), access(&hosts, &[]));
    for host in [
        "files.example.org",
        "FILES.example.org:444",
        "a.files.example",
        "a.b.files.example",
        "192.0.2.7:1",
        "[2001:db8::7]",
        "xn--bcher-kva.example",
        "public.example",
        "public.example:8787",
        "localhost",
    ] {
        assert_eq!(asked_as(&yard, host).await.status, StatusCode::OK, "{host}");
    }
    for host in
        ["files.example", "xfiles.example", "a.files.example.org", "192.0.2.8", "a.public.example"]
    {
        assert_eq!(asked_as(&yard, host).await.code(), "forbidden_host", "{host}");
    }
}

#[tokio::test]
async fn an_address_is_no_name_that_could_be_rebound() {
    let yard = yard(None, Access { beyond_loopback: true, ..Access::default() });
    for host in OWN.iter().chain(&ADDRESSES) {
        assert_eq!(asked_as(&yard, host).await.status, StatusCode::OK, "{host}");
    }
    for host in STRANGE {
        assert_eq!(asked_as(&yard, host).await.code(), "forbidden_host", "{host}");
    }
}

#[tokio::test]
async fn a_request_says_once_what_it_asks() {
    let yard = yard(None, Access::default());
    let bare = async |request: Request<Body>| {
        let response = yard.bare.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    };
    assert_eq!(bare(request(Method::GET, "/jobs", &[])).await.code(), "bad_request");
    let mut old = request(Method::GET, "/jobs", &[]);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(bare(old).await.status, StatusCode::OK, "HTTP/1.0 had no Host");
    let two = ["host: localhost", "host: localhost"];
    assert_eq!(bare(request(Method::GET, "/jobs", &two)).await.code(), "bad_request");

    // As a proxy is asked: both names count.
    for (target, host, code) in [
        ("http://localhost:8787/jobs", "localhost:8787", None),
        ("http://evil.example/jobs", "localhost:8787", Some("forbidden_host")),
        ("http://localhost:8787/jobs", "evil.example", Some("forbidden_host")),
    ] {
        let host = format!("host: {host}");
        let answer = bare(request(Method::GET, target, &[&host])).await;
        match code {
            None => assert_eq!(answer.status, StatusCode::OK, "{target}"),
            Some(code) => assert_eq!(answer.code(), code, "{target} {host}"),
        }
    }
}

/// A write of a page: none of these paths needs anything to be there.
async fn write(yard: &Yard, headers: &[&str]) -> Answer {
    let form = Form::default().file("a", "x").request("/upload");
    let (mut head, body) = form.into_parts();
    head.headers.extend(request(Method::POST, "/", headers).headers().clone());
    yard.ask(Request::from_parts(head, body)).await
}

#[tokio::test]
async fn a_page_of_another_origin_can_not_write() {
    let yard = yard(None, Access::default());
    let may: [&[&str]; 8] = [
        &[],
        &["host: localhost:8787", "origin: http://localhost:8787"],
        &["host: localhost", "origin: http://localhost"],
        &["host: localhost:80", "origin: http://localhost"],
        // TLS may have ended before us.
        &["host: localhost", "origin: https://localhost"],
        &["host: localhost:8787", "origin: http://localhost:8787", "sec-fetch-site: same-origin"],
        &["host: [::1]:8787", "origin: http://[::1]:8787"],
        &["sec-fetch-site: none"],
    ];
    for headers in may {
        let answer = write(&yard, headers).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{headers:?} {answer:?}");
    }
    let may_not: [&[&str]; 13] = [
        &["origin: https://evil.example"],
        &["origin: null"],
        &["origin: "],
        &["origin: localhost"],
        &["host: localhost:8787", "origin: http://localhost"],
        &["host: localhost:8787", "origin: http://localhost:8788"],
        &["host: localhost:8787", "origin: http://127.0.0.1:8787"],
        &["host: localhost", "origin: http://localhost.evil.example"],
        &["host: localhost", "origin: ftp://localhost"],
        &["host: localhost", "origin: http://localhost", "origin: http://evil.example"],
        &["sec-fetch-site: cross-site"],
        &["sec-fetch-site: same-site"],
        &["host: localhost", "origin: http://localhost", "sec-fetch-site: cross-site"],
    ];
    for headers in may_not {
        let answer = write(&yard, headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(answer.code(), "forbidden_origin", "{headers:?}");
    }
    assert_eq!(yard.left_behind().await, (may.len(), 0));
}

#[tokio::test]
async fn every_write_is_looked_at_and_no_read_is() {
    let yard = yard(None, Access::default());
    let job = yard.job("a.txt", "x").await;
    let id = job.id();
    let (evil, cancel) = (["origin: https://evil.example"], format!("/jobs/{id}/cancel"));
    for (method, path) in [
        (Method::PUT, "/upload/a"),
        (Method::PUT, "/upload/text/a"),
        (Method::POST, "/upload"),
        (Method::POST, cancel.as_str()),
        (Method::POST, "/login"),
        (Method::POST, "/logout"),
        (Method::DELETE, "/jobs"),
        (Method::PATCH, "/nothing"),
    ] {
        let answer = yard.ask(request(method, path, &evil)).await;
        assert_eq!(answer.code(), "forbidden_origin", "{path}");
    }
    assert_eq!(yard.row(&id.to_string()).await.state.name().as_str(), "queued");
    for headers in [&evil[..], &["sec-fetch-site: cross-site"], &["origin: null"]] {
        let answer = yard.ask(request(Method::GET, "/jobs", headers)).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}");
        // Its script does not get to see it.
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin");
    }
}

#[tokio::test]
async fn pages_of_the_public_url_and_of_named_origins_may_write() {
    let origins = ["https://www.example.org", "http://localhost:3000"];
    let yard = yard(Some("https://files.example.org/"), access(&[], &origins));
    for headers in [
        &["host: files.example.org", "origin: https://files.example.org"][..],
        // A proxy that says its own address as the Host.
        &["host: 127.0.0.1:8787", "origin: https://files.example.org"],
        &["host: localhost:8787", "origin: http://localhost:3000", "sec-fetch-site: same-site"],
        &[
            "host: files.example.org",
            "origin: https://www.example.org",
            "sec-fetch-site: cross-site",
        ],
    ] {
        assert_eq!(write(&yard, headers).await.status, StatusCode::ACCEPTED, "{headers:?}");
    }
    for headers in [
        &["host: files.example.org", "origin: http://files.example.org"][..],
        &["host: files.example.org", "origin: http://www.example.org"],
        &["host: files.example.org", "origin: https://www.example.org:444"],
        &["host: files.example.org", "origin: https://other.example.org"],
    ] {
        assert_eq!(write(&yard, headers).await.code(), "forbidden_origin", "{headers:?}");
    }
}

/// What a browser asks before a script's request.
async fn preflight(yard: &Yard, origin: &str) -> Answer {
    let origin = format!("origin: {origin}");
    let headers = [
        origin.as_str(),
        "access-control-request-method: PUT",
        "access-control-request-headers: authorization,content-digest,idempotency-key",
    ];
    yard.ask(request(Method::OPTIONS, "/upload/text/a", &headers)).await
}

fn allowed(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(format!("access-control-{name}")).iter();
    values.map(|value| value.to_str().unwrap().to_lowercase()).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn scripts_of_named_origins_are_told_what_they_may() {
    let origin = "https://www.example.org";
    let yard = yard(None, access(&[], &[origin, "https://b.example"]));
    let answer = preflight(&yard, origin).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(allowed(&answer.headers, "allow-origin"), origin);
    assert_eq!(allowed(&answer.headers, "allow-credentials"), "true");
    assert_eq!(allowed(&answer.headers, "allow-methods"), "get,head,post,put");
    let headers = allowed(&answer.headers, "allow-headers");
    for name in [
        "authorization",
        "content-type",
        "content-digest",
        "idempotency-key",
        "prefer",
        "range",
        "if-none-match",
    ] {
        assert!(headers.split(',').any(|known| known == name), "{name}: {headers}");
    }
    for path in ["/jobs", "/nothing"] {
        let asked = format!("origin: {origin}");
        let answer = yard.ask(request(Method::GET, path, &[&asked])).await;
        assert_eq!(allowed(&answer.headers, "allow-origin"), origin, "{path}");
        let shown = allowed(&answer.headers, "expose-headers");
        for name in
            ["location", "etag", "idempotency-replayed", "preference-applied", "retry-after"]
        {
            assert!(shown.split(',').any(|known| known == name), "{name}: {shown}");
        }
        let vary: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
        assert!(vary.iter().any(|value| value.to_str().unwrap().contains("origin")), "{vary:?}");
        assert!(vary.iter().any(|value| *value == "Accept, Prefer"), "{vary:?}");
    }
    for other in ["https://evil.example", "http://www.example.org", "null"] {
        assert_eq!(preflight(&yard, other).await.code(), "forbidden_origin", "{other}");
        let asked = format!("origin: {other}");
        let answer = yard.ask(request(Method::GET, "/jobs", &[&asked])).await;
        assert_eq!(allowed(&answer.headers, "allow-origin"), "", "{other}");
    }
}

#[tokio::test]
async fn without_named_origins_no_script_is_told_anything() {
    let yard = yard(None, Access::default());
    assert_eq!(preflight(&yard, "https://www.example.org").await.code(), "forbidden_origin");
    let own = yard.ask(request(Method::OPTIONS, "/jobs", &[])).await;
    assert_eq!(own.code(), "method_not_allowed");
}
