//! Phase `collecting`: outputs and log into the store, then one commit.
//!
//! It keeps the lease, holds no run slot, spends no attempt and has no deadline: a store that is
//! down for an hour delays a result and loses none.

use std::{sync::Arc, time::Duration};

use fileyard_storage::{
    StoreError,
    attempt::{AttemptEvent, Contract, StoredLog},
    blob::{BlobError, BlobKey, Recorder},
    failpoint,
    id::Fence,
    job::{ExitFacts, Output, OwnerEvent, Phase, Reason, ReasonCode, StopCause},
};
use serde_json::Value;

use super::{Halt, Owner, serve, start::crash_loop};
use crate::{
    Inner,
    contract::{self, AttemptRows, CollectError, quota},
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
        // The row takes nothing more since the exit is in it; this ends what was on its way.
        let trouble = self.close_desk().await;
        self.pump().finish().await;
        // Its last words may be younger than the last heartbeat.
        if self.vitals.has_news(self.job.progress.as_ref()) {
            self.own(self.vitals.event(self.inner.parts.clock.now())).await?;
        }
        let collected = match self.contract {
            Contract::Files => self.outcome(&exit, cause).await,
            Contract::Urls => self.outcome_by_urls(&exit, cause, trouble.as_deref()).await?,
        };
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

    async fn outcome(&self, exit: &ExitFacts, cause: Option<StopCause>) -> Collected {
        if let Some(verdict) = self.beyond_judging() {
            return Collected::Failed(verdict);
        }
        if let Err(error) = quota::seen(self.inner.dirs.out(&self.id)).await {
            let words = format!("its /out could not be mounted again: {error}");
            return Collected::Failed(settle::infrastructure(&self.job, &words));
        }
        match settle::judge(&self.job, &self.processor, exit, cause) {
            Verdict::Good => self.outputs(&self.processor).await,
            verdict => self.for_want_of_room(verdict),
        }
    }

    /// A program that failed by itself failed for want of room, where there is none.
    fn for_want_of_room(&self, verdict: Verdict) -> Collected {
        let by_itself = [ReasonCode::Exit, ReasonCode::Signal];
        match (&verdict, quota::used_up(&self.inner.dirs.out(&self.id))) {
            (Verdict::Bad(reason), Some(words)) if by_itself.contains(&reason.code) => {
                self.refuse(&self.processor, ReasonCode::DiskFull, words.into())
            }
            _ => Collected::Failed(verdict),
        }
    }

    /// What came by addresses is stored already: its row says what it is.
    async fn outcome_by_urls(
        &self,
        exit: &ExitFacts,
        cause: Option<StopCause>,
        trouble: Option<&str>,
    ) -> Result<Collected, Halt> {
        let row = self.given().await?;
        if let Some(verdict) = self.beyond_judging() {
            return Ok(Collected::Failed(verdict));
        }
        let by_itself = matches!(cause, None | Some(StopCause::OutputLimit));
        if let Some(words) = row.given.over.clone().filter(|_| by_itself) {
            return Ok(self.refuse(&self.processor, ReasonCode::OutputLimit, words));
        }
        if let Some(verdict) = settle::cut_off(&self.job, exit, cause, trouble) {
            return Ok(Collected::Failed(verdict));
        }
        Ok(match settle::judge(&self.job, &self.processor, exit, cause) {
            Verdict::Good => match serve::result(&row) {
                Ok(result) => Collected::Outputs(result, row.given.manifest()),
                Err(words) => self.refuse(&self.processor, ReasonCode::BadOutput, words),
            },
            verdict => Collected::Failed(verdict),
        })
    }

    /// What is settled before its exit is looked at.
    fn beyond_judging(&self) -> Option<Verdict> {
        if self.job.crashes >= MAX_CRASHES {
            return Some(Verdict::Bad(crash_loop(self.job.crashes)));
        }
        // Nothing has synced what the container wrote, and its engine may not know how it ended.
        let lost = !contract::same_boot(&self.inner.dirs, &self.id);
        let words = "the machine went down before its outputs were stored";
        lost.then(|| settle::infrastructure(&self.job, words))
    }

    async fn outputs(&self, processor: &Processor) -> Collected {
        if let Err(error) = quota::written(self.inner.dirs.out(&self.id)).await {
            // It is said once: whoever comes after this one is to know it too.
            contract::disown(&self.inner.dirs, &self.id);
            tracing::warn!(%error, "some of what it wrote was lost: the disk was full");
            let words = format!("its outputs could not all be written: {error}");
            return Collected::Failed(settle::infrastructure(&self.job, &words));
        }
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
