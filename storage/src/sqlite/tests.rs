//! What only SQLite can get wrong.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::ops::Deref;

use super::*;

/// A store and the directory it is in, which goes with it.
struct Fresh {
    store: SqliteStore,
    _data: tempfile::TempDir,
}

// The suite wants a store; this is one with its directory.
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
