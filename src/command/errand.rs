//! `fileyard errand`: what a server that is not root has done in a user namespace. Not for people.

use fileyard_oci::errand;

use crate::failure::Failure;

/// Which one.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// What is to be opened, as the server says it
    what: String,
}

/// Does it, on this one thread.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    errand::run(&args.what).map_err(|error| Failure::Service(error.into()))
}
