//! Phase `collecting`: outputs and log into the store, then one commit.
//!
//! It keeps the lease, holds no run slot, spends no attempt and has no deadline: a store that is
//! down for an hour delays a result and loses none.

use std::{sync::Arc, time::Duration};

use fileyard_storage::{
    StoreError,
    attempt::{AttemptEvent, StoredLog},
    blob::{BlobError, BlobKey, Recorder},
    failpoint,
    id::Fence,
    job::{ExitFacts, Output, OwnerEvent, Phase, Reason, ReasonCode, StopCause},
};
use serde_json::Value;

use super::{AttemptRows, Halt, Owner, start::crash_loop};
use crate::{
    Inner,
    contract::{self, CollectError},
    engine::ContainerId,
    log,
    processor::Processor,
    settle::{self, MAX_CRASHES, Verdict, backoff},
};

/// How often reading our own directory may fail before the attempt is lost.
const MAX_IO_FAILURES: u32 = 5;

/// What collecting came to.
enum Collected {
    Outputs(Value, Vec<Output>),
    Failed(Verdict),
}

impl Owner {
    pub(super) async fn collect(&mut self) -> Result<(), Halt> {
        let Some(Phase::Collecting { exit, cause }) = self.job.phase().cloned() else {
            return Ok(());
        };
        self.slot = None;
        self.pump().finish().await;
        let collected = self.outcome(&exit, cause).await?;
        store_log(&self.inner, &self.id, self.fence).await;
        failpoint::hit("before-commit");
        match collected {
            Collected::Outputs(result, outputs) => {
                tracing::info!(outputs = outputs.len(), "succeeded");
                self.own(OwnerEvent::Succeed { result, outputs }).await
            }
            Collected::Failed(verdict) => self.conclude(verdict).await,
        }
    }

    async fn outcome(
        &mut self,
        exit: &ExitFacts,
        cause: Option<StopCause>,
    ) -> Result<Collected, Halt> {
        if self.job.crashes >= MAX_CRASHES {
            return Ok(Collected::Failed(Verdict::Bad(crash_loop(self.job.crashes))));
        }
        // Nothing has synced what the container wrote, and its engine may not know how it ended.
        if !contract::same_boot(&self.inner.dirs, &self.id) {
            let words = "the machine went down before its outputs were stored";
            return Ok(Collected::Failed(settle::infrastructure(&self.job, words)));
        }
        match settle::judge(&self.job, &self.processor, exit, cause) {
            Verdict::Good => Ok(self.outputs(&self.processor).await),
            verdict => Ok(Collected::Failed(verdict)),
        }
    }

    async fn outputs(&self, processor: &Processor) -> Collected {
        let (mut failures, mut unreadable) = (0, 0);
        loop {
            let error = match self.try_outputs(processor).await {
                Ok((result, outputs)) => return Collected::Outputs(result, outputs),
                Err(CollectError::BadOutput(words)) => {
                    return self.refuse(processor, ReasonCode::BadOutput, words);
                }
                Err(CollectError::OutputLimit(words)) => {
                    return self.refuse(processor, ReasonCode::OutputLimit, words);
                }
                // Whatever is in the way of our own directory will not go by itself for ever.
                Err(CollectError::Io(error)) if unreadable >= MAX_IO_FAILURES => {
                    let words = format!("its outputs could not be read: {error}");
                    return Collected::Failed(settle::infrastructure(&self.job, &words));
                }
                Err(error) => error,
            };
            unreadable = if matches!(error, CollectError::Io(_)) { unreadable + 1 } else { 0 };
            tracing::warn!(%error, failures, "could not store the outputs; trying again");
            tokio::time::sleep(backoff(failures).max(Duration::from_millis(100))).await;
            failures += 1;
        }
    }

    fn refuse(&self, processor: &Processor, code: ReasonCode, words: String) -> Collected {
        Collected::Failed(settle::failed(&self.job, processor, Reason::new(code, words), false))
    }

    async fn try_outputs(
        &self,
        processor: &Processor,
    ) -> Result<(Value, Vec<Output>), CollectError> {
        let collected = contract::collect(&self.inner.dirs, &self.id, processor).await?;
        let tenant = self.job.asked.tenant.clone();
        let key = |index| BlobKey::Output {
            tenant: tenant.clone(),
            job: self.id.job,
            attempt: self.id.attempt,
            fence: self.fence,
            index,
        };
        let recorder = |key: &BlobKey| recorder(&self.inner, &self.id, key);
        contract::store_outputs(collected, key, recorder, &self.inner.parts.blobs).await
    }
}

/// Stores an attempt's log and says so in its row. Tries until the store is there.
pub(super) async fn store_log(inner: &Arc<Inner>, id: &ContainerId, fence: Fence) {
    let mut failures = 0;
    while let Err(error) = try_store_log(inner, id, fence).await {
        tracing::warn!(%error, failures, "could not store the log; trying again");
        tokio::time::sleep(backoff(failures).max(Duration::from_millis(100))).await;
        failures += 1;
    }
}

async fn try_store_log(
    inner: &Arc<Inner>,
    id: &ContainerId,
    fence: Fence,
) -> Result<(), BlobError> {
    let Some(attempt) = inner.parts.store.attempt(id.job, id.attempt).await? else {
        return Ok(());
    };
    let key = attempt.log_key(fence);
    let recorder = recorder(inner, id, &key);
    let log: StoredLog =
        log::store(&inner.dirs.log(id), &inner.parts.blobs, key, fence, recorder).await?;
    let event = AttemptEvent::StoreLog { log };
    match inner.parts.store.apply_to_attempt(id.job, id.attempt, event).await {
        // Refused: somebody else has the job, and stores it in their own name.
        Ok(_) | Err(StoreError::Refused(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn recorder(inner: &Inner, id: &ContainerId, key: &BlobKey) -> Arc<dyn Recorder> {
    Arc::new(AttemptRows {
        store: Arc::clone(&inner.parts.store),
        job: id.job,
        attempt: id.attempt,
        key: key.clone(),
    })
}
