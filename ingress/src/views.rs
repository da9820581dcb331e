//! Jobs as clients are sent them. What has ended never changes again: it is read and rendered once, and kept as
//! long as there is room.

use std::sync::Arc;

use fileyard_storage::{Store, id::JobId};
use quick_cache::{Weighter, sync::Cache};

use crate::{error::Problem, urls::Urls, view::View};

/// Bytes of those that are kept.
const ROOM: u64 = 8 << 20;
/// What one takes, to begin with.
const USUAL: u64 = 2 << 10;

/// Every job, as it is now.
pub(crate) struct Views {
    store: Arc<dyn Store>,
    urls: Urls,
    ended: Cache<JobId, Arc<View>, Size>,
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
    pub(crate) fn new(store: Arc<dyn Store>, urls: Urls) -> Self {
        let usual = usize::try_from(ROOM / USUAL).unwrap_or(usize::MAX);
        Self { store, urls, ended: Cache::with_weighter(usual, ROOM, Size) }
    }

    /// One job, where there is one.
    pub(crate) async fn of(&self, id: JobId) -> Result<Option<Arc<View>>, Problem> {
        if let Some(view) = self.ended.get(&id) {
            return Ok(Some(view));
        }
        let Some(job) = self.store.job(id).await? else { return Ok(None) };
        let view = Arc::new(View::new(&job, &self.urls)?);
        if view.ended {
            self.ended.insert(id, Arc::clone(&view));
        }
        Ok(Some(view))
    }
}
