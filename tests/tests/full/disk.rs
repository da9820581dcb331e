//! A disk that fills up: uploads are refused, nothing starts, what runs goes on; and all of it is
//! over by itself when there is room again. Needs to be root, for a small disk of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use fileyard_tests::{
    LONG, until,
    yard::{Store, Yard},
};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// A small disk, until dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "fileyard-story"]).arg(at);
        assert!(mount.status().unwrap().success(), "only root can mount a small disk");
        Self(at.to_owned())
    }

    /// Fills it until so many bytes are left; the file to remove.
    pub(crate) fn leave(&self, bytes: u64) -> PathBuf {
        let disk = statvfs(&self.0).unwrap();
        let rest = (disk.f_bavail * disk.f_frsize).checked_sub(bytes).expect("more is free");
        let filler = self.0.join("filler");
        fallocate(File::create(&filler).unwrap(), FallocateFlags::empty(), 0, rest).unwrap();
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_delays_and_is_over_by_itself() {
    let yard = Yard::with_engine(Store::Local)
        .top("min_free = \"64MiB\"")
        .processor("one", "image = \"fileyard/drill:latest\"\npull = \"never\"\nconcurrency = 1");
    let data = yard.data();
    let disk = Disk::mount(&data, "512m");
    let server = yard.start().await;
    let runs = server.accepted("one/a.txt", "say started\nsleep 8s\nwrite a.txt x").await;
    server.job_until(&runs, "it runs", |job| job["phase"] == "running").await;
    let waits = server.accepted("one/b.txt", "write b.txt x").await;

    // 40 MiB are left: less than is to be, and far from nothing.
    let filler = disk.leave(40 << 20);
    let said = server.put("one/c.txt", "say c").await.problem(507, "disk_full");
    assert!(said.contains("min_free"), "{said}");
    until("/readyz says so", LONG, async || {
        (server.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    let ended = server.ended(&runs, LONG).await;
    assert_eq!(ended["state"], "succeeded", "what runs already goes on: {ended:#}");
    server.job_until(&waits, "it waits", |job| job["waiting_for"] == "disk").await;

    std::fs::remove_file(&filler).unwrap();
    let ended = server.ended(&waits, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()));
    until("/readyz is well", LONG, async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let again = server.accepted("one/c.txt", "say c").await;
    assert_eq!(server.ended(&again, LONG).await["state"], "succeeded");
    yard.nothing_left().await;
    server.stop().await;
    drop(disk);
}

/// By then not even rows can be written for long, so somebody has to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_but_nothing_is_left_whoever_has_written_most_is_stopped() {
    let yard = Yard::with_engine(Store::Local).top("min_free = \"64MiB\"");
    let data = yard.data();
    let disk = Disk::mount(&data, "512m");
    let server = yard.start().await;
    let small = server.accepted("drill/a.txt", "fill a 4MiB\nsleep 3s\nsay full\nsleep 40s").await;
    let large = server.accepted("drill/b.txt", "fill b 24MiB\nsleep 3s\nsay full\nwait").await;
    // It says so later than what it has is looked at.
    for job in [&small, &large] {
        until("it has written", LONG, async || {
            server.log(job).await.contains("full\n").then_some(())
        })
        .await;
    }

    // 4 MiB are left of the 64: less than the eighth.
    let filler = disk.leave(4 << 20);
    let ended = server.ended(&large, LONG).await;
    assert_eq!(
        (&ended["state"], &ended["reason"]["code"]),
        (&"failed".into(), &"disk_full".into())
    );
    assert_eq!(server.job(&small).await["phase"], "running", "its room is enough for all");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(server.ended(&small, 2 * LONG).await["state"], "succeeded");
    yard.nothing_left().await;
    server.stop().await;
    drop(disk);
}
