//! Rows against containers, both ways: at the start and every 15 s.
//!
//! What runs and has a current row is adopted, not rerun. A row without a task gets one. What no
//! row explains is removed, but only after two passes in a row, and attempts' networks likewise;
//! what other installs have is never seen here.

use std::{collections::HashSet, sync::Arc};

use fileyard_storage::{
    StoreError,
    attempt::AttemptState,
    failpoint,
    id::AttemptNo,
    job::{Budget, Gone, Job, JobEvent, JobState, OwnerEvent},
};

use crate::{
    Inner,
    engine::ContainerId,
    owner::{Cleaner, LEASE, Minder, Owner},
    processor::Processor,
};

impl Inner {
    /// One pass.
    pub(crate) async fn reconcile(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.stopping.is_cancelled() {
            return Ok(());
        }
        // Listed first, rows looked up second: a container that is younger than the list is not
        // in it, and one that is in it has had its row since before.
        let listed = self.parts.engine.list(self.parts.store.install()).await;
        let trouble = listed.as_ref().err().map(ToString::to_string);
        self.heard_from_engine(trouble.as_deref());
        let networks = self.list_networks().await;
        self.adopt().await?;
        let owed = self.clean_up().await?;
        let known: HashSet<ContainerId> =
            owed.into_iter().chain(self.minded_containers()).collect();
        if let Ok(listed) = listed {
            let strangers = listed.iter().map(|it| it.id).filter(|id| !known.contains(id));
            self.remove_strangers(strangers.collect()).await;
        }
        if let Some(networks) = networks {
            let strangers = networks.into_iter().filter(|id| !known.contains(id));
            self.remove_strange_networks(strangers.collect()).await;
        }
        self.remove_directories(&known).await
    }

    /// Takes over every running job that has no task here and whose owner is gone.
    async fn adopt(self: &Arc<Self>) -> Result<(), StoreError> {
        let exclusive = self.parts.store.is_exclusive();
        for job in self.parts.store.running().await? {
            let Some(no) = job.attempt else { continue };
            let now = self.parts.clock.now();
            let expired =
                matches!(job.state, JobState::Running { lease_until, .. } if lease_until <= now);
            if self.minded().contains_key(&(job.id(), no)) || !(exclusive || expired) {
                continue;
            }
            let event = JobEvent::Adopt {
                from: job.fence,
                gone: if exclusive { Gone::LockHeld } else { Gone::LeaseExpired },
                lease_until: now.after(LEASE),
            };
            match self.parts.store.apply(job.id(), event, now).await {
                Ok(job) => self.take_over(job).await?,
                // Somebody was quicker, or it ended meanwhile.
                Err(StoreError::Refused(_) | StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn take_over(self: &Arc<Self>, job: Job) -> Result<(), StoreError> {
        tracing::info!(job = %job.id(), fence = %job.fence, "adopted");
        if failpoint::broken("adopt") {
            let now = self.parts.clock.now();
            let again = OwnerEvent::Retry {
                budget: Budget::Infrastructure,
                not_before: now,
                detail: "rerun because a test switched adoption off".into(),
            };
            self.parts.store.apply(job.id(), JobEvent::Own(job.fence, again), now).await?;
            return Ok(());
        }
        let name = &job.asked.processor;
        let configured = self.parts.processors.all.get(name).cloned();
        let processor = configured.ok_or_else(|| Processor::stand_in(name.clone()));
        let slot = self.slots.force(name);
        let no = job.attempt.unwrap_or(AttemptNo(1));
        let attempt = self.parts.store.attempt(job.id(), no).await?;
        let given = attempt.map(|attempt| (attempt.contract, attempt.image)).unwrap_or_default();
        Owner::new(Arc::clone(self), job, given, processor, slot).spawn();
        Ok(())
    }

    /// Gives every ended attempt that nobody minds a task that removes it. Returns all that are not
    /// removed, so that nobody takes them for strangers.
    async fn clean_up(self: &Arc<Self>) -> Result<Vec<ContainerId>, StoreError> {
        let mut owed = Vec::new();
        for attempt in self.parts.store.unremoved().await? {
            let id = self.container(attempt.job, attempt.no);
            owed.push(id);
            let ended = matches!(attempt.state, AttemptState::Ended { .. });
            if ended && !self.minded().contains_key(&(attempt.job, attempt.no)) {
                let slot = Some(self.slots.force(&attempt.processor));
                Cleaner::new(Arc::clone(self), attempt, slot, None, Minder::new()).spawn();
            }
        }
        Ok(owed)
    }

    async fn remove_strangers(&self, found: HashSet<ContainerId>) {
        let seen_before = std::mem::replace(&mut *self.strangers(), found.clone());
        for id in found.intersection(&seen_before) {
            tracing::warn!(container = %id, "removing a container that no row explains");
            if let Err(error) = self.parts.engine.remove(id).await {
                tracing::warn!(container = %id, %error, "could not remove it");
            }
        }
    }

    /// The attempts whose networks are there; `None` when that can not be known now.
    async fn list_networks(&self) -> Option<Vec<ContainerId>> {
        let networks = self.parts.engine.networks()?;
        networks.list(self.parts.store.install()).await.ok()
    }

    async fn remove_strange_networks(&self, found: HashSet<ContainerId>) {
        let Some(networks) = self.parts.engine.networks() else { return };
        let seen_before = std::mem::replace(&mut *self.strange_networks(), found.clone());
        for id in found.intersection(&seen_before) {
            tracing::warn!(network = %id, "removing a network that no row explains");
            if let Err(error) = networks.remove(id).await {
                tracing::warn!(network = %id, %error, "could not remove it");
            }
        }
    }

    /// Directories are removed when their attempt's row says that it is removed, or is not there.
    async fn remove_directories(&self, known: &HashSet<ContainerId>) -> Result<(), StoreError> {
        let Ok(mut entries) = tokio::fs::read_dir(self.dirs.root()).await else { return Ok(()) };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse::<ContainerId>().ok());
            let Some(id) = id.filter(|id| !known.contains(id)) else { continue };
            let row = self.parts.store.attempt(id.job, id.attempt).await?;
            if row.is_none_or(|row| matches!(row.state, AttemptState::Removed { .. }))
                && let Err(error) = crate::contract::remove(&self.dirs, &id).await
            {
                tracing::warn!(container = %id, %error, "could not remove its directory");
            }
        }
        Ok(())
    }

    fn minded_containers(&self) -> Vec<ContainerId> {
        self.minded().keys().map(|(job, no)| self.container(*job, *no)).collect()
    }
}
