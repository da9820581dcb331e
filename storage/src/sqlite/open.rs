//! Opening the file: settings, migrations, and clear refusals.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::LockError;
use crate::id::InstallId;

mod schema {
    refinery::embed_migrations!("migrations/sqlite");
}

/// A larger file is not read in whole at every start.
const CHECKED_WHOLE: u64 = 256 << 20;
/// How many statements a connection keeps: more than there are in all.
const STATEMENTS: usize = 64;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not ours.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It was written by a newer fileyard.
    #[error(
        "the database {} has schema {found} and this fileyard knows {known}: it was written by a \
         newer one, so start that one, or restore a backup from before it",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// It is not a database, or a damaged one.
    #[error(
        "the database {} is damaged ({why}): nothing in it was changed; restore a backup, or move \
         it away to begin anew",
        path.display()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It could not be opened, read or written.
    #[error("the database {} can not be opened: {why}", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl OpenError {
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, why) = (path.to_owned(), error.to_string());
        if is_corrupt(error) { Self::Corrupt { path, why } } else { Self::Failed { path, why } }
    }
}

pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The connection that writes, with the newest schema, and whose rows they are.
pub(super) fn writable(path: &Path) -> Result<(Connection, InstallId), OpenError> {
    let of = |error| OpenError::of(path, &error);
    ours_alone(path).map_err(|error| OpenError::Failed {
        path: path.to_owned(),
        why: format!("it can not be kept from others: {error}"),
    })?;
    let mut db = Connection::open(path).map_err(of)?;
    settle(&db).map_err(of)?;
    check(&db, path)?;
    migrate(&mut db, path)?;
    let install = install(&db, path)?;
    Ok((db, install))
}

/// What a database is like that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Whose rows these are.
    pub install: InstallId,
    /// Its schema's version.
    pub schema: i64,
    /// The version that it will have once this program has opened it.
    pub known: i64,
}

/// Looks at a database that is there, as [`writable`] would, and leaves it as it is. `None` where
/// whoever made it did not come to put anything in.
pub(super) fn look(path: &Path) -> Result<Option<Looked>, OpenError> {
    let of = |error| OpenError::of(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(of)?;
    settle(&db).map_err(of)?;
    check(&db, path)?;
    let (schema, known) = versions(&db, path)?;
    if schema == 0 {
        return Ok(None);
    }
    Ok(Some(Looked { install: install(&db, path)?, schema, known }))
}

/// Names, params and results are in the file: nobody else on this machine reads it. What SQLite
/// puts beside it has the same mode.
fn ours_alone(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// A connection that reads.
pub(super) fn readable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "mmap_size", 0)?;
    Ok(db)
}

fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // An I/O error in a mapped page would be SIGBUS instead of an error.
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // In WAL, NORMAL would let a power cut take what was acknowledged.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)
}

fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    if size > CHECKED_WHOLE {
        tracing::info!(size, "the database is large, so it is not checked page by page");
        return Ok(());
    }
    let found: String = db
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| OpenError::of(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(OpenError::Corrupt { path: path.to_owned(), why: found.replace('\n', " ") })
}

fn migrate(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let (found, known) = versions(db, path)?;
    if (1..known).contains(&found) {
        tracing::info!(
            "the database goes from schema {found} to {known}: a long history takes a while"
        );
    }
    let failed = |error: refinery::Error| OpenError::Failed {
        path: path.to_owned(),
        why: format!("its schema: {error}"),
    };
    schema::migrations::runner().run(db).map(drop).map_err(failed)
}

/// The schema's version, and the newest that this program knows.
fn versions(db: &Connection, path: &Path) -> Result<(i64, i64), OpenError> {
    let runner = schema::migrations::runner();
    let known = runner.get_migrations().iter().map(|step| i64::from(step.version())).max();
    let known = known.unwrap_or(0);
    let found = version(db).map_err(|error| OpenError::of(path, &error))?;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok((found, known))
}

/// The schema's version; 0 of a new file.
fn version(db: &Connection) -> rusqlite::Result<i64> {
    if !db.table_exists(None, "refinery_schema_history")? {
        return Ok(0);
    }
    let sql = "SELECT ifnull(max(version), 0) FROM refinery_schema_history";
    db.query_row(sql, [], |row| row.get(0))
}

/// The install's id, drawn when the database is new.
fn install(db: &Connection, path: &Path) -> Result<InstallId, OpenError> {
    let text = install_text(db).map_err(|error| OpenError::of(path, &error))?;
    text.parse().map_err(|error| {
        let why = format!("its install id is wrong: {error}");
        OpenError::Corrupt { path: path.to_owned(), why }
    })
}

fn install_text(db: &Connection) -> rusqlite::Result<String> {
    let sql = "SELECT value FROM meta WHERE name = 'install'";
    let known = db.query_row(sql, [], |row| row.get(0)).optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let drawn = InstallId::new().to_string();
    db.execute("INSERT INTO meta (name, value) VALUES ('install', ?1)", [&drawn])?;
    Ok(drawn)
}
