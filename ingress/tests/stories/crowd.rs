//! The accept loop with many at its door: who makes room, who waits, who is shown out.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use fileyard_ingress::AcceptLimits;
use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

use crate::door::{Door, HELLO, LAST, LONG, answer, end, hello, limits};

/// Answers when it is told to, and says when it was asked and when nobody waits any more.
fn slow() -> (Router, Arc<Notify>, mpsc::UnboundedReceiver<&'static str>) {
    struct Gone(mpsc::UnboundedSender<&'static str>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send("gone");
        }
    }
    let (go, (said, hear)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let going = Arc::clone(&go);
    let answer = move || {
        let (gone, going) = (Gone(said.clone()), Arc::clone(&going));
        async move {
            let _ = gone.0.send("asked");
            going.notified().await;
            "slow"
        }
    };
    (hello().route("/slow", get(answer)), go, hear)
}

const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn where_all_is_taken_the_longest_idle_makes_room_and_nobody_is_turned_away() {
    let (router, go, mut hear) = slow();
    let limits = AcceptLimits { connections: 2, ..limits() };
    let door = Door::open(router, limits).await;
    let mut first = door.says(HELLO).await;
    answer(&mut first).await;
    let mut second = door.says(HELLO).await;
    answer(&mut second).await;
    let mut third = door.says(SLOW).await;
    assert_eq!(hear.recv().await, Some("asked"));
    assert_eq!(end(&mut first).await, "", "the longest idle one is closed");
    second.write_all(SLOW).await.unwrap();
    assert_eq!(hear.recv().await, Some("asked"), "the other one is not");
    // Now both are busy: the next ones wait.
    let (mut fourth, mut fifth) = (door.says(LAST).await, door.says(LAST).await);
    assert!(timeout(Duration::from_millis(100), fourth.read_u8()).await.is_err());
    go.notify_waiters();
    assert!(answer(&mut second).await.ends_with("slow"));
    assert!(answer(&mut third).await.ends_with("slow"));
    assert!(end(&mut fourth).await.ends_with("hello"));
    assert!(end(&mut fifth).await.ends_with("hello"));
}

#[tokio::test]
async fn those_who_never_ask_make_room_too() {
    let grace = Duration::from_millis(100);
    let limits = AcceptLimits { connections: 4, grace, ..limits() };
    let door = Door::open(hello(), limits).await;
    let mut silent = Vec::new();
    for n in 0..4 {
        silent.push(door.says(if n % 2 == 0 { b"" } else { b"GET / HT" }).await);
    }
    let from = Instant::now();
    assert!(door.answers(LAST).await.ends_with("hello"));
    assert!(from.elapsed() < LONG);
}

