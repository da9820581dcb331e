//! The harness of the end-to-end stories: it drives the real binary as a user would, and looks at
//! what it leaves behind.
//!
//! It uses nothing of fileyard's own crates, so that a story can not share a mistake with what it
//! tests. Everything waits for the condition it needs, with a deadline, and never for a time.
//! Failures panic: this is a library of tests.
#![allow(clippy::unwrap_used, reason = "a harness fails by panicking")]

pub mod answer;
pub mod binary;
pub mod browser;
pub mod client;
pub mod compose;
pub mod crash;
pub mod docker;
pub mod elsewhere;
pub mod firewall;
pub mod leftovers;
pub mod minio;
pub mod oci;
pub mod raw;
pub mod relay;
pub mod rows;
pub mod server;
pub mod shell;
pub mod yard;

use std::time::{Duration, Instant};

/// How long anything may take that has no deadline of its own, on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Looks again and again until `probe` finds something, and returns that.
///
/// # Panics
/// When it has not after `within`.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let from = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(from.elapsed() < within, "{within:?} were not enough until {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A variable that `script/test` sets.
///
/// # Panics
/// When it is not set: what is missing is a failure, never a skipped test.
#[must_use]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; script/test sets it"))
}

/// Whether everything is to be tried ten times instead of once.
#[must_use]
pub fn thorough() -> bool {
    std::env::var("FILEYARD_TEST_FULL").is_ok_and(|value| value == "1")
}
