//! After an attempt: container, directories and whatever its owners left in the store are removed.
//!
//! This is also how a cancelled job's container is stopped: the row was terminal at once, and the
//! container is an orphan from then on.

use std::{sync::Arc, time::Duration};

use fileyard_storage::{
    StoreError,
    attempt::{Attempt, AttemptEvent, AttemptState, Contract, Outcome},
    blob::BlobKey,
    failpoint,
    job::Place,
};
use tokio::time::sleep;

use super::{Minder, Minding, collect::store_log, pump::Pump, watch::Stop};
use crate::{
    Inner, contract,
    engine::{ContainerId, ContainerState},
    processor::STAND_IN_GRACE,
    settle::backoff,
    slots::Slot,
};

const POLL: Duration = Duration::from_secs(1);

/// Removes what is left of an ended attempt.
pub(crate) struct Cleaner {
    inner: Arc<Inner>,
    attempt: Attempt,
    id: ContainerId,
    slot: Option<Slot>,
    pump: Option<Pump>,
    minder: Minder,
}

impl Cleaner {
    pub(crate) fn new(
        inner: Arc<Inner>,
        attempt: Attempt,
        slot: Option<Slot>,
        pump: Option<Pump>,
        minder: Minder,
    ) -> Self {
        let id = inner.container(attempt.job, attempt.no);
        Self { inner, attempt, id, slot, pump, minder }
    }

    /// Runs as a tracked task, for an attempt that no task minds.
    pub(crate) fn spawn(self) {
        let minding = Minding::begin(&self.inner, self.id, self.minder.clone());
        self.inner.tasks.clone().spawn(async move {
            self.run().await;
            drop(minding);
        });
    }

    /// Until nothing is left, however often something is in the way.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        while let Err(error) = self.step().await {
            tracing::warn!(container = %self.id, error, failures, "could not remove an attempt; trying again");
            sleep(backoff(failures).max(Duration::from_millis(100))).await;
            failures += 1;
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        let (job, no) = (self.attempt.job, self.attempt.no);
        let row = self.inner.parts.store.attempt(job, no).await.map_err(|e| e.to_string())?;
        // Pruned with its job, so somebody else has removed it before.
        let Some(row) = row else { return Ok(()) };
        self.attempt = row;
        self.stop().await?;
        self.slot = None;
        if self.attempt.log.is_none() {
            self.keep_log().await;
        }
        failpoint::hit("before-remove");
        let engine = &self.inner.parts.engine;
        engine.remove(&self.id).await.map_err(|error| error.to_string())?;
        if let Some(networks) = engine.networks() {
            networks.remove(&self.id).await.map_err(|error| error.to_string())?;
        }
        self.remove_blobs().await?;
        contract::remove(&self.inner.dirs, &self.id).await.map_err(|error| error.to_string())?;
        match self.inner.parts.store.apply_to_attempt(job, no, AttemptEvent::Remove).await {
            // Another process has removed it meanwhile, which is as good; its job may be pruned.
            Ok(_) | Err(StoreError::Refused(_) | StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// SIGTERM, grace, SIGKILL, until it does not run any more.
    async fn stop(&self) -> Result<(), String> {
        let processor = self.inner.parts.processors.all.get(&self.attempt.processor);
        let mut stop = Stop::new(processor.map_or(STAND_IN_GRACE, |processor| processor.grace));
        let mut hint = self.minder.container.subscribe();
        loop {
            let state = self.inner.parts.engine.inspect(&self.id).await;
            match state.map_err(|error| error.to_string())? {
                Some(ContainerState::Running) => stop.step(&self.inner, &self.id).await,
                _ => return Ok(()),
            }
            tokio::select! {
                _ = hint.changed() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// The log outlives its container, whatever became of the job.
    async fn keep_log(&mut self) {
        let there = self.inner.parts.engine.inspect(&self.id).await;
        if !matches!(there, Ok(Some(ContainerState::Exited(_)))) && self.pump.is_none() {
            // Never ran, or is gone: what was read of it before is all there is.
            if !self.inner.dirs.log(&self.id).exists() {
                return;
            }
        } else {
            let (inner, id) = (&self.inner, self.id);
            self.pump.get_or_insert_with(|| Pump::start(inner, id, None)).finish().await;
        }
        // Not at its owner's place: that one was perhaps cut while it stored the log, and then takes
        // back what is there.
        store_log(&self.inner, &self.id, self.attempt.fence.next()).await;
    }

    /// Whatever this attempt's owners stored that its row does not name, and what they left open.
    async fn remove_blobs(&self) -> Result<(), String> {
        let (store, blobs) = (&self.inner.parts.store, &self.inner.parts.blobs);
        let row = store.attempt(self.attempt.job, self.attempt.no).await;
        let Some(row) = row.map_err(|error| error.to_string())? else { return Ok(()) };
        // Whoever removed it has seen to its blobs. A removed row says no more what it needs of them.
        if !matches!(row.state, AttemptState::Ended { .. }) {
            return Ok(());
        }
        for pending in &row.multiparts {
            blobs.abort(&pending.key, &pending.multipart).await.map_err(|e| e.to_string())?;
        }
        let all = blobs.list_attempt(&row.tenant, row.job, row.no).await;
        for key in all.map_err(|error| error.to_string())? {
            if !names(&row, &key) {
                blobs.delete(&key).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// Whether an attempt's row still needs a blob. What came by `urls` may have been stored under an
/// earlier owner's fence; what was collected was stored by the owner that committed it.
fn names(attempt: &Attempt, key: &BlobKey) -> bool {
    let succeeded = matches!(attempt.state, AttemptState::Ended { outcome: Outcome::Succeeded });
    match key {
        BlobKey::Output { fence, index, .. } if attempt.contract == Contract::Urls => {
            succeeded && attempt.given.has(Place { fence: *fence, index: *index })
        }
        BlobKey::Output { fence, .. } => succeeded && *fence == attempt.fence,
        BlobKey::Log { fence, .. } => attempt.log.as_ref().is_some_and(|log| log.fence == *fence),
        _ => true,
    }
}
