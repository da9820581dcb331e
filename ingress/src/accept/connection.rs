//! One connection, from its first byte to its close.
//!
//! Between requests it sleeps: hyper and its buffers are there only while there is something to
//! read, so that thousands of idle connections cost next to nothing.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use hyper::server::conn::http1::{self, Builder};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{Interest, ReadBuf},
    net::TcpStream,
    sync::futures::Notified,
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    House, MAX_HEAD, buffer,
    link::{Doing, Link},
    refusal::{self, answer},
    service::Service,
    socket::{self, Socket},
};
use crate::error::Problem;

type Http = http1::Connection<TokioIo<Socket>, Service>;

/// How a connection comes to its end.
enum End {
    /// hyper is through with it.
    Over,
    /// What came is no request that the router could see.
    Refused(Problem),
    /// No request is under way, and there is no reason to wait for one.
    Idle,
    /// The client takes nothing of its answer, or does not wait for it any more.
    Stalled,
}

/// Serves it to its end.
pub(super) async fn serve(house: Arc<House>, stream: TcpStream) {
    socket::prepare(&stream);
    let link = Arc::new(Link::new(stream));
    let end = Life::new(&house, &link).lived(&house).await;
    match end {
        End::Idle => {}
        End::Stalled => socket::reset(&link.stream),
        // Boxed: a connection's own memory is not for what comes once, at its end.
        End::Refused(problem) => Box::pin(refuse(&house, &link, &problem)).await,
        End::Over if link.state().unread => Box::pin(read_on(&house, &link)).await,
        End::Over => {}
    }
}

/// A connection between its beginning and its [`End`].
struct Life {
    house: Arc<House>,
    link: Arc<Link>,
    /// Nothing while it sleeps.
    http: Option<Box<Http>>,
    /// How many requests had come when hyper began.
    requests: u32,
    /// When the wait for a request, or for the rest of one's head, began.
    since: Instant,
    /// When it was last seen to be there.
    seen: Instant,
}

impl Life {
    fn new(house: &Arc<House>, link: &Arc<Link>) -> Self {
        let now = Instant::now();
        let (house, link) = (Arc::clone(house), Arc::clone(link));
        Self { house, link, http: None, requests: 0, since: now, seen: now }
    }

