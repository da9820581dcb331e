//! Small files through whole servers: from the upload's first byte until its client knows that the job has succeeded.
//!
//! Alone, with a pause before each, all servers in turn; then several in flight at each. A client waits as any would that
//! knows how: by a long poll.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::{run::at_once, wire::Wire};

/// Before each that is alone: what a server puts off is done by then.
const PAUSE: Duration = Duration::from_millis(150);
const IN_FLIGHT: [u64; 4] = [1, 2, 4, 8];
/// A job's life, as its events tell it.
const STEPS: [&str; 5] = ["created", "claimed", "started", "exited", "succeeded"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As in NAME=ADDRESS:PORT; its default processor is what runs
    #[arg(long = "server", required = true, value_parser = server)]
    servers: Vec<Server>,
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// How often each is alone
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many jobs at each number in flight
    #[arg(long, default_value_t = 200)]
    jobs: u64,
    /// How many times fewer of those, in the order of the servers; 1 where none is said
    #[arg(long)]
    fewer: Vec<u64>,
    /// Also what each step of a job that is alone takes
    #[arg(long)]
    trace: bool,
}

#[derive(Clone)]
struct Server {
    name: String,
    at: String,
}

fn server(said: &str) -> Result<Server, String> {
    let (name, at) = said.rsplit_once('=').ok_or("as in NAME=ADDRESS:PORT")?;
    Ok(Server { name: name.into(), at: at.into() })
}

/// What one job took.
struct Job {
    /// Until the upload was answered.
    answered: Duration,
    /// Until its client knew that it had succeeded.
    known: Duration,
    /// Between its events, in milliseconds, which is as exact as they are.
    steps: Vec<f64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let mut alone: Vec<Vec<Job>> = args.servers.iter().map(|_| Vec::new()).collect();
    for server in &args.servers {
        job(&mut Wire::open(&server.at)?, args.size).with_context(|| server.name.clone())?;
    }
    for _ in 0..args.rounds {
        for (server, jobs) in args.servers.iter().zip(&mut alone) {
            thread::sleep(PAUSE);
            jobs.push(job(&mut Wire::open(&server.at)?, args.size)?);
        }
    }
    let fewer = args.fewer.iter().copied().chain(std::iter::repeat(1));
    let mut rates = Vec::new();
    for (server, fewer) in args.servers.iter().zip(fewer) {
        let count = (args.jobs / fewer).max(1);
        let each = IN_FLIGHT.map(|in_flight| rate(server, args.size, count, in_flight));
        rates.push(each.into_iter().collect::<anyhow::Result<Vec<_>>>()?);
    }
    table(args, &alone, &rates)
}

/// Jobs a second, so many in flight.
fn rate(server: &Server, size: usize, count: u64, in_flight: u64) -> anyhow::Result<f64> {
    let from = Instant::now();
    at_once(
        count,
        in_flight,
        || Wire::open(&server.at),
        |wire, _| job(wire, size).map(drop).with_context(|| server.name.clone()),
    )?;
    Ok(count as f64 / from.elapsed().as_secs_f64())
}

/// One file, until its job has succeeded.
fn job(wire: &mut Wire<'_>, size: usize) -> anyhow::Result<Job> {
    let from = Instant::now();
    let job = ask(wire, "PUT", "/upload/a.bin", &vec![b'x'; size])?;
    let answered = from.elapsed();
    let id = job["job_id"].as_str().context("an answer without a job_id")?;
    let path = format!("/status/{id}?wait=60");
    let job = loop {
        let job = ask(wire, "GET", &path, b"")?;
        match job["state"].as_str() {
            Some("succeeded") => break job,
            Some("queued" | "running") => {}
            _ => anyhow::bail!("{job}"),
        }
    };
    Ok(Job { answered, known: from.elapsed(), steps: steps(&job)? })
}

fn ask(wire: &mut Wire<'_>, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Value> {
    let (to, length) = (wire.to, body.len());
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {length}\r\n\r\n");
    let said = wire.ask(&[head.as_bytes(), body].concat(), [])?;
    Ok(serde_json::from_str(&said)?)
}

fn steps(job: &Value) -> anyhow::Result<Vec<f64>> {
    let mut at = Vec::new();
    let events = job["events"].as_array().context("a job without events")?;
    for (event, step) in events.iter().zip(STEPS) {
        ensure!(event["event"] == step, "{step} was expected, and there is {event}");
        let when: Timestamp = event["at"].as_str().context("an event without a time")?.parse()?;
        at.push(when.as_millisecond());
    }
    ensure!(at.len() == STEPS.len(), "it has not all of its events: {job}");
    Ok(at.windows(2).map(|two| (two[1] - two[0]) as f64).collect())
}

fn table(args: &Args, alone: &[Vec<Job>], rates: &[Vec<f64>]) -> anyhow::Result<String> {
    let mut text = String::from("| who | known after, ms: half | 9 of 10 |");
    IN_FLIGHT.iter().try_for_each(|n| write!(text, " {n} in flight, jobs/s |"))?;
    text = format!("{text}\n|{}\n", " --- |".repeat(3 + IN_FLIGHT.len()));
    for ((server, jobs), rates) in args.servers.iter().zip(alone).zip(rates) {
        let mut known: Vec<_> = jobs.iter().map(|job| ms(job.known)).collect();
        known.sort_by(f64::total_cmp);
        let (half, most) = (known[known.len() / 2], known[(known.len() * 9).div_ceil(10) - 1]);
        write!(text, "| {} | {half:.1} | {most:.1} |", server.name)?;
        rates.iter().try_for_each(|rate| write!(text, " {rate:.1} |"))?;
        text.push('\n');
    }
    if args.trace {
        text += "\n| who, mean of each step in ms | upload answered | claimed | started | exited | committed |\n\
                 | --- | --- | --- | --- | --- | --- |\n";
        for (server, jobs) in args.servers.iter().zip(alone) {
            write!(text, "| {} | {:.1} |", server.name, mean(jobs, |job| ms(job.answered)))?;
            for step in 0..STEPS.len() - 1 {
                write!(text, " {:.1} |", mean(jobs, |job| job.steps[step]))?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

fn mean(jobs: &[Job], of: impl Fn(&Job) -> f64) -> f64 {
    jobs.iter().map(of).sum::<f64>() / jobs.len() as f64
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_s_steps_are_between_its_events_and_none_is_missing() {
        let event = |event: &str, at: &str| json!({"event": event, "at": at});
        let mut job = json!({"events": [
            event("created", "2026-01-01T00:00:00.000Z"), event("claimed", "2026-01-01T00:00:00.002Z"),
            event("started", "2026-01-01T00:00:00.030Z"), event("exited", "2026-01-01T00:00:00.031Z"),
            event("succeeded", "2026-01-01T00:00:00.040Z"),
        ]});
        assert_eq!(steps(&job).unwrap(), [2.0, 28.0, 1.0, 9.0]);
        job["events"].as_array_mut().unwrap().remove(2);
        assert!(steps(&job).is_err());
    }
}
