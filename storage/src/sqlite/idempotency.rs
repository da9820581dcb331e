//! Idempotency keys in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, doc, writer::Turn};
use crate::{
    StoreError,
    clock::Timestamp,
    id::JobId,
    idempotency::{Claim, Idempotency, IdempotencyKey, IdempotencyStore, Settling},
    upload::Arrival,
};

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn key(&self, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError> {
        let key = key.clone();
        self.readers.read(move |db| load(db, &key)).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<(), StoreError> {
        let forget = move |db: &Connection| {
            db.prepare_cached(FORGET)?.execute([before.0])?;
            Ok(())
        };
        self.writer.run(Turn::Then, forget).await
    }
}

pub(super) const FORGET: &str = "DELETE FROM idempotency WHERE state = 'done' AND at < ?1";

pub(super) const ONE: &str =
    "SELECT key, doc FROM idempotency WHERE key = ?1 AND route = ?2 AND tenant = ?3";

/// An upload's claim, in the transaction that begins it.
pub(super) fn claim(db: &Connection, claim: &Claim, at: Timestamp) -> Result<(), StoreError> {
    if let Some(row) = claim.on(load(db, &claim.key)?.as_ref(), at)? {
        db.prepare_cached("INSERT INTO idempotency (doc) VALUES (?1)")?
            .execute([doc::write(&row)?])?;
    }
    Ok(())
}

/// The end of a claim whose request made its jobs, in the transaction that makes them.
pub(super) fn settle(
    db: &Connection,
    settling: &Settling,
    arrivals: &[Arrival],
    at: Timestamp,
) -> Result<(), StoreError> {
    let key = &settling.claim.key;
    let row = settling.on(load(db, key)?.as_ref(), arrivals, at)?;
    let (text, route) = columns(key);
    db.prepare_cached(
        "UPDATE idempotency SET doc = ?4 WHERE key = ?1 AND route = ?2 AND tenant = ?3",
    )?
    .execute(params![text, route, key.tenant.as_str(), doc::write(&row)?])?;
    Ok(())
}

/// The end of a claim that came to nothing, in the transaction that abandons an upload of it.
pub(super) fn free(db: &Connection, claim: &Claim) -> Result<(), StoreError> {
    delete_if(db, &claim.key, |row| row.is_claimed_by(claim.by))
}

/// The end of a key whose request made this job, in the transaction that prunes the job.
pub(super) fn prune(db: &Connection, key: &IdempotencyKey, job: JobId) -> Result<(), StoreError> {
    delete_if(db, key, |row| row.made(job))
}

fn delete_if(
    db: &Connection,
    key: &IdempotencyKey,
    ends: impl FnOnce(&Idempotency) -> bool,
) -> Result<(), StoreError> {
    if load(db, key)?.is_some_and(|row| ends(&row)) {
        let (text, route) = columns(key);
        db.prepare_cached("DELETE FROM idempotency WHERE key = ?1 AND route = ?2 AND tenant = ?3")?
            .execute(params![text, route, key.tenant.as_str()])?;
    }
    Ok(())
}

fn load(db: &Connection, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError> {
    let (text, route) = columns(key);
    doc::one(db, ONE, params![text, route, key.tenant.as_str()])
}

/// A key and its route as they stand in their columns.
fn columns(key: &IdempotencyKey) -> (&str, &'static str) {
    (key.key.as_str(), key.route.as_str())
}
