//! A connection's socket as hyper sees it, which notes in the [`Link`] what goes through it; and
//! what the kernel is asked to do with it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::link::Link;

/// So much may wait in the kernel that is not yet on its way. Its own idea, up to some MiB for each
/// connection, is memory for whoever does not read, and hides for minutes that somebody does.
const UNSENT: u32 = 256 * 1024;

/// How a connection's socket behaves. What the kernel does not know of, it goes without.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    // A client that vanished without a word: its connection ends even while nothing is sent on it.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}

/// Closes it so that the kernel forgets at once what it had still to send.
pub(super) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Says that nothing more will be written.
pub(super) fn end(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).shutdown(std::net::Shutdown::Write)
}

/// For hyper.
pub(super) struct Socket {
    link: Arc<Link>,
    /// What was read already.
    before: Bytes,
}

impl Socket {
    pub(super) fn new(link: Arc<Link>, before: Bytes) -> Self {
        Self { link, before }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.has_remaining() {
            let fits = self.before.len().min(into.remaining());
            into.put_slice(&self.before.split_to(fits));
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.link.stream.poll_read_ready(cx))?;
            match self.link.stream.try_read_buf(into) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Socket {
    fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Poll::Ready(writable) = self.link.stream.poll_write_ready(cx) else {
                self.link.stuck();
                return Poll::Pending;
            };
            writable?;
            match write(&self.link.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.link.wrote(*result.as_ref().unwrap_or(&0));
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.link.refuses() {
            return Poll::Ready(Ok(bytes.len()));
        }
        self.poll_write_by(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.link.refuses() {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        self.poll_write_by(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes only what it has written: nothing of it is left then.
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.state().refused {
            // Our own words are still to come.
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(end(&self.link.stream))
    }
}
