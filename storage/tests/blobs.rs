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
