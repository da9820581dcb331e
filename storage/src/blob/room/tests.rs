//! Turns, and what becomes of those who are slow while others wait. Times are short, and nothing
//! here is judged by how fast it was.

#![allow(clippy::unwrap_used)]

use std::future::Future;

use futures::{FutureExt, future::join_all};
use tokio::task::yield_now;

use super::*;

const QUICK: Patience = Patience {
    first_part: Duration::from_millis(300),
    slow_for: Duration::from_millis(300),
    slow_rate: 64 << 10,
};

/// Never slow, never refused, in the time that a test takes.
const CALM: Patience = Patience {
    first_part: Duration::from_secs(600),
    slow_for: Duration::from_secs(600),
    slow_rate: 64 << 10,
};

#[tokio::test]
async fn who_comes_first_is_served_first_however_small_the_next_is() {
    let room = Room::new(4, CALM);
    let held = room.try_take(3).unwrap();
    let mut large = Box::pin(room.take(4, true));
    assert!((&mut large).now_or_never().is_none(), "three are taken");
    let mut small = Box::pin(room.take(1, true));
    assert!((&mut small).now_or_never().is_none(), "one is free, and another's turn");
    assert!(room.try_take(1).is_none(), "nor may anybody push in");
    drop(held);
    let large = large.await.unwrap();
    assert!((&mut small).now_or_never().is_none());
    drop(large);
    small.await.unwrap();
}

#[tokio::test]
async fn a_waiter_that_is_dropped_passes_its_turn_on() {
    let room = Room::new(2, CALM);
    let held = room.try_take(2).unwrap();
    for polls in 0..3 {
        let mut gone = Box::pin(room.take(2, true));
        for _ in 0..polls {
            assert!((&mut gone).now_or_never().is_none());
        }
    }
    let mut first = Box::pin(room.take(2, true));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(room.take(1, false));
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    drop(held);
    second.await.unwrap();
    // All of it is there again, and nobody is taken to wait.
    assert!(room.try_take(2).is_some());
    assert!(room.seat().pressed().now_or_never().is_none());
}

#[tokio::test]
async fn a_part_larger_than_all_the_room_has_it_alone() {
    let room = Room::new(2, CALM);
    let mut large = room.try_take(5).unwrap();
    let shares: Vec<_> = std::iter::from_fn(|| large.share()).collect();
    assert_eq!(shares.len(), 5);
    assert!(large.is_used_up() && room.try_take(1).is_none());
    drop(large);
    assert!(room.try_take(1).is_none(), "its pieces are still read");
    drop(shares);
    assert!(room.try_take(2).is_some());
}

#[tokio::test]
async fn only_the_first_wait_of_an_upload_ends_in_a_refusal() {
    let room = Room::new(1, QUICK);
    let held = room.try_take(1).unwrap();
    let from = Instant::now();
    let (first, later) = tokio::join!(room.take(1, true), async {
        let mut later = Box::pin(room.take(1, false));
        assert!(timeout(3 * QUICK.first_part, &mut later).await.is_err(), "it waits on");
        drop(held);
        later.await
    });
    assert_eq!(first.err(), Some(NoRoom));
    assert!(from.elapsed() >= QUICK.first_part);
    assert!(later.is_ok());
}

/// Holds one piece and listens for as long as it is let.
async fn stalled(room: &Room) {
    let seat = room.seat();
    let _held = room.take(1, false).await.unwrap();
    let _listening = seat.listen();
    seat.told_to_leave().await;
}

#[tokio::test]
async fn fifty_stalled_ones_do_not_keep_the_next_one_out() {
    let room = Room::new(32, QUICK);
    let stalled = join_all((0..50).map(|_| stalled(&room)));
    // At the same moment as those of them that wait as it does.
    let next = async {
        yield_now().await;
        room.take(1, true).await
    };
    let (_, next) = while_working(stalled, next).await;
    assert!(next.is_ok(), "its turn came when those before it were told to leave");
}

/// Polls `work` until `wanted` is there; what becomes of the work is of no interest then.
async fn while_working<W, T>(
    work: impl Future<Output = W>,
    wanted: impl Future<Output = T>,
) -> ((), T) {
    let mut work = std::pin::pin!(work.fuse());
    let mut wanted = std::pin::pin!(wanted);
    loop {
        tokio::select! {
            wanted = &mut wanted => return ((), wanted),
            _ = &mut work => {}
        }
    }
}

#[tokio::test]
async fn a_slow_holder_is_left_alone_while_nobody_waits() {
    let room = Room::new(2, QUICK);
    let seat = room.seat();
    let held = room.try_take(1).unwrap();
    let listening = seat.listen();
    let alone = timeout(3 * QUICK.slow_for, seat.told_to_leave()).await;
    assert!(alone.is_err(), "nobody waits");
    // Somebody does now, and the time before that is not counted.
    let from = Instant::now();
    let (taken, ()) = tokio::join!(room.take(2, true), async {
        seat.told_to_leave().await;
        assert!(from.elapsed() >= QUICK.slow_for);
        drop((listening, held));
    });
    assert!(taken.is_ok());
}

#[tokio::test]
async fn a_quick_holder_and_one_that_is_not_listened_to_are_not_told_to_leave() {
    let room = Room::new(2, QUICK);
    let (quick, waits) = (room.seat(), room.seat());
    let _both = room.try_take(2).unwrap();
    // Its bytes were taken and the store is slow: nobody listens to it.
    waits.took(1);
    let feeding = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        loop {
            let _listening = quick.listen();
            every.tick().await;
            quick.took(64 << 10);
        }
    };
    tokio::select! {
        taken = room.take(1, true) => assert_eq!(taken.err(), Some(NoRoom)),
        () = quick.told_to_leave() => panic!("the quick one"),
        () = waits.told_to_leave() => panic!("the one that nobody listens to"),
        () = feeding => {}
    }
}
