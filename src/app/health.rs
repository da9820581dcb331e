//! Whether uploads can be accepted now, and what is wrong where they can not.

use std::sync::Arc;

use async_trait::async_trait;
use fileyard_ingress::{Health, Readiness, Verdict};
use fileyard_orchestrator::{Orchestrator, disk::Disk};
use fileyard_storage::{Store, blob::BlobStore};

/// Asks each part in turn.
pub(super) struct Checks {
    store: Arc<dyn Store>,
    blobs: BlobStore,
    disk: Disk,
    orchestrator: Orchestrator,
}

impl Checks {
    pub(super) fn new(
        store: Arc<dyn Store>,
        blobs: BlobStore,
        disk: Disk,
        orchestrator: Orchestrator,
    ) -> Self {
        Self { store, blobs, disk, orchestrator }
    }
}

#[async_trait]
impl Health for Checks {
    async fn check(&self) -> Readiness {
        let (blobs, rows) = tokio::join!(self.blobs.ready(), self.store.ready());
        Readiness {
            store: Verdict::of(
                blobs.err().map(|error| error.to_string()).or_else(|| self.disk.low()),
            ),
            database: Verdict::of(rows.err()),
            engine: Verdict::of(self.orchestrator.engine_trouble()),
        }
    }
}
