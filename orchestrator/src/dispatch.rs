//! The queue: claims what may run, says of the rest what it waits for.

use std::sync::Arc;

use fileyard_storage::{
    StoreError, failpoint,
    job::{Job, JobEvent, JobState, QueueQuery, WaitingFor},
};

use crate::{
    Inner,
    owner::{LEASE, Owner},
    processor::Processor,
    slots::Slot,
};

/// How many jobs at the head of the queue are told what they wait for.
const HEAD: usize = 64;

impl Inner {
    /// One pass over the queue.
    pub(crate) async fn dispatch(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.stopping.is_cancelled() {
            return Ok(());
        }
        self.expire().await?;
        let mut query =
            QueueQuery { due_by: self.parts.clock.now(), skip: Vec::new(), limit: HEAD };
        loop {
            let head = self.parts.store.queued(&query).await?;
            let (skipped, mut claimed) = (query.skip.len(), false);
            for job in &head {
                if query.skip.contains(&job.asked.processor) {
                    continue;
                }
                match self.place(job) {
                    Ok((processor, slot)) => {
                        claimed |= self.claim(job, &processor, slot).await?;
                    }
                    Err(waiting_for) => {
                        self.wait(job, waiting_for).await?;
                        // All slots taken, no engine, no room: true of every other processor as well.
                        let of_all = matches!(waiting_for, WaitingFor::Engine | WaitingFor::Disk);
                        if self.slots.full() || of_all {
                            return self.tell_the_rest(&head, job, waiting_for).await;
                        }
                        query.skip.push(job.asked.processor.clone());
                    }
                }
            }
            // Another look is worth it only when it can see other jobs than this one did.
            if head.len() < HEAD || !(claimed || query.skip.len() > skipped) {
                return Ok(());
            }
        }
    }

    /// A place for a job, or what it waits for.
    fn place(&self, job: &Job) -> Result<(Arc<Processor>, Slot), WaitingFor> {
        if self.engine_trouble.borrow().is_some() {
            return Err(WaitingFor::Engine);
        }
        if self.parts.disk.low().is_some() {
            return Err(WaitingFor::Disk);
        }
        let name = &job.asked.processor;
        let processor = self.parts.processors.all.get(name).ok_or(WaitingFor::ProcessorRemoved)?;
        if !self.images.open(processor) {
            return Err(WaitingFor::Image);
        }
        let slot = self.slots.take(name, processor.concurrency).ok_or(WaitingFor::Slot)?;
        Ok((Arc::clone(processor), slot))
    }

    /// Whether it was claimed here.
    async fn claim(
        self: &Arc<Self>,
        job: &Job,
        processor: &Arc<Processor>,
        slot: Slot,
    ) -> Result<bool, StoreError> {
        let image = self.images.resolve(processor).await;
        let now = self.parts.clock.now();
        let claim = JobEvent::Claim {
            engine: self.parts.engine.name().into(),
            contract: processor.contract,
            image: image.clone(),
            lease_until: now.after(LEASE),
        };
        match self.parts.store.apply(job.id(), claim, now).await {
            Ok(job) => {
                failpoint::hit("claimed");
                let unfetched = self.images.used(processor);
                let given = (processor.contract, image);
                let inner = Arc::clone(self);
                let owner = Owner::new(inner, job, given, Ok(Arc::clone(processor)), slot);
                owner.without_image(unfetched).spawn();
                Ok(true)
            }
            // Somebody was quicker, or it was cancelled: no loss.
            Err(StoreError::Refused(_) | StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn wait(&self, job: &Job, on: WaitingFor) -> Result<(), StoreError> {
        if let JobState::Queued { waiting_for, .. } = job.state
            && waiting_for == Some(on)
        {
            return Ok(());
        }
        let event = JobEvent::Wait { on: Some(on) };
        match self.parts.store.apply(job.id(), event, self.parts.clock.now()).await {
            Ok(_) | Err(StoreError::Refused(_) | StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Those behind `first` in the queue wait for the same.
    async fn tell_the_rest(
        &self,
        head: &[Job],
        first: &Job,
        on: WaitingFor,
    ) -> Result<(), StoreError> {
        let behind = head.iter().skip_while(|job| job.id() != first.id()).skip(1);
        for job in behind {
            self.wait(job, on).await?;
        }
        Ok(())
    }

    async fn expire(&self) -> Result<(), StoreError> {
        let Some(longest) = self.parts.queue_timeout else { return Ok(()) };
        let now = self.parts.clock.now();
        let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let since = fileyard_storage::clock::Timestamp(now.0.saturating_sub(longest));
        for job in self.parts.store.waiting_since(since, HEAD).await? {
            match self.parts.store.apply(job.id(), JobEvent::Expire, now).await {
                Ok(_) | Err(StoreError::Refused(_) | StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
