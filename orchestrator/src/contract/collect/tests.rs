//! Real files of every kind a container can make without privileges.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
};

use fileyard_storage::id::{AttemptNo, InstallId, JobId};
use rustix::fs::{CWD, Mode, mkdirat, mknodat};
use serde_json::json;

use super::*;

struct Yard {
    dir: tempfile::TempDir,
    processor: Processor,
}

const ID: ContainerId = ContainerId {
    install: InstallId::from_u128(1),
    job: JobId::from_u128(2),
    attempt: AttemptNo(1),
};

impl Yard {
    fn new() -> Self {
        let yard =
            Self { dir: tempfile::tempdir().unwrap(), processor: super::super::tests::processor() };
        fs::create_dir_all(yard.out()).unwrap();
        yard
    }

    fn dirs(&self) -> HostDirs {
        HostDirs::new(self.dir.path().to_owned(), None)
    }

    fn out(&self) -> PathBuf {
        self.dirs().out(&ID)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.out().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    async fn collect(&self) -> Result<Collected, CollectError> {
        collect(&self.dirs(), &ID, &self.processor).await
    }

    async fn names(&self) -> Vec<(String, u64)> {
        let collected = self.collect().await.unwrap();
        collected.files.into_iter().map(|file| (file.name, file.size)).collect()
    }

    async fn bad(&self) -> String {
        match self.collect().await {
            Err(CollectError::BadOutput(message)) => message,
            other => panic!("not a bad output: {other:?}"),
        }
    }

    async fn limit(&self) -> String {
        match self.collect().await {
            Err(CollectError::OutputLimit(message)) => message,
            other => panic!("not over a limit: {other:?}"),
        }
    }
}

fn file(name: &str, size: u64) -> (String, u64) {
    (name.to_owned(), size)
}

#[tokio::test]
async fn regular_files_are_taken_in_order_of_their_names() {
    let yard = Yard::new();
    yard.write("b.txt", "12");
    yard.write("a/z.txt", "123");
    yard.write("a/ü b.txt", "");
    yard.write("a.txt", "1");
    fs::create_dir_all(yard.out().join("empty/too")).unwrap();
    let expected = [file("a.txt", 1), file("a/z.txt", 3), file("a/ü b.txt", 0), file("b.txt", 2)];
    assert_eq!(yard.names().await, expected);
    assert_eq!(yard.collect().await.unwrap().result, Value::Null);
}

#[tokio::test]
async fn nothing_at_all_is_a_result_of_null() {
    let yard = Yard::new();
    assert_eq!(yard.names().await, []);
    assert_eq!(yard.collect().await.unwrap().result, Value::Null);
}

#[tokio::test]
async fn the_result_is_taken_from_the_top_alone_and_is_no_output() {
    let mut yard = Yard::new();
    yard.processor.max_outputs = 1;
    yard.write("result.json", "{\"pages\": 3}");
    yard.write("deep/result.json", "not json");
    let collected = yard.collect().await.unwrap();
    assert_eq!(collected.result, json!({"pages": 3}));
    assert_eq!(collected.files.len(), 1);
    assert_eq!(collected.files[0].name, "deep/result.json");
}

#[tokio::test]
async fn a_result_that_is_none_is_a_bad_output() {
    let yard = Yard::new();
    yard.write("result.json", "{");
    assert!(yard.bad().await.starts_with("/out/result.json is not valid JSON: "));
    yard.write("result.json", "[".repeat(65) + &"]".repeat(65));
    assert_eq!(yard.bad().await, "/out/result.json is nested more than 64 deep");
    yard.write("result.json", format!("\"{}\"", "x".repeat((1 << 20) - 1)));
    assert_eq!(yard.bad().await, "/out/result.json is larger than 1048576 bytes");
    yard.write("result.json", format!("\"{}\"", "x".repeat((1 << 20) - 2)));
    assert!(yard.collect().await.is_ok(), "exactly 1 MiB is taken");
    fs::remove_file(yard.out().join("result.json")).unwrap();
    fs::create_dir(yard.out().join("result.json")).unwrap();
    assert_eq!(yard.bad().await, "/out/result.json is a directory");
}

#[tokio::test]
async fn links_are_not_followed() {
    let yard = Yard::new();
    let secret = yard.dir.path().join("secret");
    fs::write(&secret, "\"secret\"").unwrap();
    for name in ["link", "result.json", "d/link"] {
        let link = yard.out().join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&secret, &link).unwrap();
        let expected = format!("/out/{name} is a symbolic link; only regular files are taken");
        assert_eq!(yard.bad().await, expected);
        fs::remove_file(&link).unwrap();
        fs::hard_link(&secret, &link).unwrap();
        let expected = format!("/out/{name} is a hard link; each output must be a file of its own");
        assert_eq!(yard.bad().await, expected);
        fs::remove_file(&link).unwrap();
    }
    symlink(yard.dir.path(), yard.out().join("up")).unwrap();
    assert!(yard.bad().await.contains("/out/up is a symbolic link"));
}

