//! While a container runs: that it does not write more than it may, nor fill the disk.

use std::time::Duration;

use fileyard_storage::job::{OwnerEvent, StopCause};
use tokio::time::Instant;

use super::{Halt, Owner};
use crate::{contract, guard::Watched};

/// How often `/out` is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A look that takes long is repeated less often: of its time, it may take a tenth.
const SHARE: u32 = 10;

impl Owner {
    /// Looks at what the container has written, and begins to stop it where that is too much; when
    /// to look again.
    pub(super) async fn measure(&mut self, watched: &Watched) -> Result<Instant, Halt> {
        let from = Instant::now();
        let cause = match contract::measure(&self.inner.dirs, &self.id, &self.processor).await {
            Ok(usage) => match usage.over {
                Some(over) => {
                    tracing::info!(over, "stopping it");
                    Some(StopCause::OutputLimit)
                }
                None if watched.has_to_go(usage.allocated) => {
                    tracing::warn!(
                        bytes = usage.allocated,
                        "stopping it: the disk is full, and it has written most"
                    );
                    Some(StopCause::DiskFull)
                }
                None => None,
            },
            Err(error) => {
                tracing::warn!(%error, "could not look at what it has written");
                None
            }
        };
        if let Some(cause) = cause {
            self.own(OwnerEvent::Stop { cause }).await?;
        }
        Ok(Instant::now() + EVERY.max(from.elapsed() * SHARE))
    }
}
