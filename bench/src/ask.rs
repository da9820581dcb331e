//! Questions to whole servers, over a few connections that are kept: answers a second, and what each costs the server.
//!
//! Rounds go through all servers in turn. Who asks has the same machine, and takes the same of it each time.

use std::{fmt::Write as _, path::PathBuf, time::Instant};

use anyhow::{Context, ensure};

use crate::{
    run::{at_once, cpu},
    wire::Wire,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A server: its name, its process, its address and port, and a file of paths, of which it is asked for one after
    /// the other
    #[arg(long = "server", required = true, num_args = 4, value_names = ["NAME", "PID", "ADDRESS:PORT", "FILE"])]
    servers: Vec<String>,
    /// Connections
    #[arg(long, default_value_t = 16)]
    parallel: u64,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// In each round, of each server
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
}

struct Server {
    name: String,
    stat: PathBuf,
    at: String,
    paths: Vec<String>,
}

/// What one round was.
struct Round {
    rate: f64,
    /// Of the server's CPU, for each request.
    cpu: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let servers = args.servers.chunks_exact(4).map(Server::new);
    let servers = servers.collect::<anyhow::Result<Vec<_>>>()?;
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for server in &servers {
        // What a server that runs has in memory.
        round(server, args.parallel, 0, args.requests.max(server.paths.len() as u64))?;
    }
    for n in 0..args.rounds {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            // Each goes on where the last one ended.
            let first = u64::from(n) * args.requests;
            rounds.push(round(server, args.parallel, first, args.requests)?);
        }
    }
    let mut text = String::from(
        "| who | requests/s | from-to | of the first's | the server's CPU, us a request |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut first = None;
    for (server, mut rounds) in servers.iter().zip(rounds) {
        rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let Round { rate, cpu } = rounds[rounds.len() / 2];
        let (least, most) = (rounds[0].rate, rounds[rounds.len() - 1].rate);
        let of_first = rate / *first.get_or_insert(rate);
        writeln!(
            text,
            "| {} | {rate:.0} | {least:.0}-{most:.0} | {of_first:.2} | {:.1} |",
            server.name,
            cpu * 1e6,
        )?;
    }
    Ok(text)
}

impl Server {
    fn new(said: &[String]) -> anyhow::Result<Self> {
        let [name, pid, at, file] = said else { anyhow::bail!("four values a server") };
        let paths = std::fs::read_to_string(file).with_context(|| file.clone())?;
        let paths: Vec<_> = paths.lines().map(str::to_owned).collect();
        ensure!(!paths.is_empty(), "{file} is empty");
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        Ok(Self { name: name.clone(), stat, at: at.clone(), paths })
    }
}

fn round(server: &Server, parallel: u64, first: u64, requests: u64) -> anyhow::Result<Round> {
    let (before, from) = (cpu(&server.stat), Instant::now());
    at_once(
        requests,
        parallel,
        || Wire::open(&server.at),
        |wire, n| {
            let path = &server.paths[(first + n) as usize % server.paths.len()];
            let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.at);
            wire.ask(head.as_bytes(), []).map(drop).with_context(|| server.name.clone())
        },
    )?;
    let rate = requests as f64 / from.elapsed().as_secs_f64();
    Ok(Round { rate, cpu: (cpu(&server.stat) - before) / requests as f64 })
}
