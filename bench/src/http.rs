//! As much of HTTP/1.1 as a sender and a receiver need: a head, and a body whose length is known.
//! Whatever else a peer may say is an error, never a guess.

use std::io::{BufRead, Read};

use anyhow::{Context, bail, ensure};

/// The first line of a message, and how long its body is.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) length: u64,
    pub(crate) closes: bool,
}

/// Reads a head; `None` where the connection ends before one.
pub(crate) fn head(from: &mut impl BufRead) -> anyhow::Result<Option<Head>> {
    let line = line(from)?;
    if line.is_empty() {
        return Ok(None);
    }
    let mut head = Head { line, length: 0, closes: false };
    loop {
        let line = self::line(from)?;
        let Some((name, value)) = line.split_once(':') else {
            ensure!(line.is_empty(), "not a header: {line:?}");
            return Ok(Some(head));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().context("Content-Length")?,
            "transfer-encoding" => bail!("a body in chunks is not read here"),
            "connection" => head.closes = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
}

/// Reads a short body.
pub(crate) fn body(from: &mut impl Read, head: &Head) -> anyhow::Result<String> {
    ensure!(head.length <= 1 << 20, "an answer of {} bytes", head.length);
    let mut bytes = vec![0; usize::try_from(head.length)?];
    from.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line(from: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    from.take(16 << 10).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_head_is_read_and_the_body_after_it() {
        let mut wire =
            "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nX: y\r\n\r\nokHTTP".as_bytes();
        let head = head(&mut wire).unwrap().unwrap();
        assert_eq!((head.line.as_str(), head.closes), ("HTTP/1.1 202 Accepted", false));
        assert_eq!(body(&mut wire, &head).unwrap(), "ok");
        assert!(super::head(&mut &b""[..]).unwrap().is_none());
        assert!(
            super::head(&mut &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..])
                .is_err()
        );
        assert!(super::head(&mut &b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"[..]).is_err());
    }
}
