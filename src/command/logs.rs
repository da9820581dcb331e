//! `fileyard logs`: what a job's program wrote, now or as it is written.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use super::{To, say, wait::may_pass, write};
use crate::{client::Client, failure::Failure};

/// How often a job that has no log yet is asked for.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a server may be away while its log is followed.
const AWAY: Duration = Duration::from_secs(30);

/// Which of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) to: To,
    /// The job's id
    job: String,
    /// Go on until the job has ended, through all its attempts
    #[arg(short, long)]
    follow: bool,
    /// Only so many lines from the end
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// Each line with its time, number and stream
    #[arg(short, long)]
    timestamps: bool,
    /// Of this attempt, not of the latest
    #[arg(long, conflicts_with = "follow")]
    attempt: Option<u32>,
}

/// Shows it.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.to)?;
    if args.follow {
        return follow(&client, args).await;
    }
    let mut out = Out::new(args, 0);
    let mut log = client.log(&args.job, &pairs(&args.query(args.attempt))).await?;
    while let Some(bytes) = log.chunk().await.map_err(|error| client.unreachable(error))? {
        out.take(&bytes)?;
    }
    out.end()
}

/// One attempt after the other, until the job has ended.
async fn follow(client: &Client, args: &Args) -> Result<(), Failure> {
    let mut shown = 0;
    let mut answered = None;
    loop {
        let job = match client.job(&args.job).await {
            Ok(job) => job.value,
            Err(failure) if passes(&failure, answered) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        answered = Some(Instant::now());
        match job.attempt {
            Some(attempt) if attempt > shown => {
                if shown > 0 {
                    eprintln!("--- attempt {attempt} ---");
                }
                follow_attempt(client, args, attempt).await?;
                shown = attempt;
            }
            _ if job.has_ended() => return Ok(()),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The log of one attempt to its end, going on where it was when the server went away.
async fn follow_attempt(client: &Client, args: &Args, attempt: u32) -> Result<(), Failure> {
    let mut query = args.query(Some(attempt));
    query.push(("follow", "1".into()));
    let mut shown = 0;
    let mut answered = None;
    loop {
        // A tail begins elsewhere the second time, so it is not gone on with.
        let resumable = args.tail.is_none() || shown == 0;
        let failure = match client.log(&args.job, &pairs(&query)).await {
            Ok(mut log) => {
                answered = Some(Instant::now());
                let mut out = Out::new(args, shown);
                loop {
                    match log.chunk().await {
                        Ok(Some(bytes)) => {
                            answered = Some(Instant::now());
                            out.take(&bytes)?;
                        }
                        Ok(None) => return out.end(),
                        Err(error) => break client.unreachable(error),
                    }
                    shown = out.shown;
                }
            }
            Err(failure) => failure,
        };
        if !(resumable && passes(&failure, answered)) {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn passes(failure: &Failure, answered: Option<Instant>) -> bool {
    answered.is_some_and(|at| at.elapsed() < AWAY) && may_pass(failure)
}

fn pairs<'a>(query: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    query.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

impl Args {
    fn query(&self, attempt: Option<u32>) -> Vec<(&'static str, String)> {
        let timestamps = (self.timestamps || self.to.json).then(|| "1".to_owned());
        let numbers = [("tail", self.tail), ("attempt", attempt)];
        let numbers = numbers.map(|(name, number)| (name, number.map(|n| n.to_string())));
        let all = numbers.into_iter().chain([("timestamps", timestamps)]);
        all.filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Standard output, which may have seen the first bytes already.
struct Out {
    json: bool,
    skip: u64,
    /// All bytes so far, those skipped too; of JSON only those of whole lines.
    shown: u64,
    line: Vec<u8>,
}

impl Out {
    fn new(args: &Args, skip: u64) -> Self {
        Self { json: args.to.json, skip, shown: 0, line: vec![] }
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), Failure> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        if !self.json {
            self.shown += bytes.len() as u64;
            return write(&bytes[skipped..]);
        }
        self.shown += skipped as u64;
        for piece in bytes[skipped..].split_inclusive(|b| *b == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.shown += self.line.len() as u64;
                let line = std::mem::take(&mut self.line);
                say(&line_as_json(&line[..line.len() - 1]))?;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        if self.line.is_empty() { Ok(()) } else { say(&line_as_json(&self.line)) }
    }
}

/// One line that was asked for with timestamps; one without them is fileyard's own remark.
fn line_as_json(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.splitn(4, ' ');
    let (at, seq, stream) = (parts.next(), parts.next(), parts.next());
    let seq = seq.and_then(|seq| seq.parse::<u64>().ok());
    match (at, seq, stream) {
        (Some(at), Some(seq), Some(stream @ ("stdout" | "stderr"))) => {
            let text = parts.next().unwrap_or_default();
            json!({"at": at, "seq": seq, "stream": stream, "text": text}).to_string()
        }
        _ => json!({"at": null, "seq": null, "stream": null, "text": text}).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_json() {
        assert_eq!(
            line_as_json(b"2026-01-02T03:04:05.678901234Z 17 stderr  two words"),
            r#"{"at":"2026-01-02T03:04:05.678901234Z","seq":17,"stream":"stderr","text":" two words"}"#
        );
        assert_eq!(
            line_as_json(b"[fileyard: 7 bytes of this log were dropped here]"),
            r#"{"at":null,"seq":null,"stream":null,"text":"[fileyard: 7 bytes of this log were dropped here]"}"#
        );
        assert_eq!(
            line_as_json(b"t 0 stdout"),
            r#"{"at":"t","seq":0,"stream":"stdout","text":""}"#
        );
    }
}
