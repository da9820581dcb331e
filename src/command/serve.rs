//! `fileyard serve`: the service itself.

use anyhow::Context;

use super::{ConfigArgs, log_to_stderr};
use crate::{app, config::Config, failure::Failure};

/// Where its config is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where to listen, over what the config says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    log_to_stderr("info,refinery_core=warn")?;
    let config = Config::load(&args.config.sources(args.listen.clone()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started");
    let served = runtime.and_then(|runtime| runtime.block_on(app::serve(config)));
    served.map_err(Failure::Service)
}
