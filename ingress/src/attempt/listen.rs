//! A desk on a socket, for as long as it is kept.

use std::{io, net::TcpListener};

use async_trait::async_trait;
use fileyard_orchestrator::contract::urls::{Desk, Listeners, Listening};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::{
    accept::{self, AcceptLimits},
    router,
};

/// A program's own, at once: it is one client, and a few of its requests are served at a time.
const CONNECTIONS: usize = 64;

/// Serves desks over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttemptListeners;

/// Cut when it is dropped.
struct Served(AbortHandle);

#[async_trait]
impl Listeners for AttemptListeners {
    async fn listen(&self, listener: TcpListener, desk: Desk) -> io::Result<Box<dyn Listening>> {
        let listener = accept::take(listener)?;
        let limits =
            AcceptLimits { connections: CONNECTIONS, stall: PATIENCE, ..AcceptLimits::default() };
        let serving =
            accept::serve(listener, router::attempt(desk), limits, CancellationToken::new());
        Ok(Box::new(Served(tokio::spawn(serving).abort_handle())))
    }
}

impl Listening for Served {}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}
