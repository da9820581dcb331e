//! `fileyard status`: one job.

use super::{To, say, show, wait};
use crate::{client::Client, failure::Failure};

/// Which.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// The job's id
    job: String,
    /// Wait until it has ended; then the exit status says how
    #[arg(long)]
    wait: bool,
    /// Nothing on standard error while waiting
    #[arg(short, long)]
    quiet: bool,
}

/// Shows it, once or when it has ended.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.to)?;
    let answer = if args.wait {
        wait::until_ended(&client, &args.job, args.quiet).await?
    } else {
        client.job(&args.job).await?
    };
    if args.to.json {
        say(&answer.text)?;
    } else {
        say(&show::job(&answer.value))?;
    }
    if args.wait && !answer.value.succeeded() { Err(Failure::Job) } else { Ok(()) }
}
