//! `fileyard submit`: files, each of which becomes a job.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{To, download, say, show, wait};
use crate::{
    client::{Answer, Client, Job},
    failure::Failure,
};

mod source;

use self::source::Source;

/// What is sent, and what for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// The files, in order; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is to work on them [default: the server's default one]
    #[arg(short, long)]
    processor: Option<String>,
    /// A param of the processor, such as `height=720`; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Wait until every job has ended; the exit status is 1 if one did not succeed
    #[arg(long)]
    wait: bool,
    /// Wait, and write the outputs into this directory (of several files: below it, in one
    /// directory a job)
    #[arg(short, long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// Nothing on standard error but what went wrong
    #[arg(short, long)]
    quiet: bool,
}

/// Sends them, and waits for them where that is asked for.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.to)?;
    let query = query(&args.params)?;
    let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    // All are opened before the first is sent: a name that is wrong costs nothing then.
    let mut sources = Vec::with_capacity(args.files.len());
    for file in &args.files {
        sources.push(Source::open(file).await?);
    }
    if sources.iter().filter(|source| source.is_stdin()).count() > 1 {
        return Err(Failure::Usage("standard input (`-`) can be sent once".into()));
    }
    let waits = args.wait || args.output.is_some();
    let mut jobs = Vec::with_capacity(sources.len());
    for source in sources {
        let answer = source.send(&client, args.processor.as_deref(), &query, args.quiet).await?;
        match (args.to.json, waits) {
            (false, _) => say(&show::plain(&answer.value.job_id))?,
            (true, false) => say(&answer.text)?,
            (true, true) => {}
        }
        jobs.push(answer.value.job_id);
    }
    if !waits {
        return Ok(());
    }
    let mut all_succeeded = true;
    for job in &jobs {
        let ended = wait::until_ended(&client, job, args.quiet).await?;
        all_succeeded &= ended.value.succeeded();
        finish(&client, args, &ended).await?;
    }
    if all_succeeded { Ok(()) } else { Err(Failure::Job) }
}

/// Shows a job that has ended, and fetches its outputs.
async fn finish(client: &Client, args: &Args, ended: &Answer<Job>) -> Result<(), Failure> {
    let job = &ended.value;
    if args.to.json {
        say(&ended.text)?;
    } else if !args.quiet {
        eprintln!("{}", show::job(job));
    }
    let Some(dir) = &args.output else { return Ok(()) };
    let dir = if args.files.len() > 1 { dir.join(safe(&job.job_id)?) } else { dir.clone() };
    let told = |path: &Path| {
        if !args.quiet {
            eprintln!("{}", show::plain(&path.display().to_string()));
        }
    };
    download::outputs(client, job, &dir, told).await
}

/// A job's id as a directory's name: the server is not trusted with paths either.
fn safe(id: &str) -> Result<&str, Failure> {
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then_some(id).ok_or_else(|| Failure::Usage(format!("{id:?} is no job's id")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".into()),
    }
}

fn query(params: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut query = BTreeMap::new();
    for (name, value) in params {
        if query.insert(format!("param.{name}"), value.clone()).is_some() {
            return Err(Failure::Usage(format!("--param {name} is given twice")));
        }
    }
    Ok(query)
}