#[tokio::test]
async fn stopping_ends_what_is_idle_and_waits_for_what_is_not() {
    let (router, go, mut hear) = slow();
    let door = Door::open(router, limits()).await;
    let mut idle = door.says(HELLO).await;
    answer(&mut idle).await;
    let mut busy = door.says(SLOW).await;
    assert_eq!(hear.recv().await, Some("asked"));
    door.stop.cancel();
    assert_eq!(end(&mut idle).await, "");
    assert!(TcpStream::connect(door.address).await.is_err(), "nobody listens any more");
    assert!(!door.serving.is_finished());
    go.notify_waiters();
    let answer = end(&mut busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("slow"), "{answer}");
    timeout(LONG, door.serving).await.expect("all has ended").unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_cuts_everybody_off() {
    let (router, _go, mut hear) = slow();
    let door = Door::open(router, limits()).await;
    let mut busy = door.says(SLOW).await;
    assert_eq!(hear.recv().await, Some("asked"));
    door.serving.abort();
    assert_eq!(hear.recv().await, Some("gone"));
    assert!(busy.read_u8().await.is_err());
}

/// Sends without an end, and says when nobody reads it any more.
fn endless() -> (Router, mpsc::UnboundedReceiver<()>) {
    let (held, gone) = mpsc::unbounded_channel::<()>();
    let answer = move || {
        let held = held.clone();
        async move {
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            Body::from_stream(stream::repeat_with(move || {
                let _ = &held;
                Ok::<_, std::io::Error>(piece.clone())
            }))
        }
    };
    (Router::new().route("/", get(answer)), gone)
}

#[tokio::test]
async fn who_reads_nothing_is_cut_off_and_who_reads_slowly_is_not() {
    // Far longer than a busy machine lets the slow one wait for its turn.
    let stall = Duration::from_millis(1500);
    let (router, mut gone) = endless();
    let door = Door::open(router, AcceptLimits { stall, ..limits() }).await;
    let _deaf = door.says(HELLO).await;
    let mut slow = door.says(HELLO).await;
    let mut buffer = vec![0; 256 * 1024];
    // Several times as long as the other one has.
    for _ in 0..45 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        slow.read_exact(&mut buffer).await.expect("it is still served");
    }
    drop(slow);
    // Both answers are gone, and with the door what they were made from.
    door.stop.cancel();
    timeout(LONG, door.serving).await.expect("nobody is left").unwrap();
    assert_eq!(timeout(LONG, gone.recv()).await.expect("all is gone"), None);
}

#[tokio::test]
async fn who_hangs_up_is_not_answered_for_ever() {
    let (router, _go, mut hear) = slow();
    let limits = AcceptLimits { stall: Duration::from_millis(100), ..limits() };
    let door = Door::open(router, limits).await;
    let stream = door.says(SLOW).await;
    let waits = door.says(SLOW).await;
    assert_eq!(hear.recv().await, Some("asked"));
    assert_eq!(hear.recv().await, Some("asked"));
    drop(stream);
    assert_eq!(timeout(LONG, hear.recv()).await.expect("it is noticed"), Some("gone"));
    // Who is still there may wait much longer than that.
    assert!(timeout(Duration::from_millis(500), hear.recv()).await.is_err());
    drop(waits);
    assert_eq!(timeout(LONG, hear.recv()).await.expect("it is noticed"), Some("gone"));
}

#[tokio::test]
async fn who_has_sent_all_of_a_file_may_leave_before_it_is_read() {
    let (go, (said, mut hear)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let going = Arc::clone(&go);
    let store = move |body: Body| async move {
        let _ = said.send(0);
        // A store that is slow to take it.
        going.notified().await;
        let _ = said.send(axum::body::to_bytes(body, 1 << 20).await.unwrap().len());
    };
    let router = Router::new().route("/", axum::routing::put(store));
    let stall = Duration::from_millis(50);
    let door = Door::open(router, AcceptLimits { stall, ..limits() }).await;
    let head = b"PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";
    let stream = door.says(&[&head[..], &[b'x'; 100_000]].concat()).await;
    assert_eq!(hear.recv().await, Some(0));
    drop(stream);
    // Much longer than anybody who only waits for an answer is waited for.
    assert!(timeout(10 * stall, hear.recv()).await.is_err());
    go.notify_one();
    assert_eq!(timeout(LONG, hear.recv()).await.expect("it is read"), Some(100_000));
}

#[tokio::test]
async fn a_thousand_at_once_are_all_served() {
    let door = Door::open(hello(), AcceptLimits { connections: 100, ..limits() }).await;
    let served = stream::iter(0..1000)
        .map(|_| async { door.answers(LAST).await.ends_with("hello") })
        .buffer_unordered(200)
        .filter(|served| std::future::ready(*served))
        .count();
    assert_eq!(timeout(LONG, served).await.expect("nobody waits for ever"), 1000);
    let silent: Vec<_> = stream::iter(0..90).then(|_| door.says(b"")).collect().await;
    assert!(door.answers(LAST).await.ends_with("hello"));
    drop(silent);
}
