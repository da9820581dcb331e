//! Documents in and out of rows, and SQLite's errors in the store's words.

use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::{Serialize, de::DeserializeOwned};

use super::open::is_corrupt;
use crate::StoreError;

/// A row's document.
pub(super) fn write<T: Serialize>(row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The row that `sql` selects as an id, for a message, and a document.
pub(super) fn one<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, StoreError> {
    let found = db.prepare_cached(sql)?.query_row(params, columns).optional()?;
    found.map(read).transpose()
}

/// The rows that `sql` selects, as [`one`] does.
pub(super) fn all<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>, StoreError> {
    let mut sql = db.prepare_cached(sql)?;
    let found = sql.query_map(params, columns)?;
    found.map(|row| read(row?)).collect()
}

/// How much of documents a page has, beside one that is larger by itself.
const PAGE_BYTES: usize = 4 << 20;

/// As [`all`], but no more once these are of so many bytes as a page has: a row is held many times
/// its size when it is read.
pub(super) fn page<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>, StoreError> {
    let mut sql = db.prepare_cached(sql)?;
    let (mut found, mut size) = (Vec::new(), 0);
    for row in sql.query_map(params, columns)? {
        let row = row?;
        size += row.1.len();
        found.push(read(row)?);
        if size > PAGE_BYTES {
            break;
        }
    }
    Ok(found)
}

/// A number of rows as SQLite takes it.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn read<T: DeserializeOwned>((id, doc): (String, String)) -> Result<T, StoreError> {
    serde_json::from_str(&doc).map_err(|error| StoreError::Corrupt(format!("{id}: {error}")))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_corrupt(&error) {
            Self::Corrupt(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}
