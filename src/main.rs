//! `fileyard`: a file in over HTTP, one durable job, a container, its result at /status.

mod app;
mod client;
mod command;
mod config;
mod failure;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A self-hosted file-processing service: a file goes in, a container works on it, its result
/// comes out.
#[derive(Debug, Parser)]
#[command(version, after_help = failure::EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked of it.
#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service
    Serve(command::serve::Args),
    /// Looks at config, store and engine: what would be done, and what is missing
    Check(command::check::Args),
    /// Sends files, each of which becomes a job
    Submit(command::submit::Args),
    /// Shows a job
    Status(command::status::Args),
    /// Shows what a job's program wrote
    Logs(command::logs::Args),
    /// Lists jobs, newest first
    Jobs(command::jobs::Args),
    /// Ends a job that has not ended
    Cancel(command::cancel::Args),
    /// Does an ended job again, as a new job on the same file
    Retry(command::retry::Args),
    /// Fetches, makes, lists and removes the embedded engine's images
    Image(command::image::Args),
    /// Runs one container for a server
    #[command(hide = true)]
    Container(command::container::Args),
    /// Opens one thing for a server that is not root
    #[command(hide = true)]
    Errand(command::errand::Args),
}

fn main() -> ExitCode {
    let (json, result) = match Cli::parse().command {
        Command::Serve(args) => (false, command::serve::run(&args)),
        Command::Container(args) => (false, command::container::run(&args)),
        Command::Errand(args) => (false, command::errand::run(&args)),
        Command::Check(args) => (args.json, command::block_on(command::check::run(&args))),
        Command::Submit(args) => (args.to.json, command::block_on(command::submit::run(&args))),
        Command::Status(args) => (args.to.json, command::block_on(command::status::run(&args))),
        Command::Logs(args) => (args.to.json, command::block_on(command::logs::run(&args))),
        Command::Jobs(args) => (args.to.json, command::block_on(command::jobs::run(&args))),
        Command::Cancel(args) => (args.to.json, command::block_on(command::cancel::run(&args))),
        Command::Retry(args) => (args.to.json, command::block_on(command::retry::run(&args))),
        Command::Image(args) => (args.json(), command::image::run(&args)),
    };
    failure::report(result, json)
}
