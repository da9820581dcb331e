//! Wake-ups. A hint may be lost: polling is the guarantee, hints only make it quick.

use fileyard_storage::id::JobId;
use tokio::sync::broadcast;

/// Something a loop may want to look at sooner than it would by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// There is a queued job, or room for one.
    Queued,
    /// Somebody else changed this job's row.
    Changed(JobId),
}

/// Where hints are given and heard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hints(broadcast::Sender<Hint>);

impl Hints {
    /// With nobody listening yet.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::channel(1024).0)
    }

    /// Tells whoever listens.
    pub fn send(&self, hint: Hint) {
        // An error means that nobody listens, which is nobody's loss.
        let _ = self.0.send(hint);
    }

    /// Hears what is sent from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Hint> {
        self.0.subscribe()
    }
}

impl Default for Hints {
    fn default() -> Self {
        Self::new()
    }
}
