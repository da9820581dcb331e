//! Over a real connection: clients that hang up, clients that are refused while they still send.

use std::net::SocketAddr;

use axum::Router;
use fileyard_ingress::{AcceptLimits, serve};
use fileyard_orchestrator::hint::Hint;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::form::Form;
use crate::yard::{LIMITS, Yard};

async fn served(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, AcceptLimits::default(), CancellationToken::new()));
    address
}

fn head(method: &str, path: &str, length: usize, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n")
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";

/// Reads up to the end of the answer's head.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_client_that_hangs_up_after_its_last_byte_still_gets_its_job() {
    let yard = Yard::new();
    let mut hints = yard.hints.listen();
    let mut stream = TcpStream::connect(served(yard.router.clone()).await).await.unwrap();
    let body = Form::default().file("a", "content").bytes();
    stream.write_all(head("POST", "/upload", body.len(), FORM).as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    drop(stream);
    assert_eq!(hints.recv().await, Ok(Hint::Queued));
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_last_byte_leaves_nothing() {
    for missing in [1, 2, 8, 40] {
        let yard = Yard::new();
        let mut stream = TcpStream::connect(served(yard.router.clone()).await).await.unwrap();
        let body = Form::default().file("a", &"content".repeat(1000)).bytes();
        let expects = format!("{FORM}Expect: 100-continue\r\n");
        stream.write_all(head("POST", "/upload", body.len(), &expects).as_bytes()).await.unwrap();
        // The upload's task reads now.
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 100 "));
        stream.write_all(&body[..body.len() - missing]).await.unwrap();
        stream.shutdown().await.unwrap();
        // Whoever still listens is told; the connection ends when the upload has.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_still_sends() {
    let yard = Yard::new();
    let address = served(yard.router.clone()).await;
    for (method, path, more, status) in [
        ("PUT", "/upload/nope/a", "", "404"),
        ("PUT", "/upload/text/a", "", "413"),
        ("POST", "/upload?processor=nope", FORM, "404"),
        ("POST", "/upload", "Content-Type: text/plain\r\n", "400"),
        // Those whose handler never sees a body, and those that have none.
        ("POST", "/nothing/here", FORM, "404"),
        ("DELETE", "/upload", "", "405"),
        ("GET", "/status/nope", "", "404"),
        ("POST", "/jobs/nope/cancel", "", "404"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Far more than any buffer between the two holds.
        let length = 32 * 1024 * 1024;
        stream.write_all(head(method, path, length, more).as_bytes()).await.unwrap();
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..length / block.len() {
            stream.write_all(&block).await.unwrap();
        }
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    yard.nothing_is_left().await;
}

#[tokio::test]
async fn a_file_of_the_wrong_type_is_refused_before_all_of_it_is_there() {
    let yard = Yard::new();
    let mut stream = TcpStream::connect(served(yard.router.clone()).await).await.unwrap();
    let length = LIMITS.max_size as usize;
    stream.write_all(head("PUT", "/upload/pictures/a", length, "").as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; length - 1]).await.unwrap();
    // The last byte never comes, and the answer does.
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    drop(stream);
    yard.nothing_is_left().await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_refused_before_it_sends() {
    let yard = Yard::new();
    let mut stream = TcpStream::connect(served(yard.router.clone()).await).await.unwrap();
    let length = LIMITS.max_size as usize + 1;
    let head = head("PUT", "/upload/text/a", length, "Expect: 100-continue\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    yard.nothing_is_left().await;
}
