//! `fileyard container`: what a server starts for each container of its own engine. Not for people.

use std::{fs::OpenOptions, path::PathBuf, sync::Mutex};

use fileyard_oci::runtime::helper;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// That the runtime filters no system calls is as it should be: see `fileyard_oci::runtime::Filter`.
const WORTH_KEEPING: &str = "warn,libcontainer::process::init=error";

/// Which container.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Its directory
    place: PathBuf,
}

/// Runs it to its end, on this one thread.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // Into a file: standard error becomes the program's own.
    let log = OpenOptions::new().append(true).create(true).open(args.place.join(helper::LOG));
    let log = log.map_err(|error| Failure::Service(error.into()))?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(WORTH_KEEPING))
        .with_ansi(false)
        .with_writer(Mutex::new(log))
        .init();
    helper::run(&args.place).map_err(|error| Failure::Service(error.into()))
}
