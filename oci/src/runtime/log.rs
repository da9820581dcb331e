//! What a container writes, kept on disk until somebody has collected it: a helper appends, whoever
//! looks reads, and neither waits for the other.
//!
//! A log is files with rising numbers, of records: when (nanoseconds since 1970, eight bytes), which
//! stream (one byte), how long (four bytes), then so many bytes; numbers are little-endian. A record
//! is a line with its newline, or a piece of one that is too long or was not ended. Only the last
//! two files are kept, so that a log that nobody reads has a bound.

mod read;
mod write;

use std::path::{Path, PathBuf};

pub use self::read::{Reader, Record, Stream};
pub(super) use self::write::Writer;

/// Of a record's text. As long as Docker's are.
const PIECE: usize = 16 << 10;
/// A file that has reached it is the last but one.
const FILE: u64 = 32 << 20;
const HEADER: usize = 13;

fn file(dir: &Path, number: u64) -> PathBuf {
    dir.join(number.to_string())
}

/// The numbers of the files that are there, rising.
fn numbers(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut Reader) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(record) = reader.read().expect("readable") {
            records.push(record);
        }
        records
    }

    fn text(records: &[Record]) -> String {
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.bytes.to_vec()).collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn lines_are_read_as_they_are_ended_and_what_is_left_at_the_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = Writer::open(dir.path()).expect("a writer");
        let mut reader = Reader::open(dir.path());
        assert_eq!(all(&mut reader), []);
        writer.take(Stream::Stdout, b"one\ntw").expect("written");
        assert_eq!(text(&all(&mut reader)), "one\n");
        writer.take(Stream::Stderr, b"err").expect("written");
        writer.take(Stream::Stdout, b"o\n\nthree").expect("written");
        assert_eq!(text(&all(&mut reader)), "two\n\n");
        writer.end().expect("written");
        let rest = all(&mut reader);
        assert_eq!(
            rest.iter().map(|it| (it.stream, &it.bytes[..])).collect::<Vec<_>>(),
            [(Stream::Stdout, &b"three"[..]), (Stream::Stderr, &b"err"[..])]
        );
        assert!(all(&mut Reader::open(dir.path())).is_sorted_by_key(|record| record.at));
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = Writer::open(dir.path()).expect("a writer");
        let line = vec![b'x'; PIECE * 2 + 1];
        for part in line.chunks(1000) {
            writer.take(Stream::Stdout, part).expect("written");
        }
        writer.take(Stream::Stdout, b"\n").expect("written");
        let records = all(&mut Reader::open(dir.path()));
        let lengths: Vec<usize> = records.iter().map(|record| record.bytes.len()).collect();
        assert_eq!(lengths, [PIECE, PIECE, 2]);
    }

    #[test]
    fn a_log_that_nobody_reads_keeps_its_end_and_says_that_something_is_lost() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = Writer::with_files_of(dir.path(), 1000).expect("a writer");
        let mut late = Reader::open(dir.path());
        writer.take(Stream::Stdout, b"first\n").expect("written");
        assert_eq!(text(&all(&mut late)), "first\n");
        for n in 0..200 {
            writer.take(Stream::Stdout, format!("line {n}\n").as_bytes()).expect("written");
        }
        assert_eq!(numbers(dir.path()).expect("a list").len(), 2);
        // One of them still has the first file, which is gone by name.
        for reader in [&mut late, &mut Reader::open(dir.path())] {
            let records = all(reader);
            assert_eq!(records.iter().filter(|record| record.is_gap()).count(), 1);
            assert!(text(&records).ends_with("line 198\nline 199\n"));
        }
    }

    #[test]
    fn a_record_that_is_being_written_is_read_once_it_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = Writer::open(dir.path()).expect("a writer");
        writer.take(Stream::Stdout, b"whole\n").expect("written");
        let whole = std::fs::read(file(dir.path(), 0)).expect("bytes");
        let mut reader = Reader::open(dir.path());
        for cut in 0..whole.len() {
            std::fs::write(file(dir.path(), 0), &whole[..cut]).expect("written");
            assert_eq!(all(&mut reader), [], "{cut}");
        }
        std::fs::write(file(dir.path(), 0), &whole).expect("written");
        assert_eq!(text(&all(&mut reader)), "whole\n");
    }
}
