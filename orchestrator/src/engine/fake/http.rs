//! The fake program's HTTP: just enough to speak to its own addresses, and for tests to do so in its
//! place. One request a connection.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A request whose body is still being sent.
pub struct Sending(TcpStream);

/// Asks, and waits for the whole answer.
///
/// # Errors
/// What the connection said, or that the answer is none.
pub async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let length = body.len().to_string();
    let framing = ("Content-Length", length.as_str());
    let headers: Vec<_> = headers.iter().copied().chain([framing]).collect();
    let mut stream = begun(method, url, &headers).await?;
    // Who answers before the body is read may close under it; the answer is there all the same.
    let sent = stream.write_all(body).await;
    match read(stream).await {
        Err(_) if sent.is_err() => Err(sent.expect_err("it failed")),
        answered => answered,
    }
}

impl Sending {
    /// Begins a PUT whose body comes in chunks.
    ///
    /// # Errors
    /// What the connection said.
    pub async fn put(url: &str) -> io::Result<Self> {
        Ok(Self(begun("PUT", url, &[("Transfer-Encoding", "chunked")]).await?))
    }

    /// Sends more of it.
    ///
    /// # Errors
    /// What the connection said.
    pub async fn more(&mut self, bytes: &[u8]) -> io::Result<()> {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.0.write_all(&chunk).await
    }

    /// Ends the body, and waits for the answer.
    ///
    /// # Errors
    /// What the connection said, or that the answer is none.
    pub async fn end(mut self) -> io::Result<Answer> {
        self.0.write_all(b"0\r\n\r\n").await?;
        read(self.0).await
    }

    /// Waits for an answer without ending the body.
    ///
    /// # Errors
    /// What the connection said, or that the answer is none.
    pub async fn answer(self) -> io::Result<Answer> {
        read(self.0).await
    }
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn begun(method: &str, url: &str, headers: &[(&str, &str)]) -> io::Result<TcpStream> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an address"))?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

async fn read(mut stream: TcpStream) -> io::Result<Answer> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    let no_answer = || io::Error::new(io::ErrorKind::UnexpectedEof, "there was no answer");
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(no_answer)?;
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(no_answer)?;
    Ok(Answer { status, head, body: all.split_off(end + 4) })
}
