//! Uploads in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, doc, idempotency, job, writer::Turn};
use crate::{
    StoreError,
    clock::Timestamp,
    id::UploadId,
    idempotency::Settling,
    job::Job,
    upload::{Arrival, Upload, UploadEvent, UploadStore},
};

#[async_trait]
impl UploadStore for SqliteStore {
    async fn begin(&self, upload: Upload) -> Result<(), StoreError> {
        let begin = move |db: &Connection| {
            insert(db, &upload)?;
            match &upload.claim {
                Some(claim) => idempotency::claim(db, claim, upload.created_at),
                None => Ok(()),
            }
        };
        self.writer.run(Turn::Then, begin).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.readers.read(move |db| load(db, id)).await
    }

    async fn apply_to_upload(
        &self,
        id: UploadId,
        event: UploadEvent,
        now: Timestamp,
    ) -> Result<Upload, StoreError> {
        let turn = match event {
            UploadEvent::Advance { .. } => Turn::First,
            _ => Turn::Then,
        };
        let swap = move |db: &Connection| {
            let upload = known(db, id)?.apply_alone(&event, now)?;
            update(db, &upload)?;
            if let (UploadEvent::Abandon, Some(claim)) = (&event, &upload.claim) {
                idempotency::free(db, claim)?;
            }
            Ok(upload)
        };
        self.writer.run(turn, swap).await
    }

    async fn complete(
        &self,
        arrivals: Vec<Arrival>,
        settling: Option<Settling>,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        let land = move |db: &Connection| {
            if let Some(settling) = &settling {
                idempotency::settle(db, settling, &arrivals, now)?;
            }
            let each = arrivals.iter().map(|arrival| {
                let (upload, job) = arrival.land(&known(db, arrival.upload)?, now)?;
                update(db, &upload)?;
                job::insert(db, &job)?;
                Ok(job)
            });
            each.collect()
        };
        self.writer.run(Turn::Then, land).await
    }

    async fn receiving(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        self.readers.read(move |db| doc::all(db, RECEIVING, [doc::limit(limit)])).await
    }

    async fn abandoned(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        self.readers.read(move |db| doc::all(db, ABANDONED, [doc::limit(limit)])).await
    }

    async fn forget_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let forget = move |db: &Connection| {
            db.prepare_cached("DELETE FROM uploads WHERE id = ?1 AND state = 'abandoned'")?
                .execute([id.to_string()])?;
            Ok(())
        };
        self.writer.run(Turn::Then, forget).await
    }
}

pub(super) const RECEIVING: &str =
    "SELECT id, doc FROM uploads WHERE state = 'receiving' ORDER BY id LIMIT ?1";

pub(super) const ABANDONED: &str =
    "SELECT id, doc FROM uploads WHERE state = 'abandoned' ORDER BY at, id LIMIT ?1";

fn insert(db: &Connection, upload: &Upload) -> Result<(), StoreError> {
    if load(db, upload.id)?.is_some() {
        return Err(StoreError::Conflict(format!("upload {}", upload.id)));
    }
    // The index refuses a job id that another upload has reserved; this one that a job has.
    let new = job::load(db, upload.job)?.is_none()
        && db
            .prepare_cached("INSERT INTO uploads (doc) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([doc::write(upload)?])?
            == 1;
    if new { Ok(()) } else { Err(StoreError::Conflict(format!("job {}", upload.job))) }
}

fn update(db: &Connection, upload: &Upload) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE uploads SET doc = ?2 WHERE id = ?1")?
        .execute(params![upload.id.to_string(), doc::write(upload)?])?;
    Ok(())
}

fn known(db: &Connection, id: UploadId) -> Result<Upload, StoreError> {
    load(db, id)?.ok_or_else(|| StoreError::NotFound(format!("upload {id}")))
}

pub(super) fn load(db: &Connection, id: UploadId) -> Result<Option<Upload>, StoreError> {
    doc::one(db, "SELECT id, doc FROM uploads WHERE id = ?1", [id.to_string()])
}
