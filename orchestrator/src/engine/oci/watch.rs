//! Who hears that a container started or ended.

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use fileyard_oci::runtime::{Identity, Launched};
use fileyard_storage::id::InstallId;
use futures::{StreamExt, stream::BoxStream};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{broadcast, watch},
};

use crate::engine::ContainerId;

/// Hints that nobody has taken yet; who is behind loses some.
const HINTS: usize = 1024;

/// Watches helpers, each by a task of its own that ends with it.
pub(super) struct Watch {
    hints: broadcast::Sender<ContainerId>,
    /// Told each time that any container ended.
    ended: watch::Sender<()>,
    watched: Mutex<HashSet<ContainerId>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            hints: broadcast::Sender::new(HINTS),
            ended: watch::Sender::new(()),
            watched: Mutex::default(),
        }
    }
}

impl Watch {
    /// A helper that this process started.
    pub(super) fn launched(self: &Arc<Self>, id: ContainerId, mut helper: Launched) {
        self.begin(id);
        let watch = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = helper.until_it_ends().await {
                tracing::warn!(container = %id, %error, "could not hear a helper");
            }
            watch.end(id);
            if let Err(error) = helper.until_it_is_gone().await {
                tracing::warn!(container = %id, %error, "could not wait for a helper");
            }
        });
    }

    /// A helper that an earlier process started, if it is not watched already.
    pub(super) fn adopt(self: &Arc<Self>, id: ContainerId, helper: &Identity) -> io::Result<()> {
        if self.lock().contains(&id) {
            return Ok(());
        }
        // One that is gone already has said what it had to say.
        let Some(helper) = helper.open()? else { return Ok(()) };
        #[expect(deprecated, reason = "an OwnedFd is what the unsafe constructor asks for")]
        let helper: AsyncFd<OwnedFd> = AsyncFd::with_interest(helper, Interest::READABLE)?;
        if !self.begin(id) {
            return Ok(());
        }
        let watch = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = helper.readable().await {
                tracing::warn!(container = %id, %error, "could not watch a helper");
            }
            watch.end(id);
        });
        Ok(())
    }

    /// Hints of one install's containers, for ever.
    pub(super) fn changes(&self, install: InstallId) -> BoxStream<'static, ContainerId> {
        let hints = self.hints.subscribe();
        futures::stream::unfold((hints, install), async |(mut hints, install)| {
            loop {
                match hints.recv().await {
                    Ok(id) if id.install == install => return Some((id, (hints, install))),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // The engine is gone, and nobody asks it any more.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        })
        .boxed()
    }

    /// Changes when any container ends.
    pub(super) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    fn begin(&self, id: ContainerId) -> bool {
        let new = self.lock().insert(id);
        if new {
            // Nobody may be listening.
            let _ = self.hints.send(id);
        }
        new
    }

    fn end(&self, id: ContainerId) {
        self.lock().remove(&id);
        self.ended.send_replace(());
        let _ = self.hints.send(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ContainerId>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
