//! `fileyard retry`: an ended job again, as a new one on the same file.

use super::{To, say, show, wait};
use crate::{client::Client, failure::Failure};

/// Which.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// The job's id
    job: String,
    /// Wait until the new job has ended; then the exit status says how
    #[arg(long)]
    wait: bool,
    /// Nothing on standard error while waiting
    #[arg(short, long)]
    quiet: bool,
}

/// Asks for it: the new job's bare id, as `submit` has it.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.to)?;
    let answer = client.retry(&args.job).await?;
    match (args.to.json, args.wait) {
        (false, _) => say(&show::plain(&answer.value.job_id))?,
        (true, false) => say(&answer.text)?,
        (true, true) => {}
    }
    if !args.wait {
        return Ok(());
    }
    let ended = wait::until_ended(&client, &answer.value.job_id, args.quiet).await?;
    if args.to.json {
        say(&ended.text)?;
    } else if !args.quiet {
        eprintln!("{}", show::job(&ended.value));
    }
    if ended.value.succeeded() { Ok(()) } else { Err(Failure::Job) }
}
