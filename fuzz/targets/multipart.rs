//! Fuzzes the form scanner and the reader of part headers: however a body is cut, the same parts are
//! found; little is held; what a header says is bounded. Nothing here panics but by finding something.
#![no_main]
#![allow(dead_code, missing_docs)]

#[path = "../../ingress/src/multipart/charset.rs"]
mod charset;
#[path = "../../ingress/src/multipart/disposition.rs"]
mod disposition;
#[path = "../../ingress/src/multipart/scanner.rs"]
mod scanner;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

use self::{
    charset::Charset,
    disposition::{Disposition, boundary, display_name},
    scanner::{MAX_HEADER, Malformed, Piece, Scanner},
};

/// The header and the whole content of every part, and whether the form was complete.
type Found = Result<(Vec<(Bytes, Vec<u8>)>, bool), Malformed>;

fuzz_target!(|data: &[u8]| {
    let [cut, limit, body @ ..] = data else { return };
    let limit = 1 + usize::from(*limit) % 70;
    let at_once = scan(limit, body, body.len().max(1));
    assert_eq!(scan(limit, body, 1 + usize::from(*cut)), at_once, "cut every {}", 1 + *cut);
    for (header, _) in at_once.iter().flat_map(|(parts, _)| parts) {
        look_at(header);
    }
    // What would be the request's own header.
    if let Some(found) = boundary(body) {
        assert!((1..=70).contains(&found.len()));
    }
    look_at(&body[..body.len().min(MAX_HEADER)]);
});

fn scan(boundary: usize, body: &[u8], every: usize) -> Found {
    let mut scanner = Scanner::new(
        &b"boundary-boundary-boundary-boundary-boundary-boundary-boundary-boundary"[..boundary],
    );
    let mut parts = Vec::<(Bytes, Vec<u8>)>::new();
    for piece in body.chunks(every) {
        scanner.push(&Bytes::copy_from_slice(piece));
        while let Some(found) = scanner.next()? {
            match found {
                Piece::Header(header) => parts.push((header, Vec::new())),
                Piece::Data(data) => {
                    parts.last_mut().expect("a header comes first").1.extend_from_slice(&data)
                }
                Piece::End => {}
            }
        }
        assert!(scanner.held() <= MAX_HEADER + 128, "{} bytes are held", scanner.held());
    }
    Ok((parts, scanner.is_done()))
}

fn look_at(header: &[u8]) {
    for charset in [Charset::default(), Charset::named(b"latin1").expect("browsers know it")] {
        if let Some(found) = Disposition::parse(header, charset) {
            let name = display_name(found.filename.unwrap_or_default().as_bytes());
            assert!(!name.is_empty() && name.len() <= 1024 && !name.contains('\0'), "{name:?}");
        }
    }
}
