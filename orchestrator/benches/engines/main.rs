//! What a container costs: from the wish to its exit, with nothing left of it, by each engine; beside a
//! bare process of the same program, and runc with the same isolation and limits.
//!
//! `script/bench engines` sets what it needs and prints the machine. All take turns, so that what else a
//! machine does meets all alike. It never fails on speed.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that can not go on has failed")]

mod api;
mod contender;
mod runc;

use std::time::{Duration, Instant};

use futures::StreamExt;

use self::contender::Contender;

/// Before each of those that are alone: what the kernel puts off is done by then.
const PAUSE: Duration = Duration::from_millis(150);
/// How many at once, of those that are not.
const AT_ONCE: [usize; 4] = [1, 2, 4, 8];

#[tokio::main]
async fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let (rounds, launches) =
        (number("FILEYARD_BENCH_ROUNDS", 20), number("FILEYARD_BENCH_LAUNCHES", 60));
    let contenders = contender::all();
    for contender in &contenders {
        // Files in memory, a runtime's first steps.
        contender.once().await;
    }
    let mut alone = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut alone) {
            tokio::time::sleep(PAUSE).await;
            times.push(contender.once().await);
        }
    }
    println!(
        "| who | alone, ms | from-to | of runc's |{}",
        columns(|n| format!(" {n} at once, /s |"))
    );
    println!("| --- | --- | --- | --- |{}", columns(|_| " --- |".into()));
    let runc = contenders.iter().position(|it| it.name() == "runc").expect("it is among them");
    let of_runc = median(&alone[runc]);
    for (contender, times) in contenders.iter().zip(&alone) {
        let mut rates = String::new();
        for at_once in AT_ONCE {
            let rate = rate(contender, at_once, launches.div_ceil(contender.slowness())).await;
            rates += &format!(" {rate:.1} |");
        }
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        println!(
            "| {} | {:.1} | {:.1}-{:.1} | {:.2} |{rates}",
            contender.name(),
            ms(median(times)),
            ms(*least),
            ms(*most),
            median(times).as_secs_f64() / of_runc.as_secs_f64(),
        );
    }
}

fn columns(column: impl Fn(usize) -> String) -> String {
    AT_ONCE.into_iter().map(column).collect()
}

/// So many launches, `at_once` of them under way; how many a second.
async fn rate(contender: &Contender, at_once: usize, launches: usize) -> f64 {
    let from = Instant::now();
    let all = futures::stream::iter(0..launches).map(|_| contender.once());
    all.buffer_unordered(at_once).for_each(|_| async {}).await;
    launches as f64 / from.elapsed().as_secs_f64()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
