//! What one run was: how long, how much, and what it cost who ran it.

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Printed as one line with tabs: seconds, requests, bytes, seconds of this process's CPU.
pub(crate) struct Run {
    pub(crate) took: Duration,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) cpu: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        write!(f, "{took:.6}\t{}\t{}\t{:.2}", self.requests, self.bytes, self.cpu)
    }
}

/// The time and the CPU from here on.
pub(crate) struct Stopwatch(Instant, f64);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now(), own_cpu())
    }

    pub(crate) fn stop(&self, requests: u64, bytes: u64) -> Run {
        Run { took: self.0.elapsed(), requests, bytes, cpu: own_cpu() - self.1 }
    }
}

fn own_cpu() -> f64 {
    cpu(Path::new("/proc/self/stat"))
}

/// Seconds of CPU that a process has used, all its threads together, by its `stat` in /proc.
pub(crate) fn cpu(stat: &Path) -> f64 {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    // After the name, which may have anything in it: utime and stime are the 12th and the 13th, in
    // ticks, of which Linux shows a hundred a second everywhere.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Does `count` things, `parallel` at once, each thread with what `open` makes; the first error
/// ends it.
pub(crate) fn at_once<T>(
    count: u64,
    parallel: u64,
    open: impl Fn() -> anyhow::Result<T> + Sync,
    each: impl Fn(&mut T, u64) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tool = open()?;
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return Ok(());
            }
            each(&mut tool, n).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel.clamp(1, count)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}
