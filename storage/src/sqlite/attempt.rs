//! Attempts in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, doc, writer::Turn};
use crate::{
    StoreError,
    attempt::{Attempt, AttemptChange, AttemptEvent, AttemptStore},
    id::{AttemptNo, JobId},
};

#[async_trait]
impl AttemptStore for SqliteStore {
    async fn attempt(&self, job: JobId, no: AttemptNo) -> Result<Option<Attempt>, StoreError> {
        self.readers.read(move |db| load(db, job, no)).await
    }

    async fn unremoved(&self) -> Result<Vec<Attempt>, StoreError> {
        self.readers.read(|db| doc::all(db, UNREMOVED, [])).await
    }

    async fn apply_to_attempt(
        &self,
        job: JobId,
        no: AttemptNo,
        event: AttemptEvent,
    ) -> Result<Attempt, StoreError> {
        let swap = move |db: &Connection| {
            let unknown = || StoreError::NotFound(format!("attempt {no} of job {job}"));
            let attempt = load(db, job, no)?.ok_or_else(unknown)?.apply_alone(&event)?;
            update(db, &attempt)?;
            Ok(attempt)
        };
        self.writer.run(Turn::Then, swap).await
    }
}

pub(super) const UNREMOVED: &str =
    "SELECT job || '/' || no, doc FROM attempts WHERE state <> 'removed' ORDER BY job, no";

/// An attempt's part of a change of its job.
pub(super) fn change(db: &Connection, job: JobId, change: AttemptChange) -> Result<(), StoreError> {
    match change {
        AttemptChange::Begin(attempt) => {
            db.prepare_cached("INSERT INTO attempts (doc) VALUES (?1)")?
                .execute([doc::write(&*attempt)?])?;
            Ok(())
        }
        AttemptChange::Apply(no, event) => {
            let lost = || StoreError::Corrupt(format!("job {job} has no row for its attempt {no}"));
            update(db, &load(db, job, no)?.ok_or_else(lost)?.apply(&event)?)
        }
    }
}

fn update(db: &Connection, attempt: &Attempt) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE attempts SET doc = ?3 WHERE job = ?1 AND no = ?2")?
        .execute(params![attempt.job.to_string(), attempt.no.0, doc::write(attempt)?])?;
    Ok(())
}

fn load(db: &Connection, job: JobId, no: AttemptNo) -> Result<Option<Attempt>, StoreError> {
    let sql = "SELECT job || '/' || no, doc FROM attempts WHERE job = ?1 AND no = ?2";
    doc::one(db, sql, params![job.to_string(), no.0])
}
