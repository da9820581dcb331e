//! `kill -9` at every step of a job's way: nothing acknowledged is lost, nothing runs twice, and
//! nothing is left. Once each, or ten times each with `FILEYARD_TEST_FULL=1`.

use fileyard_tests::{
    crash::{JOB, Step, UPLOAD, crash},
    thorough,
    yard::On,
};
use futures::{StreamExt, stream};

/// So many servers die at the same time.
const AT_ONCE: usize = 3;

async fn all(steps: &[Step], on: On) {
    let times = if thorough() { 10 } else { 1 };
    let crashes = steps.iter().flat_map(|step| std::iter::repeat_n(*step, times));
    let outcomes: Vec<_> = stream::iter(crashes)
        .map(|step| async move { (step, crash(step, on, None).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut failures = Vec::new();
    for (step, outcome) in outcomes {
        match outcome {
            Ok(took) => {
                println!("{step:?} on {on:?}: all was well again {took:.1?} after the start");
            }
            Err(wrong) => failures.push(format!("{step:?} on {on:?}:\n  {}", wrong.join("\n  "))),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_upload_on_local_files() {
    all(&UPLOAD, On::Local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_upload_on_minio() {
    all(&[&UPLOAD[..], &[Step::Parts]].concat(), On::MinIo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_on_local_files() {
    all(&JOB, On::Local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_on_minio() {
    let storing = ["committed", "mid-collect", "before-commit", "before-remove"];
    all(&storing.map(Step::Failpoint), On::MinIo).await;
}

/// The control: with the rule switched off that a running container is adopted, the same check
/// finds that the promise was broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_adopts_nothing_is_found_out() {
    let wrong = crash(Step::Running, On::Local, Some("adopt")).await.unwrap_err();
    println!("found: {wrong:#?}");
}

/// The same for what a dead server's upload left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_abandons_nothing_is_found_out() {
    let wrong = crash(Step::Failpoint("mid-body:3"), On::Local, Some("abandon")).await.unwrap_err();
    println!("found: {wrong:#?}");
    let wrong = crash(Step::Parts, On::MinIo, Some("abandon")).await.unwrap_err();
    assert!(wrong.iter().any(|what| what.contains("a part is left")), "{wrong:#?}");
}
