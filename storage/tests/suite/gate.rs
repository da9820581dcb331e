//! A gate before a store: open, it passes everything on; shut, the store is dead to whoever comes
//! through it; silent, it takes what it is sent and never answers; deaf to the store, it passes on
//! what it is sent and loses the answers.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Open,
    Shut,
    Silent,
    Deaf,
}

pub struct Gate {
    pub address: SocketAddr,
    /// Told when an answer was lost.
    pub lost: Arc<Notify>,
    is: Arc<watch::Sender<Is>>,
    task: JoinHandle<()>,
}

impl Gate {
    /// Before `to`, like `127.0.0.1:9000`.
    pub async fn before(to: &str) -> Self {
        let (listener, to) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), to.to_owned());
        let address = listener.local_addr().unwrap();
        let is = Arc::new(watch::Sender::new(Is::Open));
        let lost = Arc::new(Notify::new());
        let (watched, told) = (Arc::clone(&is), Arc::clone(&lost));
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(pass(from, to.clone(), watched.subscribe(), Arc::clone(&told)));
            }
        });
        Self { address, lost, is, task }
    }

    pub fn turn(&self, is: Is) {
        self.is.send_replace(is);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut from: TcpStream, to: String, mut is: watch::Receiver<Is>, lost: Arc<Notify>) {
    let now = *is.borrow_and_update();
    match (now, TcpStream::connect(to).await) {
        (Is::Open, Ok(mut to)) => tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
            _ = is.wait_for(|is| *is != Is::Open) => {}
        },
        (Is::Deaf, Ok(to)) => {
            let (mut answers, mut requests) = to.into_split();
            let mut answer = [0; 1024];
            tokio::select! {
                _ = tokio::io::copy(&mut from, &mut requests) => {}
                _ = answers.read(&mut answer) => lost.notify_one(),
            }
            let _ = is.wait_for(|is| *is != Is::Deaf).await;
        }
        _ => {}
    }
    // Held while it is silent, then closed.
    let _ = is.wait_for(|is| *is != Is::Silent).await;
}

/// A server that answers everything with `status` and the S3 error `code`.
pub async fn always(status: &'static str, code: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let body = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>in its words</Message>\
                 </Error>"
            );
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            tokio::spawn(async move {
                // What it is sent fits in the socket's buffer.
                let mut request = [0; 16384];
                let _ = from.read(&mut request).await;
                let _ = from.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    (address, task)
}
