//! `/out` as a file system of its own: what a container writes has an end, also between two looks at it.
//! Needs to be root, loop devices and e2fsprogs.

use fileyard_tests::{
    LONG,
    leftovers::disks_below,
    server::Server,
    shell::{checked, through},
    until,
    yard::{Store, Yard},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::disk::Disk;

/// 16 MiB of outputs, at most ten.
const SMALL: &str = "image = \"fileyard/drill:latest\"\npull = \"never\"\ngrace = \"1s\"\n\
                     max_output_size = \"16MiB\"\nmax_outputs = 10";
/// Each within the limit of one file, and together far more than they may be.
const TOO_MUCH: [&str; 8] = [
    "fill a 15MiB",
    "fill b 15MiB",
    "fill c 15MiB",
    "fill d 15MiB",
    "fill e 15MiB",
    "fill f 15MiB",
    "fill g 15MiB",
    "fill h 15MiB",
];

fn yard(quota: &str) -> Yard {
    Yard::with_engine(Store::Local)
        .processor("small", SMALL)
        .env("FILEYARD_ENGINE__OUT_QUOTA", quota)
}

/// The code for which such a job fails, and its words.
async fn fails(server: &Server, list: &str) -> (String, String) {
    let job = server.accepted("small/a.txt", list.to_owned()).await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    let words = |name: &str| ended["reason"][name].as_str().unwrap().to_owned();
    (words("code"), words("message"))
}

/// Between two looks at `/out`, of which the first comes with the start. One may come too early all the
/// same, where the machine is busy.
async fn fills_the_disk(server: &Server, list: &str) -> String {
    for _ in 0..20 {
        let (code, message) = fails(server, &format!("sleep 300ms\n{list}")).await;
        match code.as_str() {
            "disk_full" => return message,
            "output_limit" => {}
            _ => panic!("{code}: {message}"),
        }
    }
    panic!("of twenty not one was quicker than the look at it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_and_names_have_an_end_for_one_alone() {
    let yard = yard("ext4");
    let server = yard.start().await;
    let beside = server.accepted("drill/b.txt", "fill a 4MiB\nsleep 5s\nfill b 4MiB").await;
    server.job_until(&beside, "it runs", |job| job["phase"] == "running").await;

    let said = fills_the_disk(&server, &TOO_MUCH.join("\n")).await;
    assert!(said.contains("max_output_size"), "{said}");
    let said = fills_the_disk(&server, "files 100000").await;
    assert!(said.contains("max_outputs"), "{said}");
    // Of holes there may be as many as there is room in names: they are found in the end.
    let (code, _) = fails(&server, "sparse a 15MiB\nsparse b 15MiB").await;
    assert_eq!(code, "output_limit");

    assert_eq!(server.ended(&beside, LONG).await["outputs"][1]["size"], 4 << 20);
    // Who stays within is not told of any of it.
    let job =
        server.accepted("small/a.txt", "fill a 8MiB\nfill b 8MiB\nmkdir c\nwrite c/d x").await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["reason"]["code"], "output_limit", "one byte too many: {ended:#}");
    let job =
        server.accepted("small/a.txt", "fill a 8MiB\nfill b 7MiB\nmkdir c\nwrite c/d x").await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    yard.nothing_left().await;
}

/// The control: the same without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_it_they_have_none_until_they_are_looked_at() {
    let yard = yard("none");
    let server = yard.start().await;
    for _ in 0..3 {
        assert_eq!(fails(&server, &TOO_MUCH.join("\n")).await.0, "output_limit");
        assert_eq!(fails(&server, "files 20000").await.0, "output_limit");
    }
    yard.nothing_left().await;
}

/// What a job has written when its server is killed, and what it writes then, are both found by the next one.
async fn outlives_its_server(yard: &Yard, start: impl AsyncFn() -> Server) {
    let server = start().await;
    let job =
        server.accepted("drill/a.txt", "write before.txt x\nsleep 3s\nwrite after.txt y").await;
    server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
    server.kill().await;
    let server = start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()));
    assert_eq!(ended["outputs"].as_array().unwrap().len(), 2, "{ended:#}");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_it_outlives_the_server() {
    let yard = yard("ext4");
    outlives_its_server(&yard, async || yard.start().await).await;
}

/// As a unit of systemd's may be: each start has mounts of its own, and what was mounted by the one before is
/// seen only in the container. (Docker has other mounts then, and no quota.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_mounts_of_its_own_finds_what_an_earlier_one_mounted() {
    const APART: [&str; 2] = ["unshare", "--mount"];
    let yard = yard("auto");
    let start = async || Server::ready(yard.spawn_as(through(&APART, &yard.serve()))).await;
    outlives_its_server(&yard, start).await;
}

/// A helper's mounts begin as a copy of the host's, others' among them. They go with the directory that they are
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_runs_on_keeps_nobody_else_s() {
    let yard = yard("ext4");
    let server = yard.start().await;
    let first = server.accepted("drill/a.txt", "say begun\nwait").await;
    server.job_until(&first, "it runs", |job| job["phase"] == "running").await;
    let second = server.accepted("drill/b.txt", "say begun\nwait").await;
    server.job_until(&second, "it runs", |job| job["phase"] == "running").await;
    assert_eq!(disks_below(&yard.data()).len(), 2);

    server.cancel(&first).await;
    until("one disk is left, and it is the other's", LONG, async || {
        let disks = disks_below(&yard.data());
        (disks.len() == 1 && disks[0].contains(&second)).then_some(())
    })
    .await;
    assert_eq!(server.job(&second).await["phase"], "running");
    server.cancel(&second).await;
    yard.nothing_left().await;
}

/// Its program is told that all is written, and can not know better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_did_not_take_is_not_given_out() {
    const MEBIBYTES: usize = 60;
    let yard = yard("ext4").top("min_free = \"1MiB\"");
    let disk = Disk::mount(&yard.data(), "512m");
    let server = yard.start().await;
    let filler = disk.leave(30 << 20);
    let job = server.accepted("drill/a.txt", format!("fill a {MEBIBYTES}MiB")).await;
    until("it is found out", LONG, async || {
        server.process().said().contains("some of what it wrote was lost").then_some(())
    })
    .await;
    std::fs::remove_file(&filler).unwrap();

    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &2.into()), "{ended:#}");
    let whole = Sha256::digest(b"fileyard drill. ".repeat(MEBIBYTES << 16));
    let whole: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ended["outputs"][0]["sha256"], whole);
    yard.nothing_left().await;
    server.stop().await;
    drop(disk);
}

/// What `check` says of the engine where `mkfs.ext4` can not be run.
fn found(yard: &Yard) -> Value {
    let mask =
        "mount --bind /dev/null \"$(readlink -f \"$(command -v mkfs.ext4)\")\" && exec \"$@\"";
    checked(through(&["unshare", "--mount", "sh", "-c", mask, "sh"], &yard.check()), "engine")
}

/// On Docker it is the daemon's mounts that are others then.
#[test]
fn where_it_can_not_be_had_check_says_why() {
    let engine = found(&yard("auto"));
    let warning = engine["warnings"][0].as_str().unwrap();
    assert_eq!(engine["ok"], true, "{engine:#}");
    assert!(warning.starts_with("/out has no quota"), "{warning}");

    let engine = found(&yard("ext4"));
    let said = engine["message"].as_str().unwrap();
    assert_eq!(engine["ok"], false, "{engine:#}");
    assert!(said.contains("engine.out_quota"), "{said}");
}
