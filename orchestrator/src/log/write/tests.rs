//! A log that is cut, dropped, damaged and read at any moment.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    engine::LogStream,
    log::live::{Live, Step},
};

const SMALL: Bounds = Bounds { head: 300, tail: 1000, segment: 250 };

fn chunk(at: i64, bytes: impl Into<Bytes>) -> LogChunk {
    LogChunk { at, stream: LogStream::Stdout, bytes: bytes.into() }
}

/// What an engine gives from `position` on.
fn from(chunks: &[LogChunk], position: LogPosition) -> Vec<LogChunk> {
    let exactly = chunks.iter().filter(|chunk| chunk.at == position.at);
    let skip = exactly.take(position.skip as usize).count();
    let later = chunks.iter().filter(|chunk| chunk.at >= position.at);
    later.skip(skip).cloned().collect()
}

fn written(dir: &Path, bounds: Bounds, chunks: &[LogChunk]) -> AttemptLog {
    let mut log = AttemptLog::bounded(dir, bounds).unwrap();
    for chunk in from(chunks, log.position()) {
        log.append(&chunk).unwrap();
    }
    log
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn rest(live: &mut Live) -> Vec<LogRecord> {
    let mut all = Vec::new();
    while let Step::Records(records) = live.next().await.unwrap() {
        all.extend(records);
    }
    all
}

fn read(dir: &Path) -> Vec<LogRecord> {
    block_on(rest(&mut Live::open(dir)))
}

/// The bare text before, between and after gaps, and the gaps.
fn parts(records: &[LogRecord]) -> (Vec<Vec<u8>>, Vec<Option<u64>>) {
    let (mut parts, mut gaps) = (vec![Vec::new()], Vec::new());
    for record in records {
        match &record.text {
            Text::Piece { bytes, ended, .. } => {
                let part = parts.last_mut().unwrap();
                part.extend_from_slice(bytes);
                part.extend_from_slice(if *ended { b"\n" } else { b"" });
            }
            Text::Gap(missing) => {
                gaps.push(*missing);
                parts.push(Vec::new());
            }
        }
    }
    (parts, gaps)
}

fn text(chunks: &[LogChunk]) -> Vec<u8> {
    chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect()
}

fn last_segment(dir: &Path) -> PathBuf {
    segment::path(dir, *segment::list(dir).unwrap().last().unwrap())
}

fn chunks() -> impl Strategy<Value = Vec<LogChunk>> {
    let bytes = prop_oneof![
        8 => "[a-z ]{0,60}\n".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 1..90),
    ];
    prop::collection::vec((0..3_i64, bytes), 0..120).prop_map(|pieces| {
        let mut at = 1;
        let mut next = |(later, bytes)| {
            at += later;
            chunk(at, bytes)
        };
        pieces.into_iter().map(&mut next).collect()
    })
}

#[test]
fn what_was_appended_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::open(dir.path()).unwrap();
    assert_eq!(log.position(), LogPosition::default());
    assert_eq!(read(dir.path()), []);
    log.append(&chunk(5, "one\n")).unwrap();
    log.append(&chunk(5, "tw")).unwrap();
    assert_eq!(log.position(), LogPosition { at: 5, skip: 2 });
    assert_eq!(parts(&read(dir.path())).0, [b"one\ntw"]);
    let seqs: Vec<_> = read(dir.path()).iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [0, 1]);
}

#[test]
fn a_gap_of_the_engines_is_told_and_kept_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::open(dir.path()).unwrap();
    log.append(&chunk(5, "one\n")).unwrap();
    log.append(&LogChunk::gap(7)).unwrap();
    let mut log = AttemptLog::open(dir.path()).unwrap();
    assert_eq!(log.position(), LogPosition { at: 5, skip: 1 });
    log.append(&chunk(9, "two\n")).unwrap();
    let (parts, gaps) = parts(&read(dir.path()));
    assert_eq!((parts, gaps), (vec![b"one\n".to_vec(), b"two\n".to_vec()], vec![None]));
}

#[test]
fn a_large_log_is_kept_as_its_ends_within_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::open(dir.path()).unwrap();
    let line = |n: i64| format!("{n:0>1023}\n");
    for n in 0..40 * 1024 {
        log.append(&chunk(n + 1, line(n))).unwrap();
    }
    let (parts, gaps) = parts(&read(dir.path()));
    let [head, tail] = &parts[..] else { panic!("one gap, two parts") };
    assert_eq!(head.len() as u64, MIB);
    assert!(head.starts_with(line(0).as_bytes()));
    assert!((15 * MIB - MIB / 4..=15 * MIB).contains(&(tail.len() as u64)), "{}", tail.len());
    assert!(tail.ends_with(line(40 * 1024 - 1).as_bytes()));
    assert_eq!(gaps, [Some(40 * MIB - (head.len() + tail.len()) as u64)]);
}

