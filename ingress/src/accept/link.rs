//! What one connection is doing: told by its socket and its service, asked by its task.
//!
//! A request's body may be read by a task of its own, so there is a lock; it is never held for
//! longer than it takes to note something.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{net::TcpStream, time::Instant};

/// What a reader must take within `AcceptLimits::stall`, if so much is there for it. Any less is
/// how somebody reads who only wants to hold on to a connection.
const FLOOR: usize = 16 * 1024;

/// A connection's socket, and what it is doing.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    state: Mutex<State>,
}

/// What a connection is doing at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) doing: Doing,
    /// So many requests have come.
    pub(super) requests: u32,
    /// The last one's body was not read to its end.
    pub(super) unread: bool,
    /// When something was last written, or a request or the end of its body came.
    pub(super) moved: Instant,
    /// Since when the socket takes nothing more, and how much it took since.
    pub(super) stuck: Option<(Instant, usize)>,
    /// hyper itself refused what came; nothing of that was written.
    pub(super) refused: bool,
}

/// Where a connection is between one request and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Waiting for a request, or for the rest of its head.
    Head,
    /// The router has a request, and its answer has not ended.
    Asked,
    /// The whole answer is known, and not all of it is written.
    Flushing,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Self {
        let state = State {
            doing: Doing::Head,
            requests: 0,
            unread: false,
            moved: Instant::now(),
            stuck: None,
            refused: false,
        };
        Self { stream, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> State {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request goes to the router.
    pub(super) fn asked(&self, has_body: bool) {
        let mut state = self.lock();
        state.doing = Doing::Asked;
        state.requests += 1;
        state.unread = has_body;
        state.moved = Instant::now();
    }

    /// Its body has ended.
    pub(super) fn read(&self) {
        let mut state = self.lock();
        if state.unread {
            state.unread = false;
            state.moved = Instant::now();
        }
    }

    /// Its answer has ended, as far as the router goes.
    pub(super) fn answered(&self) {
        self.lock().doing = Doing::Flushing;
    }

    /// Everything is written that hyper had.
    pub(super) fn flushed(&self) {
        let mut state = self.lock();
        state.stuck = None;
        if state.doing == Doing::Flushing {
            state.doing = Doing::Head;
        }
    }

    /// The socket took so many bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.moved = Instant::now();
        if let Some((_, taken)) = &mut state.stuck {
            *taken += bytes;
        }
    }

    /// The socket takes nothing more for now.
    pub(super) fn stuck(&self) {
        let mut state = self.lock();
        if state.stuck.is_none_or(|(_, taken)| taken >= FLOOR) {
            state.stuck = Some((Instant::now(), 0));
        }
    }

    /// Whether what hyper wants to write is a refusal of its own: then no request is under way, and
    /// no answer's end is on its way. Its refusals have no body, so ours goes out in its place.
    pub(super) fn refuses(&self) -> bool {
        let mut state = self.lock();
        state.refused |= state.doing == Doing::Head && !state.unread;
        state.refused
    }
}
