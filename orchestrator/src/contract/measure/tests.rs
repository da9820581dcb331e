//! What is seen of a directory that somebody else writes to.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use super::*;

fn look(dir: &std::path::Path, files: usize, bytes: u64) -> Usage {
    walk(&descend::ours(dir).unwrap(), Limits { files, bytes }).unwrap()
}

fn is_over(usage: &Usage, what: &str) -> bool {
    usage.over.as_ref().is_some_and(|over| over.contains(what))
}

const MIB: u64 = 1 << 20;

#[test]
fn bytes_and_files_are_counted_wherever_they_are() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("a/b/c")).unwrap();
    fs::write(home.path().join("a/b/c/one"), vec![1; 3 << 20]).unwrap();
    fs::write(home.path().join("a/two"), "x").unwrap();
    fs::write(home.path().join(RESULT), "{}").unwrap();
    let usage = look(home.path(), 2, 3 * MIB + 1);
    assert_eq!(usage.over, None, "a result is no output");
    assert!(usage.allocated >= 3 * MIB);
    assert!(is_over(&look(home.path(), 2, 3 * MIB), "max_output_size"));
    assert!(is_over(&look(home.path(), 1, 9 * MIB), "max_outputs"));
    assert!(is_over(&look(home.path(), 0, 9 * MIB), "max_outputs"));
}

#[test]
fn holes_count_for_the_limit_and_not_for_the_disk() {
    let home = tempfile::tempdir().unwrap();
    File::create(home.path().join("sparse")).unwrap().set_len(64 * MIB).unwrap();
    let usage = look(home.path(), 1, 64 * MIB);
    assert_eq!(usage.over, None);
    assert!(usage.allocated < MIB, "{usage:?}");
    assert!(is_over(&look(home.path(), 1, 32 * MIB), "max_output_size"));
}

#[test]
fn a_link_leads_nowhere_and_two_names_are_one_file() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("large"), vec![1; 8 << 20]).unwrap();
    symlink(elsewhere.path(), home.path().join("dir")).unwrap();
    symlink(elsewhere.path().join("large"), home.path().join("file")).unwrap();
    fs::write(home.path().join("new"), vec![1; 2 << 20]).unwrap();
    fs::hard_link(home.path().join("new"), home.path().join("name")).unwrap();
    let usage = look(home.path(), 10, 3 * MIB);
    assert_eq!(usage.over, None);
    assert!(usage.allocated < 3 * MIB, "{usage:?}");
    assert!(is_over(&look(home.path(), 2, 8 * MIB), "max_outputs"), "a link has a name, too");
}

#[test]
fn a_heap_of_directories_ends_the_walk() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..SPARE_DIRECTORIES + 2 {
        fs::create_dir(home.path().join(n.to_string())).unwrap();
    }
    assert!(is_over(&look(home.path(), 1, MIB), "directories"));
    let deep = tempfile::tempdir().unwrap();
    fs::create_dir_all(deep.path().join("d/".repeat(MAX_DEPTH + 2))).unwrap();
    assert!(is_over(&look(deep.path(), 1, MIB), "deep"));
}
