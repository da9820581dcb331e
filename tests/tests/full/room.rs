//! A hundred uploads at once on local files: none of them is in memory.

use std::sync::Arc;

use fileyard_tests::{
    LONG,
    raw::Raw,
    until,
    yard::{Store, Yard},
};
use tokio::sync::Barrier;

const UPLOADS: usize = 100;
const SIZE: usize = 4 << 20;
/// All of them have sent so much before any sends more.
const STEP: usize = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_uploads_at_once_take_little_memory() {
    let yard = Yard::new().on(Store::Local).processors();
    let server = yard.start().await;
    let before = server.process().memory();
    server.process().forget_peak();
    let step = Arc::new(Barrier::new(UPLOADS));
    let uploads: Vec<_> = (0..UPLOADS)
        .map(|n| {
            let (step, host) = (Arc::clone(&step), server.host().to_owned());
            tokio::spawn(async move {
                let block = vec![b'a' + u8::try_from(n % 26).unwrap(); STEP];
                let mut raw = Raw::connect(&host).await;
                raw.put(&host, &format!("/upload/drill/{n}.bin"), SIZE).await;
                for _ in 0..SIZE / STEP {
                    step.wait().await;
                    assert!(raw.send(&block).await, "upload {n} was cut");
                }
                String::from_utf8_lossy(&raw.read_to_end().await).into_owned()
            })
        })
        .collect();
    for upload in uploads {
        let answer = upload.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    let peak = server.process().peak_memory();
    println!(
        "{UPLOADS} uploads of {} MiB at once: {} MiB before, {} MiB at most",
        SIZE >> 20,
        before >> 20,
        peak >> 20
    );
    // 64 MiB are promised of a release build, which `script/bench` measures; here it may be debug.
    assert!(peak < 128 << 20, "{peak} bytes for {UPLOADS} times {SIZE}");
    let jobs = until("all are jobs", LONG, async || {
        let jobs = server.jobs().await;
        (jobs.len() == UPLOADS).then_some(jobs)
    })
    .await;
    assert!(jobs.iter().all(|job| job["input"]["size"] == SIZE), "{:#}", jobs[0]);
    server.stop().await;
}