    async fn lived(mut self, house: &House) -> End {
        let mut timer = pin!(sleep_until(self.since));
        let mut leave = pin!(None::<Notified<'_>>);
        poll_fn(|cx| {
            loop {
                let alive = match self.http.is_some() {
                    true => self.poll_http(cx),
                    false => self.poll_sleep(cx),
                };
                match alive {
                    Poll::Ready(Some(end)) => return Poll::Ready(end),
                    Poll::Ready(None) => continue,
                    Poll::Pending => {}
                }
                if !self.may_leave() {
                    leave.set(None);
                } else if leave.is_none() {
                    // First this, then a look at `stop`: what is told between the two is heard.
                    leave.set(Some(house.leave.notified()));
                    if house.stop.is_cancelled() {
                        return Poll::Ready(End::Idle);
                    }
                }
                if let Some(told) = leave.as_mut().as_pin_mut()
                    && told.poll(cx).is_ready()
                {
                    if house.wants_room() {
                        return Poll::Ready(End::Idle);
                    }
                    leave.set(None);
                    continue;
                }
                if !set(timer.as_mut(), self.due(), cx) {
                    return Poll::Pending;
                }
                if let Some(end) = self.overdue() {
                    return Poll::Ready(end);
                }
            }
        })
        .await
    }

    /// Asleep, until there is something to read. Ready with nothing: look again.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let mut byte = [0];
        match self.link.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Some(End::Idle)),
            Poll::Ready(Ok(_)) => {
                if self.requests > 0 {
                    self.since = Instant::now();
                }
                self.wake(Bytes::new());
                Poll::Ready(None)
            }
        }
    }

    fn wake(&mut self, before: Bytes) {
        let socket = TokioIo::new(Socket::new(Arc::clone(&self.link), before));
        let buffer = self.house.buffers.take();
        let size = buffer.size();
        let service = Service::new(Arc::clone(&self.house), Arc::clone(&self.link), buffer);
        let mut builder = Builder::new();
        builder
            .half_close(true)
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD)
            .max_buf_size(size);
        self.http = Some(Box::new(builder.serve_connection(socket, service)));
    }

    /// With hyper. Ready with nothing: look again.
    fn poll_http(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let Some(http) = &mut self.http else { return Poll::Ready(None) };
        let ended = http.poll_unpin(cx);
        let state = self.link.state();
        match ended {
            Poll::Ready(Err(error)) if state.refused || error.is_parse() => {
                Poll::Ready(Some(End::Refused(refusal::malformed(&error))))
            }
            Poll::Ready(result) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection broke");
                }
                Poll::Ready(Some(End::Over))
            }
            Poll::Pending => {
                let quiet = state.doing == Doing::Head && !state.unread && !state.refused;
                if !quiet || state.requests == self.requests {
                    return Poll::Pending;
                }
                let Some(http) = self.http.take() else { return Poll::Ready(None) };
                self.requests = state.requests;
                self.since = Instant::now();
                let before = http.into_parts().read_buf;
                if !before.is_empty() {
                    self.wake(before);
                }
                Poll::Ready(None)
            }
        }
    }

    /// Whether nobody would miss anything but a connection.
    fn may_leave(&self) -> bool {
        match &self.http {
            None if self.requests > 0 || self.house.stop.is_cancelled() => true,
            None => self.since.elapsed() >= self.house.limits.grace,
            // A head that does not come to its end is no better than none.
            Some(_) => {
                self.link.state().requests == self.requests
                    && self.since.elapsed() >= self.house.limits.grace
                    && !self.house.stop.is_cancelled()
            }
        }
    }

    /// When there is something to decide.
    fn due(&self) -> Instant {
        let (state, limits) = (self.link.state(), &self.house.limits);
        match state.doing {
            Doing::Head if state.unread => state.moved + limits.linger,
            Doing::Head => {
                let end = self.since + self.patience();
                // Then it may have to make room.
                let grace = self.since + self.house.limits.grace;
                if grace > Instant::now() { end.min(grace) } else { end }
            }
            Doing::Asked | Doing::Flushing => {
                state.stuck.map_or(self.seen, |(since, _)| since) + limits.stall
            }
        }
    }

    /// For how long a request's head is waited for.
    fn patience(&self) -> Duration {
        let asleep = self.http.is_none() && self.requests > 0;
        if asleep { self.house.limits.idle } else { self.house.limits.head }
    }

    /// What is due, if anything is.
    fn overdue(&mut self) -> Option<End> {
        let (state, limits, now) = (self.link.state(), &self.house.limits, Instant::now());
        match state.doing {
            Doing::Head if state.unread => {
                (now >= state.moved + limits.linger).then_some(End::Over)
            }
            Doing::Head if now < self.since + self.patience() => None,
            Doing::Head if self.http.is_none() => Some(End::Idle),
            Doing::Head => Some(End::Refused(refusal::slow(limits.head))),
            Doing::Asked | Doing::Flushing => {
                if state.stuck.is_some_and(|(since, _)| now >= since + limits.stall) {
                    return Some(End::Stalled);
                }
                self.seen = now;
                // While there is still a body to read, the end of what the client sends lies behind it,
                // and whoever reads it has limits of its own.
                let waits = state.unread || now < state.moved + limits.stall;
                (!waits && self.has_hung_up()).then_some(End::Stalled)
            }
        }
    }

    /// Whether the client sends nothing more. It may still wait for its answer, and most who close
    /// do not.
    fn has_hung_up(&self) -> bool {
        let ready = self.link.stream.ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }
}

/// Whether it is time. A timer that rings too early is only set again, so that one which is put off
/// with each request need not be set with each.
fn set(mut timer: Pin<&mut Sleep>, due: Instant, cx: &mut Context<'_>) -> bool {
    if due < timer.deadline() {
        timer.as_mut().reset(due);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if Instant::now() >= due {
            return true;
        }
        timer.as_mut().reset(due);
    }
    false
}

/// Says why, and closes.
async fn refuse(house: &House, link: &Link, problem: &Problem) {
    let answer = answer(problem);
    let mut rest = &answer[..];
    let written = async {
        while !rest.is_empty() {
            link.stream.writable().await?;
            match link.stream.try_write(rest) {
                Ok(bytes) => rest = &rest[bytes..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        socket::end(&link.stream)
    };
    if let Ok(Ok(())) = timeout(house.limits.linger, written).await {
        read_on(house, link).await;
    }
}

/// Reads on and forgets, within bounds, until the client has seen its answer and closes too.
async fn read_on(house: &House, link: &Link) {
    let mut left = house.limits.linger_bytes;
    let reading = async {
        while left > 0 && link.stream.readable().await.is_ok() {
            // On the stack, and not while it waits: thousands may be at this point together.
            match link.stream.try_read(&mut [0; buffer::LEAST / 2]) {
                Ok(0) => return,
                Ok(read) => left = left.saturating_sub(read as u64),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // Whether it was in time or not, it is over.
    let _ = timeout(house.limits.linger, reading).await;
}