#[tokio::test]
async fn an_out_that_is_a_link_is_not_followed_either() {
    let yard = Yard::new();
    fs::remove_dir(yard.out()).unwrap();
    symlink(yard.dir.path(), yard.out()).unwrap();
    assert!(matches!(yard.collect().await, Err(CollectError::Io(_))));
}

#[tokio::test]
async fn fifos_sockets_and_devices_are_refused_without_being_opened() {
    let yard = Yard::new();
    let path = yard.out().join("x");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(yard.bad().await, "/out/x is a FIFO; only regular files are taken");
    fs::remove_file(&path).unwrap();
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(yard.bad().await, "/out/x is a socket; only regular files are taken");
    fs::remove_file(&path).unwrap();
    // Only root may make one, and not everywhere; where it can be made, it must be refused.
    if mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 3)).is_ok()
    {
        assert_eq!(yard.bad().await, "/out/x is a device; only regular files are taken");
    }
}

#[tokio::test]
async fn names_that_no_reader_could_trust_are_refused() {
    for (name, wrong) in [
        (&b"a\xff"[..], "/out/a\\xff has a name that is not UTF-8"),
        (b"a\nb", "/out/a\\nb has a control character in its name"),
        (b"\x1b[31m", "/out/\\x1b[31m has a control character in its name"),
        ("a\u{85}".as_bytes(), "/out/a\\xc2\\x85 has a control character in its name"),
    ] {
        let yard = Yard::new();
        fs::write(yard.out().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        assert_eq!(yard.bad().await, wrong);
    }
}

#[tokio::test]
async fn depth_and_length_of_a_path_are_bounded() {
    let yard = Yard::new();
    yard.write(&format!("{}f", "d/".repeat(31)), "");
    assert_eq!(yard.names().await.len(), 1, "32 names are not too deep");
    yard.write(&format!("{}f", "d/".repeat(32)), "");
    assert!(yard.bad().await.ends_with("is more than 32 deep"));

    let yard = Yard::new();
    yard.write(&format!("{}f", format!("{}/", "n".repeat(250)).repeat(5)), "");
    let message = yard.bad().await;
    assert!(message.ends_with("has a path of more than 1024 bytes"), "{message}");
    assert!(message.len() < 300, "it names the file and does not repeat all of it");
}

#[tokio::test]
async fn a_tree_deeper_than_any_path_is_refused_and_not_walked() {
    let yard = Yard::new();
    deep_tree(&yard.out(), 1000);
    assert!(yard.bad().await.ends_with("is more than 32 deep"));
}

#[tokio::test]
async fn too_many_files_or_directories_are_an_output_limit() {
    let mut yard = Yard::new();
    yard.processor.max_outputs = 3;
    for name in ["a", "d/b", "d/c"] {
        yard.write(name, "");
    }
    assert_eq!(yard.names().await.len(), 3);
    yard.write("d/d", "");
    assert!(yard.limit().await.contains("more than 3 files (max_outputs)"));
    fs::remove_dir_all(yard.out().join("d")).unwrap();
    for n in 0..1004 {
        fs::create_dir(yard.out().join(format!("d{n}"))).unwrap();
    }
    assert!(yard.limit().await.contains("or 1003 directories"));
}

#[tokio::test]
async fn too_many_bytes_are_an_output_limit_and_holes_count() {
    let mut yard = Yard::new();
    yard.processor.max_output_size = 10;
    yard.write("a", "12345");
    yard.write("b/b", "12345");
    assert_eq!(yard.names().await.len(), 2);
    yard.write("c", "1");
    assert_eq!(yard.limit().await, "its outputs are more than 10 bytes (max_output_size)");
    yard.write("c", "");
    fs::OpenOptions::new()
        .write(true)
        .open(yard.out().join("c"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert_eq!(yard.limit().await, "its outputs are more than 10 bytes (max_output_size)");
}

#[tokio::test]
async fn rights_that_the_container_took_away_do_not_matter() {
    let yard = Yard::new();
    yard.write("d/a", "12");
    for (name, mode) in [("d/a", 0o000), ("d", 0o000), ("", 0o500)] {
        fs::set_permissions(yard.out().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(yard.names().await, [file("d/a", 2)]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_our_fault() {
    let yard = Yard::new();
    fs::remove_dir(yard.out()).unwrap();
    assert!(matches!(yard.collect().await, Err(CollectError::Io(_))));
}

/// Deeper than any path may be long.
pub(in crate::contract) fn deep_tree(out: &Path, depth: usize) {
    let mut dir = descend::ours(out).unwrap();
    for _ in 0..depth {
        mkdirat(&dir, "deep", Mode::RWXU).unwrap();
        dir = descend::directory(&dir, "deep").unwrap();
    }
}
