//! Retention: a job that ended long enough ago goes, with all that is stored for it.
//!
//! Rows first, a hundred jobs at a time so that nobody waits long for the one who writes, and each
//! leaves a row that says what is to be removed; then the blobs; then those rows. A pass may be
//! broken off anywhere and repeated.

use std::time::Duration;

use fileyard_storage::{StoreError, blob::BlobError, failpoint, id::JobId, pruned::Pruned};
use futures::{FutureExt, StreamExt, stream};

use crate::Inner;

/// Jobs in one transaction.
const TOGETHER: usize = 100;
/// Jobs whose blobs are removed at a time.
const AT_ONCE: usize = 8;
/// After how many jobs of a long history the log says so.
const TOLD_EVERY: usize = 10_000;

/// How often it is looked for jobs to prune: not later than a tenth of the time that they are kept.
pub(crate) fn every(keep_jobs: Option<Duration>) -> Duration {
    const SELDOM: Duration = Duration::from_secs(60);
    keep_jobs.map_or(SELDOM, |kept| (kept / 10).clamp(Duration::from_secs(1), SELDOM))
}

impl Inner {
    /// One pass: everything that is to go, as far as the store lets it.
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let (mut pruned, mut stuck) = (0, false);
        loop {
            // What an earlier pass left comes first.
            let left = self.parts.store.pruned(TOGETHER).await?;
            let removed = self.remove_blobs(&left).await;
            // Nothing of these can be removed now: of what is pruned next perhaps, unless the store
            // is away.
            if removed.is_empty() && !left.is_empty() && std::mem::replace(&mut stuck, true) {
                break;
            }
            self.parts.store.forget_pruned(removed).await?;
            let more = self.prune_rows().await?;
            if more == 0 && left.is_empty() {
                break;
            }
            pruned += more;
            if pruned >= TOLD_EVERY {
                tracing::info!(jobs = pruned, "pruned, and there may be more");
                pruned = 0;
            }
        }
        if pruned > 0 {
            tracing::info!(jobs = pruned, "pruned what ended long enough ago");
        }
        Ok(())
    }

    /// How many jobs went.
    async fn prune_rows(&self) -> Result<usize, StoreError> {
        let Some(kept) = self.parts.keep_jobs else { return Ok(0) };
        let before = self.parts.clock.now().before(kept);
        let pruned = self.parts.store.prune(before, TOGETHER).await?;
        if pruned > 0 {
            failpoint::hit("pruned");
        }
        Ok(pruned)
    }

    /// Removes what these jobs left; of which of them nothing is left now.
    async fn remove_blobs(&self, of: &[Pruned]) -> Vec<JobId> {
        let each: Vec<_> = of.iter().map(|it| self.remove_all(it).boxed()).collect();
        let done: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        let failed = done.iter().filter(|it| it.is_err()).count();
        if let Some(error) = done.iter().find_map(|it| it.as_ref().err()) {
            tracing::warn!(jobs = failed, %error, "could not remove what pruned jobs left; trying again later");
        }
        done.into_iter().filter_map(Result::ok).collect()
    }

    async fn remove_all(&self, pruned: &Pruned) -> Result<JobId, BlobError> {
        for key in pruned.blobs.iter().filter(|_| !failpoint::broken("prune")) {
            self.parts.blobs.delete(key).await?;
            failpoint::hit("blob-pruned");
        }
        Ok(pruned.job)
    }
}
