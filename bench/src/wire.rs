//! A connection to a server, one request after another: bytes out, and an answer that must be a success.
//! It knows nothing of what is sent: a request is whole, its head included, when it comes here.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
};

use anyhow::{Context, ensure};

use crate::http;

/// Opened again where the server has closed it.
pub(crate) struct Wire<'a> {
    pub(crate) to: &'a str,
    stream: BufReader<TcpStream>,
    closed: bool,
}

impl<'a> Wire<'a> {
    pub(crate) fn open(to: &'a str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { to, stream: BufReader::new(stream), closed: false })
    }

    /// Sends a request, `first` in one write, and returns what was said to it.
    pub(crate) fn ask<'b>(
        &mut self,
        first: &[u8],
        rest: impl IntoIterator<Item = &'b [u8]>,
    ) -> anyhow::Result<String> {
        if self.closed {
            *self = Self::open(self.to)?;
        }
        let mut out = self.stream.get_ref();
        out.write_all(first)?;
        // A server that refuses may answer before it was sent everything: its words say more.
        self.closed = rest.into_iter().try_for_each(|piece| out.write_all(piece)).is_err();
        let head = http::head(&mut self.stream)?.context("no answer")?;
        let said = http::body(&mut self.stream, &head)?;
        ensure!(success(&head.line), "{}: {said}", head.line);
        self.closed |= head.closes;
        Ok(said)
    }
}

fn success(line: &str) -> bool {
    line.split(' ').nth(1).is_some_and(|status| status.len() == 3 && status.starts_with('2'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn it_is_opened_again_where_the_server_has_closed_it_and_a_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let answers = ["200 OK\r\nConnection: close", "507 Insufficient Storage"];
            answers.map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                let mut from = BufReader::new(&stream);
                let head = http::head(&mut from).unwrap().unwrap();
                let body = http::body(&mut from, &head).unwrap();
                write!(&stream, "HTTP/1.1 {answer}\r\nContent-Length: 4\r\n\r\nsaid").unwrap();
                body
            })
        });
        let request = b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\na";
        let mut wire = Wire::open(&at).unwrap();
        assert_eq!(wire.ask(request, [&b"b"[..], b"c"]).unwrap(), "said");
        let refused = wire.ask(&[&request[..], b"bc"].concat(), []).unwrap_err();
        assert_eq!(refused.to_string(), "HTTP/1.1 507 Insufficient Storage: said");
        assert_eq!(server.join().unwrap(), ["abc", "abc"]);
    }
}
