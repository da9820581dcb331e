//! Opening: what is there stays there, and what can not be used is refused in clear words.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use rusqlite::Connection;

use crate::{
    Store,
    conformance::sample::{T0, claim, collecting, own, queued, succeed, upload},
    job::{JobFilter, JobStore},
    sqlite::{DataLock, LockError, OpenError, SqliteStore},
    upload::UploadStore,
};

#[tokio::test]
async fn everything_is_there_again() {
    let data = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(data.path()).unwrap();
    let install = store.install();
    let job = queued(&store).await;
    let job = store.apply(job.id(), claim(), T0).await.unwrap();
    let done = own(&store, &collecting(&store).await, succeed()).await.unwrap();
    let upload = upload();
    store.begin(upload.clone()).await.unwrap();
    drop(store);

    assert!(!data.path().join("fileyard.db-wal").exists(), "a clean close leaves no WAL behind");
    let store = SqliteStore::open(data.path()).unwrap();
    assert_eq!(store.install(), install, "drawn once");
    let jobs = store.jobs(&JobFilter::default(), None, 10).await.unwrap();
    assert_eq!(jobs, [done, job]);
    assert_eq!(store.receiving(10).await.unwrap(), [upload]);
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_file_before_the_store_is_closed() {
    let data = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(data.path()).unwrap();
    let job = queued(&store).await;
    // As after a kill: the files as they lie there, and nobody had time to close anything.
    let copy = tempfile::tempdir().unwrap();
    for file in ["fileyard.db", "fileyard.db-wal"] {
        fs::copy(data.path().join(file), copy.path().join(file)).unwrap();
    }
    let after = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(after.job(job.id()).await.unwrap(), Some(job));
    assert_eq!(after.install(), store.install());
}

#[test]
fn the_settings_are_the_durable_ones() {
    let data = tempfile::tempdir().unwrap();
    let (db, _) = crate::sqlite::open::writable(&data.path().join("fileyard.db")).unwrap();
    let pragma = |name: &str| -> String {
        let text = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        let value = db.query_row(&format!("PRAGMA {name}"), [], text);
        value.map_or_else(|_| "none".into(), |value| format!("{value:?}"))
    };
    assert_eq!(pragma("journal_mode"), r#"Text("wal")"#);
    assert_eq!(pragma("synchronous"), "Integer(2)", "FULL");
    assert!(["none", "Integer(0)"].contains(&pragma("mmap_size").as_str()));
}

#[test]
fn a_newer_schema_is_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(data.path()).unwrap());
    let file = data.path().join("fileyard.db");
    let db = Connection::open(&file).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                 VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')";
    db.execute(newer, []).unwrap();
    drop(db);
    let error = SqliteStore::open(data.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 999, known: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("written by a newer one"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("fileyard.db");
    let text = "not a database, but somebody's file\n".repeat(100);
    fs::write(&file, &text).unwrap();
    let error = SqliteStore::open(data.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("fileyard.db"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_page_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(data.path()).unwrap();
    for _ in 0..100 {
        queued(&store).await;
    }
    drop(store);
    let file = data.path().join("fileyard.db");
    let mut bytes = fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    let error = SqliteStore::open(data.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn a_new_directory_is_for_its_user_alone() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("a/b");
    drop(SqliteStore::open(&data).unwrap());
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&data).unwrap().uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn a_second_open_is_refused_and_names_who_has_it() {
    let data = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(data.path()).unwrap();
    let error = SqliteStore::open(data.path()).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, OpenError::Lock(LockError::Held { pid: Some(pid), .. }) if pid == own));
    assert!(error.to_string().contains(&format!("in use by process {own}")), "{error}");
    drop(store);
    drop(SqliteStore::open(data.path()).unwrap());
}

#[test]
fn the_lock_outlives_a_stop_and_dies_with_its_process() {
    use rustix::process::{Pid, Signal, kill_process};
    let data = tempfile::tempdir().unwrap();
    drop(DataLock::acquire(data.path()).unwrap());
    let mut holder = hold(data.path());
    let pid = holder.0.id();

    kill_process(Pid::from_child(&holder.0), Signal::STOP).unwrap();
    let error = DataLock::acquire(data.path()).unwrap_err();
    assert!(matches!(error, LockError::Held { pid: Some(named), .. } if named == pid), "{error:?}");
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    drop(DataLock::acquire(data.path()).unwrap());
}

/// A process that does not outlive the test, not even stopped.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another process that holds the lock, by the same means as ours: flock(1) would leave its child
/// with it, so this is this test's own program, told to do nothing but that.
fn hold(data: &Path) -> Holder {
    use std::io::{BufRead, BufReader};
    let test = "sqlite::tests::opening::holder";
    let holder = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("FILEYARD_TEST_HOLD", data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut holder = Holder(holder);
    let lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
    let held = lines.map_while(Result::ok).any(|line| line.contains("held"));
    assert!(held, "the other process ended without the lock");
    holder
}

/// Not a test: the other process of [`the_lock_outlives_a_stop_and_dies_with_its_process`].
#[test]
#[ignore = "is started by another test"]
fn holder() {
    let Some(data) = std::env::var_os("FILEYARD_TEST_HOLD") else { return };
    let _lock = DataLock::acquire(Path::new(&data)).unwrap();
    println!("held");
    // Until it is killed, or the test that started it is gone and closes this.
    let _ = std::io::stdin().read_line(&mut String::new());
}
