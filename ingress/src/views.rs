//! Jobs as clients are sent them. What has ended never changes again: it is read and rendered once, and kept as
//! long as there is room, and the job is sure to be there.

use std::{sync::Arc, time::Duration};

use fileyard_storage::{Store, clock::Clock, id::JobId};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{error::Problem, urls::Urls, view::View};

/// Bytes of those that are kept.
const ROOM: u64 = 8 << 20;
/// What one takes, to begin with.
const USUAL: u64 = 2 << 10;
/// The room is divided: one that is larger than an eighth of it is not kept.
const SHARDS: usize = 8;

/// Every job, as it is now.
pub(crate) struct Views {
    store: Arc<dyn Store>,
    urls: Urls,
    kept: Kept,
    ended: Cache<JobId, Arc<View>, Size>,
}

/// For how long a job that has ended is sure to be there.
pub(crate) struct Kept {
    /// For ever, where this is none.
    pub(crate) jobs: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Kept {
    fn is_over(&self, view: &View) -> bool {
        let ended = view.ended_at.zip(self.jobs);
        ended.is_some_and(|(ended_at, kept)| self.clock.now().since(ended_at) >= kept)
    }
}

/// What a view takes of the room.
#[derive(Clone)]
struct Size;

impl Weighter<JobId, Arc<View>> for Size {
    fn weight(&self, _: &JobId, view: &Arc<View>) -> u64 {
        view.size() as u64
    }
}

impl Views {
    pub(crate) fn new(store: Arc<dyn Store>, urls: Urls, kept: Kept) -> Self {
        let room = OptionsBuilder::new()
            .estimated_items_capacity((ROOM / USUAL) as usize)
            .weight_capacity(ROOM)
            .shards(SHARDS)
            .build()
            .expect("both capacities are said");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { store, urls, kept, ended: Cache::with_options(room, Size, hasher, lifecycle) }
    }

    /// One job, where there is one.
    pub(crate) async fn of(&self, id: JobId) -> Result<Option<Arc<View>>, Problem> {
        // Once it may be pruned its row is asked, for as long as there is one.
        if let Some(view) = self.ended.get(&id).filter(|view| !self.kept.is_over(view)) {
            return Ok(Some(view));
        }
        let Some(job) = self.store.job(id).await? else {
            self.ended.remove(&id);
            return Ok(None);
        };
        let view = Arc::new(View::new(&job, &self.urls)?);
        if view.has_ended() {
            self.ended.insert(id, Arc::clone(&view));
        }
        Ok(Some(view))
    }
}
