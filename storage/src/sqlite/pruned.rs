//! Pruned jobs in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, doc, idempotency, upload, writer::Turn};
use crate::{
    StoreError,
    clock::Timestamp,
    id::JobId,
    job::Job,
    pruned::{Pruned, PrunedStore},
};

#[async_trait]
impl PrunedStore for SqliteStore {
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let prune = move |db: &Connection| {
            let ended: Vec<Job> = doc::page(db, ENDED, params![before.0, doc::limit(limit)])?;
            ended.iter().try_for_each(|job| remove(db, job))?;
            Ok(ended.len())
        };
        self.writer.run(Turn::Then, prune).await
    }

    async fn pruned(&self, after: Option<JobId>, limit: usize) -> Result<Vec<Pruned>, StoreError> {
        // Every id is behind no text.
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        self.readers.read(move |db| doc::all(db, PRUNED, params![after, doc::limit(limit)])).await
    }

    async fn forget_pruned(&self, jobs: Vec<JobId>) -> Result<(), StoreError> {
        let forget = move |db: &Connection| {
            let mut sql = db.prepare_cached("DELETE FROM pruned WHERE job = ?1")?;
            jobs.iter().try_for_each(|job| sql.execute([job.to_string()]).map(drop))?;
            Ok(())
        };
        self.writer.run(Turn::Then, forget).await
    }
}

/// Jobs that ended before then and of whose attempts nothing is left.
pub(super) const ENDED: &str = "
    SELECT id, doc FROM jobs INDEXED BY job_ended
    WHERE doc ->> '$.finished_at' IS NOT NULL AND doc ->> '$.finished_at' < ?1
      AND NOT EXISTS (SELECT 1 FROM attempts WHERE job = jobs.id AND state <> 'removed')
    ORDER BY doc ->> '$.finished_at', id LIMIT ?2";

/// Whether another job than `?2` has the upload `?1`.
pub(super) const SHARED: &str = "
    SELECT 1 FROM uploads JOIN jobs ON jobs.id = uploads.job
    WHERE uploads.id = ?1 AND uploads.job <> ?2
    UNION ALL
    SELECT 1 FROM jobs INDEXED BY job_rerun
    WHERE doc ->> '$.upload' = ?1 AND doc ->> '$.retry_of' IS NOT NULL AND id <> ?2";

pub(super) const PRUNED: &str = "SELECT job, doc FROM pruned WHERE job > ?1 ORDER BY job LIMIT ?2";

/// Takes a job out, with all that only it has, and leaves what is to be removed.
fn remove(db: &Connection, job: &Job) -> Result<(), StoreError> {
    let (id, of) = (job.id().to_string(), job.asked.upload.to_string());
    let shared = db.prepare_cached(SHARED)?.exists([&of, &id])?;
    if let Some(claim) = upload::load(db, job.asked.upload)?.and_then(|upload| upload.claim) {
        idempotency::prune(db, &claim.key, job.id())?;
    }
    if !shared {
        db.prepare_cached("DELETE FROM uploads WHERE id = ?1")?.execute([&of])?;
    }
    db.prepare_cached("DELETE FROM attempts WHERE job = ?1")?.execute([&id])?;
    db.prepare_cached("DELETE FROM jobs WHERE id = ?1")?.execute([&id])?;
    db.prepare_cached("INSERT OR REPLACE INTO pruned (doc) VALUES (?1)")?
        .execute([doc::write(&Pruned::new(job, shared))?])?;
    Ok(())
}
