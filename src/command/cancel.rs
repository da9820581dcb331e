//! `fileyard cancel`: ends a job that has not ended.

use super::{To, say, show};
use crate::{client::Client, failure::Failure};

/// Which.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// The job's id
    job: String,
}

/// Cancels it, and shows what it is then.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let answer = Client::new(&args.to)?.cancel(&args.job).await?;
    if args.to.json {
        return say(&answer.text);
    }
    say(&format!("{}  {}", show::plain(&answer.value.job_id), show::standing(&answer.value)))
}
