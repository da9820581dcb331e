//! The subcommands, a file each, and what several of them share.

pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod container;
pub(crate) mod errand;
pub(crate) mod image;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod retry;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod submit;

mod download;
mod wait;

use std::{
    future::Future,
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use tracing_subscriber::EnvFilter;

use crate::{config::Sources, failure::Failure};

/// Which server a client command talks to, and how it answers.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct To {
    /// The server's address
    #[arg(
        long,
        env = "FILEYARD_SERVER",
        default_value = "http://127.0.0.1:8787",
        value_name = "URL"
    )]
    pub(crate) server: String,
    /// The server's API key, if it wants one
    #[arg(long, env = "FILEYARD_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// JSON on standard output, and for errors on standard error
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shared by what reads the config.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The config [default: ./fileyard.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory, over what the config says
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<String>,
}

impl ConfigArgs {
    /// What the config is read from.
    pub(crate) fn sources(&self, listen: Option<String>) -> Sources {
        Sources { file: self.config.clone(), data: self.data.clone(), listen }
    }
}

/// Runs a client's command: one thread is plenty.
pub(crate) fn block_on<F>(work: F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Service(error.into()))?;
    let result = runtime.block_on(work);
    // A read of standard input cannot be stopped, so nobody waits for one that is under way.
    runtime.shutdown_background();
    result
}

/// One line, or several, on standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    write(text.as_bytes()).and_then(|()| write(b"\n"))
}

/// Bytes on standard output, at once.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Deaf,
        _ => Failure::Usage(format!("standard output: {error}")),
    })
}

/// Logs go to standard error, as `RUST_LOG` or else `FILEYARD_LOG` filters them.
fn log_to_stderr(default: &str) -> Result<(), Failure> {
    let set = |name: &'static str| Some((name, std::env::var_os(name)?.into_string().ok()?));
    let (name, filter) = ["RUST_LOG", "FILEYARD_LOG"]
        .into_iter()
        .filter_map(set)
        .find(|(_, filter)| !filter.is_empty())
        .unwrap_or(("", default.to_owned()));
    let filter = EnvFilter::builder().parse(&filter).map_err(|error| {
        Failure::Usage(format!("{name}: {filter:?} is no filter of logs: {error}"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    Ok(())
}
