//! What rows cost: commits beside a bare fdatasync; reads, claims and lists in databases with a short and
//! with a long history; and taking the oldest out of these.
//!
//! `script/bench rows` says where, and prints the machine. All take turns, so that what else a machine does
//! meets all alike. It never fails on speed.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that can not go on has failed")]

mod commits;
mod history;
mod life;
mod prune;
mod scale;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use self::history::History;

const FEW: usize = 900;

#[tokio::main]
async fn main() {
    let dir = PathBuf::from(said("FILEYARD_BENCH_DIR"));
    let rounds = said("FILEYARD_BENCH_ROUNDS").parse().expect("a number");
    println!("{}", commits::table(&dir, rounds).await);
    let mut histories = Vec::new();
    for jobs in said("FILEYARD_BENCH_JOBS").split(',') {
        let from = Instant::now();
        let history = History::make(&dir.join(jobs), jobs.parse().expect("a number")).await;
        eprintln!("{jobs} jobs are there after {:.0} s", from.elapsed().as_secs_f64());
        // For who asks a whole server: a few that are asked for again and again, and many.
        for (file, asked) in [("few", FEW), ("many", history.some.len())] {
            let some = history.some.iter().take(asked);
            let paths: String = some.map(|id| format!("/status/{id}\n")).collect();
            std::fs::write(dir.join(format!("{jobs}.{file}")), paths).unwrap();
        }
        histories.push(history);
    }
    println!("{}", scale::table(&histories, rounds).await);
    println!("{}", prune::table(&histories).await);
}

fn said(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("script/bench rows says {name}"))
}

/// How long something takes.
async fn timed<T>(what: impl Future<Output = T>) -> (Duration, T) {
    let from = Instant::now();
    let done = what.await;
    (from.elapsed(), done)
}

/// Of none it is nothing.
fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
