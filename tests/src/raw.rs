//! Requests that no HTTP library would send: cut off, or malformed.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
};

/// A connection that says exactly what it is told to.
#[derive(Debug)]
pub struct Raw(TcpStream);

impl Raw {
    /// To `host`, an address with a port.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn connect(host: &str) -> Self {
        Self(TcpStream::connect(host).await.expect("the server listens"))
    }

    /// Sends these bytes. That the server has hung up is no failure: it may have refused already.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Whatever is answered until the server closes.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        // A reset after the answer is an end as well.
        let _ = self.0.read_to_end(&mut answer).await;
        answer
    }

    /// What has come by now, or comes next; nothing when the server has closed.
    pub async fn read_some(&mut self) -> Vec<u8> {
        let mut some = vec![0; 16 << 10];
        let read = self.0.read(&mut some).await.unwrap_or(0);
        some.truncate(read);
        some
    }

    /// Waits, without reading anything, until the server has broken the connection off.
    pub async fn reset(&mut self) {
        let _ = self.0.ready(Interest::ERROR).await;
    }

    /// The head of a `PUT` to `path`, whose body of `length` bytes is still to come.
    pub async fn put(&mut self, host: &str, path: &str, length: usize) {
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        self.send(head.as_bytes()).await;
    }
}

/// Sends a `PUT` of `body`, hangs up after `cut` bytes of it.
pub async fn cut_put(host: &str, path: &str, body: &[u8], cut: usize) {
    let mut raw = Raw::connect(host).await;
    raw.put(host, path, body.len()).await;
    raw.send(&body[..cut]).await;
}

/// Sends a `POST` of a form, hangs up after `cut` bytes of its body.
pub async fn cut_form(host: &str, content_type: &str, body: &[u8], cut: usize) {
    let mut raw = Raw::connect(host).await;
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw.send(head.as_bytes()).await;
    raw.send(&body[..cut]).await;
}

/// Sends a `POST /upload` whose body is `head`, then `again` until `length` bytes are sent or nobody
/// takes more, and reads the answer meanwhile: its status and body.
///
/// # Panics
/// When there is no answer.
pub async fn endless_form(
    host: &str,
    content_type: &str,
    head: &[u8],
    again: &[u8],
    length: usize,
) -> (u16, String) {
    let (mut from, mut to) = Raw::connect(host).await.0.into_split();
    let request = format!(
        "POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    let send = async {
        to.write_all(request.as_bytes()).await?;
        to.write_all(&head[..head.len().min(length)]).await?;
        let block = again.repeat((64 << 10) / again.len() + 1);
        let mut left = length.saturating_sub(head.len());
        while left > 0 {
            let some = &block[..block.len().min(left)];
            to.write_all(some).await?;
            left -= some.len();
        }
        std::io::Result::Ok(())
    };
    let read = async {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match from.read(&mut piece).await {
                Ok(some) if some > 0 => answer.extend_from_slice(&piece[..some]),
                _ => break,
            }
            if let Some(answer) = answered(&answer) {
                return answer;
            }
        }
        panic!("no whole answer: {:?}", String::from_utf8_lossy(&answer));
    };
    tokio::pin!(send, read);
    tokio::select! {
        answer = &mut read => answer,
        // Refused and hung up, or all sent: the answer is on its way.
        _ = &mut send => read.await,
    }
}

/// Status and body, once the whole of an answer with a `Content-Length` is there.
fn answered(bytes: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| (status, body.to_owned()))
}
