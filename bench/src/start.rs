//! A server from its start until it says that it is ready; and what it holds when nobody asks it for anything.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wire::Wire;

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);
/// After which a server is idle.
const REST: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it is called in the table
    #[arg(long)]
    name: String,
    /// Where it listens: address and port
    #[arg(long)]
    at: String,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The server
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// One line of a table: what is called so, half ready after, from-to, all of its memory, and its own of that.
pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let mut times = Vec::new();
    let mut held = Ok((0.0, 0.0));
    for round in 1..=args.rounds {
        let from = Instant::now();
        let mut server = Command::new(&args.command[0])
            .args(&args.command[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| args.command[0].clone())?;
        let ready = ready(&mut server, &args.at);
        times.push(from.elapsed().as_secs_f64() * 1e3);
        if round == args.rounds && ready.is_ok() {
            thread::sleep(REST);
            held = memory(server.id());
        }
        end(server)?;
        ready?;
    }
    times.sort_by(f64::total_cmp);
    let (least, half, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    let (all, own) = held?;
    Ok(format!("| {} | {half:.0} | {least:.0}-{most:.0} | {all:.1} | {own:.1} |", args.name))
}

fn ready(server: &mut Child, at: &str) -> anyhow::Result<()> {
    let from = Instant::now();
    let question = format!("GET /readyz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    while let Err(error) = Wire::open(at).and_then(|mut wire| wire.ask(question.as_bytes(), [])) {
        if let Some(status) = server.try_wait()? {
            bail!("it ended: {status}");
        }
        if from.elapsed() > PATIENCE {
            return Err(error.context("it is not ready"));
        }
        thread::sleep(EVERY);
    }
    Ok(())
}

/// In MiB: all that a process has in memory, its program among it; and what is its own of that.
fn memory(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok((of("VmRSS")?, of("RssAnon")?))
}

fn end(mut server: Child) -> anyhow::Result<()> {
    let pid = Pid::from_raw(server.id().cast_signed()).context("no such process")?;
    if server.try_wait()?.is_none() {
        kill_process(pid, Signal::TERM)?;
    }
    server.wait()?;
    Ok(())
}