#[test]
fn a_log_of_empty_lines_is_bounded_on_disk_too() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { head: 64 * 32, tail: 128 * 32, segment: 16 * 32 };
    let mut log = AttemptLog::bounded(dir.path(), bounds).unwrap();
    for n in 0..10_000 {
        log.append(&chunk(n, "\n")).unwrap();
    }
    assert_eq!(read(dir.path()).len(), 64 + 1 + 128);
}

#[test]
fn a_read_that_is_to_end_ends_before_what_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = written(dir.path(), SMALL, &[chunk(1, "one\n")]);
    block_on(async {
        let mut live = Live::snapshot(dir.path()).await.unwrap();
        for n in 0..40 {
            log.append(&chunk(2 + n, "a later line that fills segments\n")).unwrap();
        }
        assert_eq!(parts(&rest(&mut live).await).0, [b"one\n"]);
        let mut nothing = Live::snapshot(&dir.path().join("nothing")).await.unwrap();
        assert!(matches!(nothing.next().await.unwrap(), Step::Gone));
    });
}

#[test]
fn damage_is_a_gap_of_unknown_size_and_what_comes_after_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<_> = (1..30).map(|n| chunk(n, format!("line {n:>20}\n"))).collect();
    written(dir.path(), SMALL, &chunks);
    let head = segment::path(dir.path(), 0);
    let mut content = std::fs::read(&head).unwrap();
    let len = content.len();
    // Where the beginning of the next segment says how much is missing, it is known.
    content[len - 20..].fill(0);
    std::fs::write(&head, &content).unwrap();
    assert_eq!(parts(&read(dir.path())).1, [Some(26)]);
    content[len - 150..len - 100].fill(0);
    std::fs::write(&head, content).unwrap();
    let (parts, gaps) = parts(&read(dir.path()));
    assert_eq!(gaps, [None]);
    assert!(parts[0].starts_with(b"line                    1\n"));
    assert!(parts[1].ends_with(b"line                   29\n"));
    assert!(text(&chunks).ends_with(&parts[1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn first_and_last_parts_are_kept_and_what_is_missing_is_exact(chunks in chunks()) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), SMALL, &chunks);
        let (parts, gaps) = parts(&read(dir.path()));
        let all = text(&chunks);
        let kept: usize = parts.iter().map(Vec::len).sum();
        prop_assert!(all.starts_with(&parts[0]));
        match (&parts[..], &gaps[..]) {
            ([whole], []) => prop_assert_eq!(whole, &all),
            ([_, tail], [Some(missing)]) => {
                prop_assert!(all.ends_with(tail));
                prop_assert_eq!(kept as u64 + missing, all.len() as u64);
                prop_assert!(tail.len() <= 1000);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_log_cut_anywhere_goes_on_as_if_nothing_had_happened(
        chunks in chunks(),
        before in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        zeros in 0..200_usize,
    ) {
        let (dir, never_cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        written(never_cut.path(), SMALL, &chunks);
        let before = before.index(chunks.len() + 1);
        written(dir.path(), SMALL, &chunks[..before]);
        if before > 0 {
            let path = last_segment(dir.path());
            let mut content = std::fs::read(&path).unwrap();
            content.truncate(cut.index(content.len() + 1));
            content.extend(std::iter::repeat_n(0, zeros));
            std::fs::write(&path, content).unwrap();
        }
        written(dir.path(), SMALL, &chunks);
        prop_assert_eq!(read(dir.path()), read(never_cut.path()));
    }

    #[test]
    fn a_reader_beside_the_writer_misses_nothing_that_it_is_not_told_of(
        chunks in chunks(),
        reads in prop::collection::vec(prop::bool::weighted(0.1), 120),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = AttemptLog::bounded(dir.path(), SMALL).unwrap();
        let mut live = Live::open(dir.path());
        let mut seen = Vec::new();
        block_on(async {
            for (chunk, now) in chunks.iter().zip(reads) {
                log.append(chunk).unwrap();
                if now {
                    seen.extend(rest(&mut live).await);
                }
            }
            seen.extend(rest(&mut live).await);
        });
        let (parts, gaps) = parts(&seen);
        let mut all = &text(&chunks)[..];
        for (part, gap) in parts.iter().zip(gaps.into_iter().chain([Some(0)])) {
            prop_assert!(all.starts_with(part));
            all = &all[part.len() + usize::try_from(gap.unwrap()).unwrap()..];
        }
        prop_assert!(all.is_empty());
    }
}
