//! Logs: whole, while they grow, and from any position on.

use futures::{FutureExt, StreamExt, TryStreamExt};

use super::{Harness, text};
use crate::engine::{LogChunk, LogPosition, LogStream, Signal};

/// Each in its order; between the two an engine may mix, but time never falls.
pub async fn both_streams_are_read(it: &Harness) {
    let spec = it.spec(&["say", "one", "err", "two", "say", "three", "err", "vier mit ü"]);
    assert_eq!(it.run(&spec).await.code, 0);
    let log = it.log(&spec.id).await;
    assert_eq!(text(&log, LogStream::Stdout), "one\nthree\n");
    assert_eq!(text(&log, LogStream::Stderr), "two\nvier mit ü\n");
    assert!(log.is_sorted_by_key(|chunk| chunk.at), "{log:?}");
    assert!(log[0].at > 0);
    it.remove(&spec).await;
}

/// A line is read while the program runs, and the stream ends when it does.
pub async fn a_log_is_followed_while_it_grows(it: &Harness) {
    let spec = it.endless(&["say", "one", "say", "two"]);
    it.engine.start(&spec).await.expect("a start");
    let mut log = it.engine.logs(&spec.id, LogPosition::default());
    for line in ["one\n", "two\n"] {
        let chunk = log.try_next().await.expect("a chunk").expect("more of it");
        assert_eq!(chunk.bytes, line);
    }
    assert!(log.next().now_or_never().is_none(), "there is no more yet");
    it.engine.signal(&spec.id, Signal::Kill).await.expect("killed");
    assert_eq!(log.next().await, None);
    it.remove(&spec).await;
}

/// Nothing twice, nothing lost, also where several chunks have the same time.
pub async fn a_log_goes_on_from_any_position(it: &Harness) {
    let lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
    let command: Vec<&str> = lines
        .iter()
        .enumerate()
        .flat_map(|(n, line)| [if n % 3 == 2 { "err" } else { "say" }, line.as_str()])
        .collect();
    let spec = it.spec(&command);
    assert_eq!(it.run(&spec).await.code, 0);
    let whole = it.log(&spec.id).await;
    assert_eq!(whole.len(), lines.len());
    let mut position = LogPosition::default();
    for read in 0..=whole.len() {
        let rest = it.engine.logs(&spec.id, position);
        let rest: Vec<LogChunk> = rest.map(|chunk| chunk.expect("a chunk")).collect().await;
        assert_eq!(rest, whole[read..], "after {read}");
        if let Some(next) = whole.get(read) {
            position = position.after(next);
        }
    }
    it.remove(&spec).await;
}
