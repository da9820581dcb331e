//! A site that is not fileyard's: pages of another origin, as a browser that visits them has them.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A site on a port of its own, the same page at every path; gone when it is dropped.
#[derive(Debug)]
pub struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Site {
    /// With this page.
    ///
    /// # Panics
    /// When there is no port left.
    pub async fn open(html: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::default();
        let (page, heard) = (html.to_owned(), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, page.clone(), Arc::clone(&heard)));
            }
        });
        Self { port, asked, serving }
    }

    /// Its address under a name, such as `localhost`, or one that the browser was told of.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        format!("http://{name}:{}", self.port)
    }

    /// Every path that it was asked for.
    ///
    /// # Panics
    /// Never, unless a story already did.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request a connection. A browser that goes away in the middle is no failure.
async fn answer(stream: TcpStream, page: String, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    if let Some(path) = line.split(' ').nth(1) {
        asked.lock().unwrap().push(path.to_owned());
    }
    loop {
        let mut header = String::new();
        match stream.read_line(&mut header).await {
            Ok(0) | Err(_) => return,
            Ok(_) if header.trim().is_empty() => break,
            Ok(_) => {}
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        page.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(page.as_bytes()).await;
    let _ = stream.shutdown().await;
}
