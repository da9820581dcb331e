//! Jobs in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::{SqliteStore, attempt, doc, writer::Turn};
use crate::{
    StoreError,
    clock::Timestamp,
    id::JobId,
    job::{Job, JobEvent, JobFilter, JobStore, MAX_BACKOFF, OwnerEvent, Params, QueueQuery},
};

#[async_trait]
impl JobStore for SqliteStore {
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.readers.read(move |db| load(db, id)).await
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let (sql, values) = page(filter, before, limit);
        self.readers.read(move |db| doc::page(db, &sql, params_from_iter(values))).await
    }

    async fn apply(&self, id: JobId, event: JobEvent, now: Timestamp) -> Result<Job, StoreError> {
        let turn = match event {
            JobEvent::Own(_, OwnerEvent::Heartbeat { .. }) => Turn::First,
            _ => Turn::Then,
        };
        // Nobody else writes, so between the load and the swap there is nobody to be quicker.
        let swap = move |db: &Connection| {
            let job = load(db, id)?.ok_or_else(|| StoreError::NotFound(format!("job {id}")))?;
            let change = job.apply(&event, now)?;
            if let Some(attempt) = change.attempt {
                attempt::change(db, id, attempt)?;
            }
            db.prepare_cached("UPDATE jobs SET doc = ?2 WHERE id = ?1")?
                .execute(params![id.to_string(), doc::write(&change.job)?])?;
            Ok(change.job)
        };
        self.writer.run(turn, swap).await
    }

    async fn retry(
        &self,
        of: JobId,
        again: JobId,
        params: Params,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        let run = move |db: &Connection| {
            let job = load(db, of)?.ok_or_else(|| StoreError::NotFound(format!("job {of}")))?;
            let job = job.again(again, params, now)?;
            insert(db, &job)?;
            Ok(job)
        };
        self.writer.run(Turn::Then, run).await
    }

    async fn queued(&self, query: &QueueQuery) -> Result<Vec<Job>, StoreError> {
        let skip = doc::write(&query.skip)?;
        let (by, limit) = (query.due_by, doc::limit(query.limit));
        self.readers
            .read(move |db| doc::all(db, DUE, params![by.0, by.after(MAX_BACKOFF).0, skip, limit]))
            .await
    }

    async fn waiting_since(&self, since: Timestamp, limit: usize) -> Result<Vec<Job>, StoreError> {
        let limit = doc::limit(limit);
        self.readers.read(move |db| doc::all(db, WAITING, params![since.0, limit])).await
    }

    async fn running(&self) -> Result<Vec<Job>, StoreError> {
        self.readers.read(|db| doc::all(db, RUNNING, [])).await
    }
}

/// The same as [`JobState::is_due`](crate::job::JobState::is_due), by the index alone: left to itself
/// SQLite takes the index on the state and sorts all that is queued.
pub(super) const DUE: &str = "
    SELECT id, doc FROM jobs INDEXED BY job_queue
    WHERE state = 'queued'
      AND (not_before IS NULL OR not_before <= ?1 OR not_before > ?2)
      AND processor NOT IN (SELECT value FROM json_each(?3))
    ORDER BY since, id LIMIT ?4";

pub(super) const WAITING: &str = "
    SELECT id, doc FROM jobs INDEXED BY job_queue
    WHERE state = 'queued' AND since < ?1 ORDER BY since, id LIMIT ?2";

pub(super) const RUNNING: &str = "SELECT id, doc FROM jobs WHERE state = 'running' ORDER BY id";

/// A page of a list: its SQL, of which there are 16 kinds, and its values.
pub(super) fn page(
    filter: &JobFilter,
    before: Option<JobId>,
    limit: usize,
) -> (String, Vec<Value>) {
    let narrowed = [
        ("state =", filter.state.map(|state| state.as_str().to_owned())),
        ("processor =", filter.processor.as_ref().map(ToString::to_string)),
        ("batch =", filter.batch.map(|batch| batch.to_string())),
        ("id <", before.map(|id| id.to_string())),
    ];
    let mut sql = "SELECT id, doc FROM jobs WHERE true".to_owned();
    let mut values = Vec::new();
    for (column, value) in narrowed {
        if let Some(value) = value {
            sql.push_str(&format!(" AND {column} ?"));
            values.push(Value::Text(value));
        }
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(Value::Integer(doc::limit(limit)));
    (sql, values)
}

/// A job that was not there before.
pub(super) fn insert(db: &Connection, job: &Job) -> Result<(), StoreError> {
    let new = db
        .prepare_cached("INSERT INTO jobs (doc) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([doc::write(job)?])?;
    if new == 0 { Err(StoreError::Conflict(format!("job {}", job.id()))) } else { Ok(()) }
}

pub(super) fn load(db: &Connection, id: JobId) -> Result<Option<Job>, StoreError> {
    doc::one(db, "SELECT id, doc FROM jobs WHERE id = ?1", [id.to_string()])
}
