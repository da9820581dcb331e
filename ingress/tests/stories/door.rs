//! The accept loop and one client: what is a request, and what is said to what is none.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use fileyard_ingress::{AcceptLimits, listen, serve};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::form::Form;
use crate::yard::Yard;

/// A door with a router behind it.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) const LONG: Duration = Duration::from_secs(20);

impl Door {
    pub(crate) async fn open(router: Router, limits: AcceptLimits) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Self { address, stop, serving }
    }

    pub(crate) async fn says(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// What is answered to these bytes until the connection is closed.
    pub(crate) async fn answers(&self, bytes: &[u8]) -> String {
        end(&mut self.says(bytes).await).await
    }
}

pub(crate) fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

pub(crate) const HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
pub(crate) const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Everything up to the end.
pub(crate) async fn end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(LONG, stream.read_to_end(&mut text)).await.expect("an end").expect("no reset");
    String::from_utf8(text).unwrap()
}

/// One answer, of which the length is known.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    timeout(LONG, async {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(text).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        head + std::str::from_utf8(&body).unwrap()
    })
    .await
    .expect("an answer")
}

fn problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json"), "{answer}");
    assert!(head.to_lowercase().contains("connection: close"), "{answer}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["code"], &body["status"]), (&code.into(), &status.into()), "{answer}");
}

pub(crate) fn limits() -> AcceptLimits {
    AcceptLimits { head: LONG, idle: LONG, ..AcceptLimits::default() }
}

#[tokio::test]
async fn a_head_has_to_come_to_its_end() {
    let limits = AcceptLimits { head: Duration::from_millis(100), ..limits() };
    let door = Door::open(hello(), limits).await;
    assert_eq!(door.answers(b"").await, "", "nobody asked for anything");
    problem(&door.answers(b"GET / HTTP/1.1\r\nHo").await, 408, "slow_request");
    // The same for each further one, byte by byte too: it is the whole head that is waited for.
    let mut stream = door.says(HELLO).await;
    assert!(answer(&mut stream).await.ends_with("hello"));
    let from = Instant::now();
    while stream.write_all(b"G").await.is_ok() && from.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(from.elapsed() < LONG);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_an_active_one_is_not() {
    let limits = AcceptLimits { idle: Duration::from_millis(300), ..limits() };
    let door = Door::open(hello(), limits).await;
    let mut stream = door.says(b"").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(HELLO).await.unwrap();
        assert!(answer(&mut stream).await.ends_with("hello"));
    }
    assert_eq!(end(&mut stream).await, "");
}

#[tokio::test]
async fn a_head_may_have_16_kib() {
    let door = Door::open(hello(), limits()).await;
    let head = |filler: usize| {
        let filler = "x".repeat(filler);
        format!("GET / HTTP/1.1\r\nA: {filler}\r\nConnection: close\r\n\r\n").into_bytes()
    };
    assert!(door.answers(&head(16_000)).await.ends_with("hello"));
    problem(&door.answers(&head(17_000)).await, 431, "headers_too_large");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
    problem(&door.answers(many.as_bytes()).await, 431, "headers_too_large");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    problem(&door.answers(long.as_bytes()).await, 431, "headers_too_large");
    // Who sends far more than that still reads why it was not taken.
    problem(&door.answers(&head(8_000_000)).await, 431, "headers_too_large");
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let door = Door::open(hello(), limits()).await;
    for bytes in [
        &b"GARBAGE\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        // A browser that was told to use TLS, and a client that takes HTTP/2 for granted.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        problem(&door.answers(bytes).await, 400, "bad_request");
    }
    // Also behind one that was answered.
    let both = door.answers(&[HELLO, b"GARBAGE\r\n\r\n"].concat()).await;
    let (first, second) = both.split_once("hello").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 "), "{both}");
    problem(second, 400, "bad_request");
}

#[tokio::test]
async fn a_client_that_has_said_everything_gets_its_answer() {
    let yard = Yard::new();
    let door = Door::open(yard.router.clone(), limits()).await;
    let body = Form::default().file("a", "content").bytes();
    let head = format!(
        "POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=XX\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..20 {
        // Head, body and the end of all in one go.
        let mut stream = door.says(&[head.as_bytes(), &body].concat()).await;
        stream.shutdown().await.unwrap();
        let answer = end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    assert_eq!(yard.left_behind().await, (20, 0));
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order() {
    let router = Router::new().route(
        "/{n}",
        get(|path: axum::extract::Path<u64>| async move {
            // The later ones would be ready first.
            tokio::time::sleep(Duration::from_millis(50 - 10 * path.0)).await;
            path.0.to_string()
        }),
    );
    let door = Door::open(router, limits()).await;
    let ask = |n: u64| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n");
    let all = [ask(1), ask(2), ask(3), ask(4)].concat();
    // The last one is cut in two.
    let (most, rest) = all.split_at(all.len() - 20);
    let mut stream = door.says(most.as_bytes()).await;
    for n in 1..=3 {
        assert!(answer(&mut stream).await.ends_with(&format!("\r\n\r\n{n}")));
    }
    stream.write_all(rest.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.ends_with("\r\n\r\n4"));
}

#[tokio::test]
async fn a_connection_is_not_kept_for_ever() {
    let limits = AcceptLimits { requests: 3, ..limits() };
    let door = Door::open(hello(), limits).await;
    let mut stream = door.says(HELLO).await;
    for _ in 0..2 {
        assert!(!answer(&mut stream).await.contains("connection: close"));
        stream.write_all(HELLO).await.unwrap();
    }
    assert!(answer(&mut stream).await.contains("connection: close"));
    assert_eq!(end(&mut stream).await, "");
}

#[tokio::test]
async fn a_refused_body_is_read_on_within_bounds() {
    let limits = AcceptLimits { linger_bytes: 8 << 20, ..limits() };
    let door = Door::open(hello(), limits).await;
    let head = "POST /nothing HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n";
    let mut stream = door.says(head.as_bytes()).await;
    let block = vec![b'x'; 1 << 20];
    for _ in 0..6 {
        stream.write_all(&block).await.expect("it is read on");
    }
    let mut text = [0; 12];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"HTTP/1.1 404");
    let mut sent = 0;
    while sent < 500 && stream.write_all(&block).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 500, "it is not read for ever");

    let limits = AcceptLimits { linger: Duration::from_millis(100), ..self::limits() };
    let door = Door::open(hello(), limits).await;
    // Neither is waited for ever for more of it.
    let answer = door.answers(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told_only_when_somebody_reads() {
    let yard = Yard::new();
    let door = Door::open(yard.router.clone(), limits()).await;
    let head = |method: &str, path: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\
             Connection: close\r\n\r\n"
        )
    };
    for (method, path, status) in
        [("POST", "/nothing", 404), ("DELETE", "/upload", 405), ("PUT", "/upload/nope/a", 404)]
    {
        let answer = door.answers(head(method, path).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let mut stream = door.says(head("PUT", "/upload/text/a").as_bytes()).await;
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"bytes").await.unwrap();
    assert!(end(&mut stream).await.starts_with("HTTP/1.1 202 "));
}

#[tokio::test]
async fn without_reading_on_a_refusal_would_be_lost() {
    let limits = AcceptLimits { linger_bytes: 0, ..limits() };
    let door = Door::open(hello(), limits).await;
    let mut stream =
        door.says(b"POST /nothing HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n").await;
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 100 && stream.write_all(&block).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100, "the connection is broken under the client's hands");
}
