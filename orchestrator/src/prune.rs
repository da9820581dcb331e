//! Retention: a job that ended long enough ago goes, with all that is stored for it.
//!
//! Rows first, a hundred jobs at a time so that nobody waits long for the one who writes, and each
//! leaves a row that says what is to be removed; then the blobs; then those rows. A pass may be
//! broken off anywhere and repeated. Rows do not wait for a store that is away, nor does what can be
//! removed wait for what can not.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use fileyard_storage::{StoreError, blob::BlobError, failpoint, id::JobId, pruned::Pruned};
use futures::{FutureExt, StreamExt, stream};

use crate::Inner;

/// Jobs in one transaction, and at most looked at in one go.
const TOGETHER: usize = 100;
/// Jobs whose blobs are removed at a time.
const AT_ONCE: usize = 8;
/// After how many jobs of a long history the log says so.
const TOLD_EVERY: usize = 10_000;

/// How often it is looked for jobs to prune: each minute, or ten times in the time that they are
/// kept, but never more than once a second.
pub(crate) fn every(keep_jobs: Option<Duration>) -> Duration {
    const SELDOM: Duration = Duration::from_secs(60);
    keep_jobs.map_or(SELDOM, |kept| (kept / 10).clamp(Duration::from_secs(1), SELDOM))
}

/// How far the pruned jobs were gone through whose blobs are to be removed: where some can not be,
/// the next pass goes on behind them, and begins anew at the end.
#[derive(Debug, Default)]
pub(crate) struct Removal(Mutex<Option<JobId>>);

/// What became of some pruned jobs.
#[derive(Debug, PartialEq, Eq)]
enum Removed {
    /// Some are gone, and there may be more.
    Some,
    /// There are no more.
    All,
    /// Not one could be removed: perhaps the store is away.
    None,
}

impl Inner {
    /// One pass: everything that is to go, as far as the store lets it.
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let (mut pruned, mut removed) = (0, Removed::Some);
        loop {
            let more = self.prune_rows().await?;
            if removed != Removed::None {
                removed = self.remove_some().await?;
            }
            if more == 0 && removed != Removed::Some {
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
        let before = self.parts.clock.cautious().before(kept);
        let pruned = self.parts.store.prune(before, TOGETHER).await?;
        if pruned > 0 {
            failpoint::hit("pruned");
        }
        Ok(pruned)
    }

    /// Removes what the next pruned jobs left.
    async fn remove_some(&self) -> Result<Removed, StoreError> {
        let left = self.parts.store.pruned(self.removal.after(), TOGETHER).await?;
        self.removal.went_to(left.last().map(|pruned| pruned.job));
        if left.is_empty() {
            return Ok(Removed::All);
        }
        let each: Vec<_> = left.iter().map(|it| self.remove_blobs(it).boxed()).collect();
        let done: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        if let Some(error) = done.iter().find_map(|it| it.as_ref().err()) {
            let jobs = done.iter().filter(|it| it.is_err()).count();
            tracing::warn!(jobs, %error, "could not remove what pruned jobs left; trying again later");
        }
        let gone: Vec<_> = done.into_iter().filter_map(Result::ok).collect();
        if gone.is_empty() {
            return Ok(Removed::None);
        }
        self.parts.store.forget_pruned(gone).await?;
        Ok(Removed::Some)
    }

    /// All that there is, whatever stays of it.
    async fn remove_blobs(&self, of: &Pruned) -> Result<JobId, BlobError> {
        if failpoint::broken("prune") {
            return Ok(of.job);
        }
        let own = self.parts.blobs.delete_job(&of.tenant, of.job).await;
        failpoint::hit("half-removed");
        if let Some(input) = &of.input {
            self.parts.blobs.delete(input).await?;
        }
        own.map(|()| of.job)
    }
}

impl Removal {
    fn after(&self) -> Option<JobId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to there; to the end, where this is none.
    fn went_to(&self, last: Option<JobId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}
