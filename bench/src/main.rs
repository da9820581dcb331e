//! What `script/bench uploads` measures with: a sender, a plain receiver, one core's SHA-256, a
//! direct PUT to S3, the check of what was stored, and the table of it all; `script/bench job`: who submits jobs, and who starts servers; and
//! `script/bench rows`: who asks for them, and a server that has none.
//!
//! It shares no code with fileyard, so that a fault there is not measured as a virtue here.

mod ask;
mod check;
mod data;
mod hello;
mod http;
mod job;
mod put;
mod recv;
mod run;
mod send;
mod sha;
mod start;
mod table;
mod wire;

use std::io::Write as _;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "fileyard-bench", about = "What script/bench measures fileyard with")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends files over HTTP and says how long it took
    Send(send::Args),
    /// Receives files over HTTP into a directory, or drops them
    Recv(recv::Args),
    /// Hashes on one core and says how long it took
    Sha(sha::Args),
    /// Puts files into an S3 bucket and says how long it took
    Put(put::Args),
    /// Looks whether what was stored is what was sent
    Check(check::Args),
    /// Sends jobs to servers and says when it knew that they had succeeded
    Job(job::Args),
    /// Asks servers for what they have and says how many answers they give a second
    Ask(ask::Args),
    /// Answers every question in the same two words
    Hello(hello::Args),
    /// Starts a server and says when it was ready, and what it holds
    Start(start::Args),
    /// Prints what was measured, and the ratios
    Table(table::Args),
}

fn main() -> anyhow::Result<()> {
    let said = match Cli::parse().command {
        Command::Send(args) => send::run(&args)?.to_string(),
        Command::Recv(args) => recv::run(&args)?,
        Command::Sha(args) => sha::run(&args).to_string(),
        Command::Put(args) => put::run(&args)?.to_string(),
        Command::Check(args) => check::run(&args)?,
        Command::Job(args) => job::run(&args)?,
        Command::Ask(args) => ask::run(&args)?,
        Command::Hello(args) => hello::run(&args)?,
        Command::Start(args) => start::run(&args)?,
        Command::Table(args) => table::run(&args)?,
    };
    writeln!(std::io::stdout(), "{said}")?;
    Ok(())
}
