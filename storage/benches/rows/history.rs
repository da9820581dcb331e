//! Databases with a history: one job lives its life by the store, and is then written as many times as
//! it takes, each time with ids of its own.

use std::path::Path;

use fileyard_storage::{
    SqliteStore,
    id::{JobId, UploadId},
};
use rand::seq::{IteratorRandom as _, SliceRandom as _};
use rusqlite::Connection;

use crate::life;

/// How many of a history's jobs are asked for.
const ASKED: usize = 100_000;
/// How many of its jobs are pruned in the end, at most: the oldest.
const PRUNED: u64 = 10_000;
/// How many are written in one transaction.
const TOGETHER: u64 = 10_000;

/// Rows of ended jobs, in a database of their own.
pub(crate) struct History {
    pub(crate) jobs: u64,
    pub(crate) store: SqliteStore,
    /// Some of them, from anywhere but among the oldest.
    pub(crate) some: Vec<JobId>,
    pub(crate) bytes: u64,
}

impl History {
    /// Made in `data`, which is made with it.
    pub(crate) async fn make(data: &Path, jobs: u64) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let store = SqliteStore::open(data).unwrap();
        let first = life::submit(&store).await;
        let first = life::claim(&store, first).await;
        life::finish(&store, &first).await;
        drop(store);
        let file = data.join("fileyard.db");
        let some = repeat(&file, first.id(), first.asked.upload, jobs);
        let bytes = std::fs::metadata(&file).unwrap().len();
        Self { jobs, store: SqliteStore::open(data).unwrap(), some, bytes }
    }
}

/// How many of a history's jobs are pruned.
pub(crate) fn prunable(jobs: u64) -> usize {
    usize::try_from(PRUNED.min(jobs / 10)).unwrap()
}

/// Writes what there is of the first job `jobs` times in all, and returns some of their ids.
fn repeat(file: &Path, job: JobId, upload: UploadId, jobs: u64) -> Vec<JobId> {
    let db = Connection::open(file).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -500000",
    )
    .unwrap();
    let rows = ["uploads", "jobs", "attempts"].map(|table| {
        let doc: String =
            db.query_row(&format!("SELECT doc FROM {table}"), [], |row| row.get(0)).unwrap();
        (format!("INSERT INTO {table} (doc) VALUES (?1)"), doc)
    });
    let (job, upload) = (job.to_string(), upload.to_string());
    let ids = (1..jobs).map(|n| {
        let id = JobId::new();
        if n % TOGETHER == 1 {
            db.execute_batch(if n == 1 { "BEGIN" } else { "COMMIT; BEGIN" }).unwrap();
        }
        let (own, its_upload) = (id.to_string(), UploadId::new().to_string());
        for (sql, doc) in &rows {
            let doc = doc.replace(&job, &own).replace(&upload, &its_upload);
            db.prepare_cached(sql).unwrap().execute([doc]).unwrap();
        }
        id
    });
    let mut some = ids.skip(prunable(jobs)).choose_multiple(&mut rand::rng(), ASKED);
    some.shuffle(&mut rand::rng());
    db.execute_batch("COMMIT; PRAGMA optimize").unwrap();
    some
}
