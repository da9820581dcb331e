//! Thousands of jobs on the embedded engine, one and eight at a time: nothing of any stays, and the
//! server is as large after them as it was before. `FILEYARD_TEST_FULL=1` makes 5,000 of each,
//! `FILEYARD_TEST_JOBS=100000` as many as it says.

use std::{fs, time::Duration};

use fileyard_tests::{
    server::Server,
    thorough,
    yard::{Store, Yard},
};

/// Jobs that are sent before any is waited for.
const WAVE: usize = 50;
/// After how many waves of a long run it is said how it is.
const TOLD_EVERY: usize = 50;
/// What an allocator may keep of what it had, and a cache of pages of the database.
const SLACK: u64 = 24 << 20;

/// What the server has at rest.
#[derive(Debug)]
struct Held {
    memory: u64,
    files: usize,
    threads: usize,
}

impl Held {
    fn by(server: &Server) -> Self {
        let of = |what| fs::read_dir(format!("/proc/{}/{what}", server.process().pid())).unwrap();
        let memory = server.process().memory();
        Self { memory, files: of("fd").count(), threads: of("task").count() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_jobs_one_at_a_time_leave_nothing() {
    jobs_leave_nothing(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_jobs_eight_at_a_time_leave_nothing() {
    jobs_leave_nothing(8).await;
}

async fn jobs_leave_nothing(at_once: u32) {
    let usual = if thorough() { 100 } else { 4 };
    let said = std::env::var("FILEYARD_TEST_JOBS").ok();
    let waves = said.map_or(usual, |jobs| jobs.parse::<usize>().unwrap().div_ceil(WAVE));
    let yard = Yard::with_oci(Store::Local).env("FILEYARD_CONCURRENCY", &at_once.to_string());
    let server = yard.start().await;
    wave(&server).await;
    yard.nothing_left().await;
    let before = Held::by(&server);
    for n in 1..=waves {
        wave(&server).await;
        if n % TOLD_EVERY == 0 {
            println!("{at_once} at once, {} jobs: {:?}", n * WAVE, Held::by(&server));
        }
    }
    yard.nothing_left().await;
    let after = Held::by(&server);
    println!("{at_once} at once, {WAVE} jobs: {before:?}; {} more: {after:?}", waves * WAVE);
    assert!(after.memory < before.memory + SLACK, "{before:?} {after:?}");
    // Connections of this very client, and threads that wait for work, come and go.
    assert!(after.files <= before.files + 8, "{before:?} {after:?}");
    assert!(after.threads <= before.threads + 32, "{before:?} {after:?}");
}

async fn wave(server: &Server) {
    let mut jobs = Vec::new();
    for n in 0..WAVE {
        jobs.push(server.accepted(&format!("drill/{n}.txt"), "write a.txt x").await);
    }
    for job in jobs {
        let ended = server.ended(&job, Duration::from_secs(120)).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
    }
}
