//! What only SQLite can get wrong: beside the suite that every backend passes, reopening, group
//! commits, refusals at open, and errors where they hurt.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod commits;
mod migrations;
mod opening;
mod plans;
mod twins;

use std::ops::Deref;

use super::SqliteStore;

/// A store and the directory it is in, which goes with it.
struct Fresh {
    store: SqliteStore,
    _data: tempfile::TempDir,
}

impl Deref for Fresh {
    type Target = SqliteStore;
    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

fn fresh() -> Fresh {
    let data = tempfile::tempdir().unwrap();
    Fresh { store: SqliteStore::open(data.path()).unwrap(), _data: data }
}

crate::conformance::store_conformance!(fresh);
