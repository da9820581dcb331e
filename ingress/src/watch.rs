//! Waiting for a job: subscribe, then read, then wait.
//!
//! All who wait for one job share one reading of its row, and one rendering of it: ten thousand of
//! them cost one query a change. What is not told is found by looking now and then, once for all of
//! them as well. Nothing is kept of a job that nobody waits for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use fileyard_orchestrator::change::{Changes, Subscription};
use fileyard_storage::id::JobId;
use tokio::{
    sync::Mutex as Turn,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{error::Problem, view::View, views::Views};

/// How often it is looked without being told.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Every job that somebody waits for.
pub(crate) struct Watches {
    views: Arc<Views>,
    changes: Changes,
    /// Cancelled when the server goes down: who waits is then answered with what is.
    stop: CancellationToken,
    /// How old what was read may be while nothing was told.
    look_every: Duration,
    all: All,
}

/// By job; each goes with the last of its waiters.
#[derive(Clone, Default)]
struct All(Arc<Mutex<HashMap<JobId, Weak<Watched>>>>);

/// One job that somebody waits for.
struct Watched {
    id: JobId,
    all: All,
    subscription: Subscription,
    latest: Turn<Option<Latest>>,
}

/// What was last read of it.
struct Latest {
    /// After so many changes.
    count: u64,
    at: Instant,
    view: Arc<View>,
}

impl Watches {
    pub(crate) fn new(views: Arc<Views>, changes: Changes, stop: CancellationToken) -> Self {
        Self { views, changes, stop, look_every: LOOK_EVERY, all: All::default() }
    }

    /// The job once `enough` is true of it, or as it is at `until` or when the server stops. `None`
    /// where there is no such job.
    pub(crate) async fn wait(
        &self,
        id: JobId,
        until: Instant,
        enough: impl Fn(&View) -> bool,
    ) -> Result<Option<Arc<View>>, Problem> {
        let watched = self.watched(id);
        let mut count = watched.subscription.count();
        loop {
            let told = *count.borrow_and_update();
            let Some(view) = self.look(id, &watched, told).await? else { return Ok(None) };
            let now = Instant::now();
            if enough(&view) || now >= until || self.stop.is_cancelled() {
                return Ok(Some(view));
            }
            tokio::select! {
                _ = count.changed() => {}
                () = sleep_until(until.min(now + self.look_every)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// What the job is after at least `told` changes: read by the first who asks, for all of them.
    async fn look(
        &self,
        id: JobId,
        watched: &Watched,
        told: u64,
    ) -> Result<Option<Arc<View>>, Problem> {
        let mut latest = watched.latest.lock().await;
        if let Some(latest) = &*latest
            && latest.count >= told
            && latest.at.elapsed() < self.look_every
        {
            return Ok(Some(Arc::clone(&latest.view)));
        }
        // Before the read: what changes during it is read again.
        let count = *watched.subscription.count().borrow();
        let Some(view) = self.views.of(id).await? else { return Ok(None) };
        *latest = Some(Latest { count, at: Instant::now(), view: Arc::clone(&view) });
        Ok(Some(view))
    }

    /// What all who wait for this job share.
    fn watched(&self, id: JobId) -> Arc<Watched> {
        let mut all = self.all.lock();
        if let Some(watched) = all.get(&id).and_then(Weak::upgrade) {
            return watched;
        }
        let subscription = self.changes.of(id);
        let latest = Turn::default();
        let watched = Arc::new(Watched { id, all: self.all.clone(), subscription, latest });
        all.insert(id, Arc::downgrade(&watched));
        watched
    }
}

impl All {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Weak<Watched>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // Who came meanwhile has put in another one.
        if all.get(&self.id).is_some_and(|watched| watched.strong_count() == 0) {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    //! What only another process could show from outside.
    #![allow(clippy::unwrap_used)]

    use fileyard_storage::{
        MemoryStore,
        blob::{BlobKey, Digest},
        clock::{ManualClock, Timestamp},
        id::{InstallId, Tenant, UploadId},
        job::{Input, JobEvent, JobStore, NewJob, Params},
        upload::{Arrival, Upload, UploadState, UploadStore},
    };

    use super::*;
    use crate::{urls::Urls, views::Kept};

    const NOW: Timestamp = Timestamp(0);

    async fn job(store: &MemoryStore) -> JobId {
        let (id, upload, tenant) = (JobId::new(), UploadId::new(), Tenant::default());
        let key = BlobKey::Input { tenant: tenant.clone(), upload };
        let sha256 = Digest([0; 32]);
        let input =
            Input { name: "a".into(), content_type: "text/plain".into(), size: 0, sha256, key };
        let job = NewJob {
            id,
            tenant: tenant.clone(),
            processor: "text".parse().unwrap(),
            params: Params::new(),
            upload,
            input,
            batch: None,
            retry_of: None,
        };
        let row = Upload {
            id: upload,
            tenant,
            job: id,
            processor: None,
            name: "a".into(),
            created_at: NOW,
            claim: None,
            state: UploadState::Receiving { lease_until: NOW, offset: 0, multipart: None },
        };
        store.begin(row).await.unwrap();
        store.complete(vec![Arrival { upload, job }], None, NOW).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_change_that_nobody_told_of_is_found() {
        let store = MemoryStore::new(InstallId::new());
        let id = job(&store).await;
        let kept = Kept { jobs: None, clock: Arc::new(ManualClock::at(NOW)) };
        // Its ears are nobody's: as if another process wrote.
        let mut watches = Watches::new(
            Arc::new(Views::new(Arc::new(store.clone()), Urls::api(None), kept)),
            Changes::default(),
            CancellationToken::new(),
        );
        watches.look_every = Duration::from_millis(10);
        let until = Instant::now() + Duration::from_secs(600);
        let story = async {
            tokio::task::yield_now().await;
            store.apply(id, JobEvent::Cancel, NOW).await.unwrap();
        };
        let (view, ()) = tokio::join!(watches.wait(id, until, View::has_ended), story);
        assert!(view.unwrap().unwrap().has_ended());
        assert!(watches.all.lock().is_empty(), "it is gone with its last waiter");
    }
}
