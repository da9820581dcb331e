//! Logs that are large, and lines that are long.

use bytes::Bytes;
use fileyard_orchestrator::engine::{Engine, LogChunk, LogPosition, LogStream, conformance::text};
use futures::{StreamExt, TryStreamExt};

use crate::docker;

#[tokio::test]
async fn a_long_line_is_read_in_pieces_that_have_one_time() {
    let (it, engine) = docker();
    let long = "x".repeat(100_000);
    let spec = it.spec(&["say", &long, "say", "short"]);
    assert_eq!(it.run(&spec).await.code, 0);
    let whole = it.log(&spec.id).await;
    assert!(whole.len() > 2, "{}", whole.len());
    assert_eq!(text(&whole, LogStream::Stdout), format!("{long}\nshort\n"));
    let mut position = LogPosition::default();
    for read in 0..=whole.len() {
        let rest: Vec<LogChunk> = engine.logs(&spec.id, position).try_collect().await.unwrap();
        assert_eq!(rest, whole[read..]);
        position = whole.get(read).map_or(position, |next| position.after(next));
    }
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

/// More than the daemon keeps, and faster than it is read: the end is read, and that some of the
/// middle is missing is said.
#[tokio::test]
async fn a_log_that_outruns_its_reader_says_what_it_lost() {
    let (it, engine) = docker();
    let size = 256 << 20;
    let spec = it.spec(&["spew", "256MiB"]);
    engine.start(&spec).await.unwrap();
    let mut log = engine.logs(&spec.id, LogPosition::default());
    let (mut first, mut last, mut read, mut gaps) = (None, Bytes::new(), 0, 0);
    while let Some(chunk) = log.next().await {
        let chunk = chunk.unwrap();
        if chunk.is_gap() {
            gaps += 1;
            continue;
        }
        if first.is_none() {
            // Nobody reads for as long as the container runs.
            first = Some(chunk.bytes.clone());
            it.wait(&spec.id).await;
        }
        read += chunk.bytes.len();
        last = chunk.bytes;
    }
    assert_eq!(first.unwrap(), "first\n");
    assert_eq!(last, "last\n");
    assert!(read >= 16 << 20, "less than fileyard keeps: {read}");
    assert!(read < size, "all {size} bytes were read, and nothing was to be lost");
    assert!(gaps > 0, "{} bytes are missing, and nobody says so", size - read);
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_log_of_a_few_mebibytes_is_read_whole() {
    let (it, _) = docker();
    let spec = it.spec(&["spew", "8MiB"]);
    assert_eq!(it.run(&spec).await.code, 0);
    let log = it.log(&spec.id).await;
    assert!(log.iter().all(|chunk| !chunk.is_gap()));
    assert_eq!(text(&log, LogStream::Stdout).len(), 8 << 20);
    it.remove(&spec).await;
    it.leaves_nothing().await;
}
