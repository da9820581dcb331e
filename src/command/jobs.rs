//! `fileyard jobs`: a page of jobs, newest first.

use super::{To, say, show};
use crate::{client::Client, failure::Failure};

/// Which of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// Only those in this state: queued, running, succeeded, failed, cancelled
    #[arg(long)]
    state: Option<String>,
    /// Only those of this processor
    #[arg(short, long)]
    processor: Option<String>,
    /// Only those of one request
    #[arg(long)]
    batch: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Lists them.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let asked = [
        ("state", &args.state),
        ("processor", &args.processor),
        ("batch", &args.batch),
        ("cursor", &args.cursor),
    ];
    let asked = asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let query: Vec<(&str, &str)> = asked.chain([("limit", limit.as_str())]).collect();
    let page = Client::new(&args.to)?.jobs(&query).await?;
    if args.to.json {
        return say(&page.text);
    }
    if page.value.jobs.is_empty() {
        eprintln!("There is no such job.");
        return Ok(());
    }
    say(&show::table(&page.value.jobs))?;
    if let Some(next) = &page.value.next {
        eprintln!("There are more: --cursor {}", show::plain(next));
    }
    Ok(())
}
