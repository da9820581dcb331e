//! The embedded engine under fire: servers and helpers are killed at random moments while jobs run,
//! and every job still ends once, with nothing left of any.

use std::time::Duration;

use fileyard_tests::{
    oci, thorough,
    yard::{Store, Yard},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// A job that takes a moment, and shows whether it was done to its end.
const STEPS: &str = "say started\nsleep 200ms\nwrite a.txt whole\nresult {\"done\": true}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_helpers_that_are_killed_at_random_lose_nothing() {
    let seed = std::env::var("FILEYARD_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("FILEYARD_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let kills = if thorough() { 100 } else { 16 };

    let yard = Yard::with_oci(Store::Local);
    let mut server = yard.start().await;
    let mut jobs = Vec::new();
    for _ in 0..kills {
        for n in 0..3 {
            jobs.push(server.accepted(&format!("drill/{n}.txt"), STEPS).await);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        match oci::helpers(&yard.data()).choose(&mut random) {
            Some(helper) if random.random_bool(0.6) => oci::kill(helper),
            _ => {
                server.kill().await;
                server = yard.start().await;
            }
        }
    }
    for job in &jobs {
        let ended = server.ended(job, Duration::from_secs(180)).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        assert_eq!(ended["result"]["done"], true, "{ended:#}");
        assert_eq!(server.output(job, "a.txt").await, "whole");
    }
    yard.nothing_left().await;
    server.stop().await;
    let wrong = yard.violations().await;
    assert!(wrong.is_empty(), "{wrong:?}");
}
