//! More uploads than there is memory for: who waits, who is refused, and who has to leave. Times
//! are short, and nothing is judged by how fast it was.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use fileyard_storage::blob::Patience;
use futures::{
    StreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use http::header;

use crate::yard::{Answer, Yard};

/// The least that there can be: one part. An upload here is of 2 MB at most, which is a quarter.
const MEMORY: u64 = 8 << 20;
const PLACES: usize = 4;

const PATIENCE: Patience = Patience {
    first_part: Duration::from_millis(500),
    slow_for: Duration::from_millis(500),
    slow_rate: 64 << 10,
};

type Chunks = BoxStream<'static, Result<Bytes, Infallible>>;

fn text(bytes: &'static [u8]) -> Chunks {
    stream::iter([Ok(Bytes::from_static(bytes))]).boxed()
}

/// Nothing for so long, then some bytes.
fn later(pause: Duration) -> Chunks {
    stream::once(async move {
        tokio::time::sleep(pause).await;
        Ok(Bytes::from(vec![b'x'; 16 << 10]))
    })
    .boxed()
}

/// Some bytes, and then no end and no more.
fn stalled() -> Body {
    Body::from_stream(text(b"a few words").chain(stream::pending()))
}

/// Several times as quick as slow is, for so many times 50 ms.
fn steady(ticks: usize) -> Body {
    Body::from_stream(stream::iter(0..ticks).flat_map(|_| later(Duration::from_millis(50))))
}

async fn many(yard: &Yard, count: usize, body: impl Fn() -> Body) -> Vec<Answer> {
    let put = |n| yard.put_at(format!("/upload/text/{n}"), body());
    join_all((0..count).map(put)).await
}

#[tokio::test]
async fn fifty_stalled_uploads_do_not_keep_the_fifty_first_out() {
    let yard = Yard::crowded(8 * MEMORY, PATIENCE);
    let next = async {
        // At the same moment as those of the fifty that wait as it does.
        tokio::task::yield_now().await;
        // No length is announced: it wants as much as each of those.
        yard.put("/upload/text/next", Body::from_stream(text(b"the fifty-first"))).await
    };
    tokio::select! {
        _ = many(&yard, 50, stalled) => panic!("the last ones are left alone: nobody waits"),
        next = next => assert_eq!(next.status, 202, "{next:?}"),
    }
}

#[tokio::test]
async fn who_stalls_while_others_wait_is_told_that_it_was_slow() {
    let yard = Yard::crowded(MEMORY, PATIENCE);
    let (stalled, next) = tokio::join!(many(&yard, PLACES, stalled), async {
        tokio::task::yield_now().await;
        yard.put("/upload/text/next", Body::from_stream(text(b"the next"))).await
    });
    assert_eq!(next.status, 202, "{next:?}");
    for answer in stalled {
        assert_eq!((answer.status.as_u16(), &*answer.code()), (408, "slow_upload"), "{answer:?}");
    }
}

#[tokio::test]
async fn who_is_slow_while_nobody_waits_is_left_alone() {
    let yard = Yard::crowded(MEMORY, PATIENCE);
    let slow = || Body::from_stream(text(b"first ").chain(later(4 * PATIENCE.slow_for)));
    for answer in many(&yard, PLACES, slow).await {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

#[tokio::test]
async fn who_gets_no_memory_in_time_is_refused_and_the_others_go_on() {
    let yard = Yard::crowded(MEMORY, PATIENCE);
    let (steady, late) = tokio::join!(many(&yard, PLACES, || steady(40)), async {
        tokio::task::yield_now().await;
        yard.put("/upload/text/late", Body::from_stream(text(b"too late"))).await
    });
    assert_eq!((late.status.as_u16(), &*late.code()), (503, "too_many_uploads"), "{late:?}");
    assert!(late.headers.contains_key(header::RETRY_AFTER));
    for answer in steady {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}
