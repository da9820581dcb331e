//! Files over HTTP: one stream, many at once, or very many small ones over a few connections.
//!
//! Blocking sockets and a thread a connection: a sender that is never the bottleneck of what is
//! measured. Every answer must be a success, and have the digest in it if one is expected.

use anyhow::{Context, ensure};

use crate::{
    data,
    run::{Run, Stopwatch, at_once},
    wire::Wire,
};

const BOUNDARY: &str = "a-boundary-that-no-noise-has";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address and port
    #[arg(long)]
    to: String,
    /// The path of a file; {n} is its number
    #[arg(long)]
    path: String,
    #[arg(long, default_value = "PUT")]
    method: String,
    /// More headers, as in NAME: VALUE; {size} is the file's size
    #[arg(long = "header")]
    headers: Vec<String>,
    /// As a form's one file, not as the body itself
    #[arg(long)]
    form: bool,
    /// Every answer must have the file's SHA-256 in it
    #[arg(long)]
    told: bool,
    #[arg(long)]
    size: u64,
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Connections, each kept for as many files as it gets
    #[arg(long, default_value_t = 1)]
    parallel: u64,
    /// Where the last answer's body goes
    #[arg(long)]
    answer: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Run> {
    let block = data::block();
    let digest = args.told.then(|| data::digest(&block, args.size));
    let watch = Stopwatch::start();
    at_once(
        args.count,
        args.parallel,
        || Wire::open(&args.to),
        |wire, n| {
            let said = send(wire, args, &block, n).with_context(|| format!("file {n}"))?;
            if let Some(digest) = &digest {
                ensure!(said.contains(digest), "file {n}: {digest} is not in the answer: {said}");
            }
            match &args.answer {
                Some(file) if n + 1 == args.count => Ok(std::fs::write(file, said)?),
                _ => Ok(()),
            }
        },
    )?;
    Ok(watch.stop(args.count, args.count * args.size))
}

/// Sends one file and returns what was said to it.
fn send(wire: &mut Wire<'_>, args: &Args, block: &[u8], n: u64) -> anyhow::Result<String> {
    let (before, after) = if args.form { around(n) } else { Default::default() };
    let mut first = head(args, n, (before.len() + after.len()) as u64);
    first.push_str(&before);
    let mut first = first.into_bytes();
    let mut chunks = data::chunks(block, args.size);
    // A small file goes with its head, as any client would send it.
    if args.size <= 16 << 10 {
        chunks.by_ref().for_each(|chunk| first.extend_from_slice(chunk));
    }
    wire.ask(&first, chunks.chain([after.as_bytes()]))
}

fn head(args: &Args, n: u64, around: u64) -> String {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
        args.method,
        args.path.replace("{n}", &n.to_string()),
        args.to,
        args.size + around,
    );
    if args.form {
        head = format!("{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
    }
    for header in &args.headers {
        head = format!("{head}{}\r\n", header.replace("{size}", &args.size.to_string()));
    }
    head + "\r\n"
}

/// What stands before and after a form's one file.
fn around(n: u64) -> (String, String) {
    let before = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{n}.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    (before, format!("\r\n--{BOUNDARY}--\r\n"))
}
