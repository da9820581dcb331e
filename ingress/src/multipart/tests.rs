//! The scanner: what it finds does not depend on how the bytes are cut, it agrees with a
//! well-known parser on well-formed forms, and it holds little whatever it is sent.
#![allow(clippy::unwrap_used)]

use futures::{executor::block_on, stream};
use proptest::prelude::*;

use bytes::Bytes;

use super::{
    charset::Charset,
    scanner::{MAX_AROUND, MAX_HEADER},
    *,
};

/// What was found, with the content of each part in one piece.
type Found = Result<(Vec<(Bytes, Vec<u8>)>, bool), Malformed>;

fn scan(boundary: &str, pieces: &[&[u8]]) -> Found {
    let mut scanner = Scanner::new(boundary.as_bytes());
    let (mut parts, mut held) = (Vec::<(Bytes, Vec<u8>)>::new(), 0);
    for piece in pieces {
        scanner.push(&Bytes::copy_from_slice(piece));
        while let Some(found) = scanner.next()? {
            match found {
                Piece::Header(header) => parts.push((header, Vec::new())),
                Piece::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                Piece::End => {}
            }
        }
        held = held.max(scanner.held());
    }
    assert!(held <= MAX_HEADER + 128, "{held} bytes were held");
    Ok((parts, scanner.is_done()))
}

fn whole(body: &[u8]) -> Found {
    scan("b", &[body])
}

fn part(header: &str, content: &str) -> (Bytes, Vec<u8>) {
    (Bytes::copy_from_slice(header.as_bytes()), content.as_bytes().to_vec())
}

#[test]
fn parts_are_found() {
    let body = b"--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\n--b\r\n\r\n\r\n--b \t\r\nC: 3\r\n\r\n\r\n-\r\r\n--b--\r\n";
    let parts = vec![part("A: 1\r\nB: 2", "x"), part("", ""), part("C: 3", "\r\n-\r")];
    assert_eq!(whole(body), Ok((parts, true)));
}

#[test]
fn what_stands_around_a_form_is_ignored_as_far_as_it_goes() {
    assert_eq!(whole(b"hello\r\n--b--goodbye"), Ok((vec![], true)));
    assert_eq!(whole(b"--b--"), Ok((vec![], true)));
    let much = "x".repeat(MAX_AROUND + 1);
    assert_eq!(whole(format!("{much}xxxxx\r\n--b--").as_bytes()), Err(Malformed::Preamble));
    assert_eq!(whole(format!("--b--{much}").as_bytes()), Err(Malformed::Epilogue));
}

#[test]
fn a_form_that_is_cut_is_never_done() {
    let body = b"--b\r\nA: 1\r\n\r\nx\r\n--b--";
    for end in 0..body.len() {
        assert!(!whole(&body[..end]).unwrap().1, "{end}");
    }
    assert!(whole(body).unwrap().1);
}

#[test]
fn a_header_without_an_end_is_refused() {
    let line = format!("--b\r\nA: {}", "x".repeat(MAX_HEADER + 1));
    assert_eq!(whole(line.as_bytes()), Err(Malformed::Header));
    let lines = format!("--b\r\n{}", "A: 1\r\n".repeat(MAX_HEADER / 6 + 2));
    assert_eq!(whole(lines.as_bytes()), Err(Malformed::Header));
    let fits = format!("--b\r\nA: {}\r\n\r\nx\r\n--b--", "x".repeat(MAX_HEADER - 3));
    assert_eq!(whole(fits.as_bytes()).unwrap().0.len(), 1);
}

#[test]
fn a_boundarys_line_is_its_own() {
    assert_eq!(whole(b"--bx\r\n\r\n\r\n--b--"), Err(Malformed::Boundary));
    assert_eq!(whole(b"--b\r\n\r\nx\r\n--b-x"), Err(Malformed::Boundary));
    let padding = " ".repeat(MAX_AROUND + 1);
    assert_eq!(whole(format!("--b{padding}").as_bytes()), Err(Malformed::Boundary));
}

/// Bytes that are often the beginning of something.
fn tricky() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"\r\n--bound"[..]),
        Just(&b"\r\n--boun"[..]),
        Just(&b"\r\n\r\n"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\n"[..]),
        Just(&b"--"[..]),
        Just(&b"--bound--"[..]),
        Just(&b"A: b"[..]),
        Just(&b" "[..]),
        Just(&b"x"[..]),
        Just(&b"\0\xff"[..]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cut<'a>(body: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (body, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

proptest! {
    #[test]
    fn how_a_body_is_cut_makes_no_difference(
        body in tricky(),
        opened in any::<bool>(),
        sizes in proptest::collection::vec(1..9usize, 1..9),
    ) {
        let body = if opened { [&b"--bound\r\nA: b\r\n\r\n"[..], &body].concat() } else { body };
        let at_once = scan("bound", &[&body]);
        prop_assert_eq!(&scan("bound", &cut(&body, &sizes)), &at_once);
        prop_assert_eq!(&scan("bound", &cut(&body, &[1])), &at_once);
    }

    #[test]
    fn a_well_formed_form_reads_as_another_parser_reads_it(
        contents in proptest::collection::vec(tricky(), 1..5),
        sizes in proptest::collection::vec(1..40usize, 1..5),
    ) {
        // A boundary that is in no content, as a sender has to choose it.
        let boundary = "bound-0123456789";
        let mut body = Vec::new();
        for (index, content) in contents.iter().enumerate() {
            let header = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"f{index}\"\r\n\r\n");
            body.extend_from_slice(header.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let ours = scan(boundary, &cut(&body, &sizes)).unwrap();
        prop_assert!(ours.1);
        let ours: Vec<_> = ours.0.into_iter().map(|(header, content)| {
            (Disposition::parse(&header, Charset::default()).unwrap().name, content)
        }).collect();
        prop_assert_eq!(ours, theirs(boundary, body));
    }
}

fn theirs(boundary: &str, body: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let stream = stream::iter([Ok::<_, std::io::Error>(Bytes::from(body))]);
    let mut form = multer::Multipart::new(stream, boundary);
    block_on(async {
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.unwrap() {
            let name = field.name().unwrap().to_owned();
            parts.push((name, field.bytes().await.unwrap().to_vec()));
        }
        parts
    })
}
