//! The blobs' stories, over local files and in memory.
#![allow(clippy::unwrap_used)]

mod suite;

use fileyard_storage::blob::{BlobConfig, BlobStore};
use suite::{Home, PART, files_below};

struct Dir {
    _dir: tempfile::TempDir,
    home: Home,
}

fn local() -> Dir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let config = BlobConfig { part_size: PART as u64, ..BlobConfig::default() };
    let store = BlobStore::open(&config, &data).unwrap();
    let files = Box::new(move || files_below(&data));
    Dir { _dir: dir, home: Home { store, files, multipart: false } }
}

fn memory() -> Dir {
    let dir = tempfile::tempdir().unwrap();
    let config =
        BlobConfig { url: "memory://".into(), part_size: PART as u64, ..BlobConfig::default() };
    let store = BlobStore::open(&config, dir.path()).unwrap();
    let data = dir.path().to_owned();
    let files = Box::new(move || files_below(&data));
    Dir { _dir: dir, home: Home { store, files, multipart: true } }
}

macro_rules! stories {
    ($($story:ident)*) => {
        mod in_local_files {
            $(#[tokio::test]
            async fn $story() {
                crate::suite::$story(&super::local().home).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $story() {
                crate::suite::$story(&super::memory().home).await;
            })*
        }
    };
}

stories! {
    what_is_written_is_read
    the_first_bytes_tell_the_type
    ranges_are_as_far_as_the_blob_goes
    the_recorder_is_told_before_the_first_part
    what_is_not_finished_leaves_nothing
    a_finish_that_nobody_waits_for_leaves_nothing
    a_refusal_of_the_recorder_ends_it
    more_than_was_said_is_refused
    what_is_gone_is_gone_without_a_word
    a_row_is_enough_to_end_an_upload
    an_attempt_has_what_all_its_owners_stored
    many_at_once
    a_store_belongs_to_one_install
}

/// A container's user may read a bound blob; nobody else gets as far as to it.
#[tokio::test]
async fn a_local_file_is_for_reading_and_its_directory_for_us() {
    use std::os::unix::fs::PermissionsExt;
    let local = local();
    let key = suite::input();
    local.home.write(&key, &suite::content(9)).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&local.home.store.local_path(&key).unwrap()), 0o444);
    assert_eq!(mode(local.home.store.local_root().unwrap()), 0o700);
}

/// What a dead process was writing is gone once the next one opens the store; blobs are not.
#[tokio::test]
async fn opening_empties_the_staging_directory() {
    let local = local();
    let data = local._dir.path();
    let (key, cut) = (suite::input(), suite::input());
    local.home.write(&key, &suite::content(9)).await;
    let mut writer = local.home.writer(&cut, &suite::Notes::new());
    writer.write(suite::content(3 * suite::MIB)).await.unwrap();
    std::fs::create_dir_all(data.join("tmp/blobs/a/b")).unwrap();
    assert!(files_below(&data.join("tmp")).len() == 1, "the writer's file");
    let again = BlobStore::open(&BlobConfig::default(), data).unwrap();
    assert_eq!(std::fs::read_dir(data.join("tmp/blobs")).unwrap().count(), 0);
    assert_eq!(again.get(&key, None).await.unwrap().size, 9);
}

/// A directory that is left empty goes with its last blob.
#[tokio::test]
async fn no_empty_directory_is_left() {
    let local = local();
    let root = local.home.store.local_root().unwrap().to_owned();
    let key = suite::input();
    local.home.write(&key, &suite::content(9)).await;
    local.home.store.delete(&key).await.unwrap();
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    // And it can be made again.
    local.home.write(&key, &suite::content(9)).await;
    assert_eq!(local.home.read(&key).await, suite::content(9));
}

/// The store fails under a writer: the writer says so, and every later call says it again.
#[tokio::test]
async fn a_file_system_that_fails_is_said() {
    use fileyard_storage::blob::BlobError;
    let local = local();
    let data = local._dir.path();
    std::fs::remove_dir_all(data.join("tmp/blobs")).unwrap();
    let mut writer = local.home.writer(&suite::input(), &suite::Notes::new());
    let written = writer.write(suite::content(4 * suite::MIB)).await;
    let Err(BlobError::Unavailable(text)) = &written else { panic!("{written:?}") };
    assert!(text.contains("tmp/blobs"), "{text}");
    assert_eq!(writer.finish().await.err(), written.err());
    assert!(matches!(local.home.store.ready().await, Err(BlobError::Unavailable(_))));
}
