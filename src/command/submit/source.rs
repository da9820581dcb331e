//! One file on its way to the server, never held whole.

use std::{
    io, mem,
    os::fd::AsFd,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt},
};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::{
    client::{Answer, Client, Job},
    command::{show::plain, wait::may_pass},
    failure::Failure,
};

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// How long a lost connection is tried again, and the pause before each.
const TRIES: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(500);

/// A file that is open.
pub(super) struct Source {
    path: PathBuf,
    name: String,
    length: Option<u64>,
    reader: Pin<Box<dyn AsyncRead + Send>>,
}

/// How far the reading came, and how it ended: an HTTP client only says that a body broke off.
#[derive(Debug, Default)]
struct Read {
    bytes: u64,
    ended: bool,
    error: Option<String>,
}

impl Source {
    /// `-` is standard input.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            let stdin =
                stdin.map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
            let reader = Box::pin(File::from_std(stdin.into()));
            return Ok(Self { path: path.into(), name: "stdin".into(), length: None, reader });
        }
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("{}: {error}", plain(&path.display().to_string())))
        };
        let file = File::open(path).await.map_err(|error| wrong(&error))?;
        let found = file.metadata().await.map_err(|error| wrong(&error))?;
        if found.is_dir() {
            return Err(wrong(&"is a directory"));
        }
        let name = path.file_name().ok_or_else(|| wrong(&"has no name to send it under"))?;
        let name = name.to_string_lossy().into_owned();
        // A pipe, or a file of the kernel's, ends where it ends.
        let length = (found.is_file() && found.len() > 0).then_some(found.len());
        let reader: Pin<Box<dyn AsyncRead + Send>> = match length {
            Some(length) => Box::pin(file.take(length)),
            None => Box::pin(file),
        };
        Ok(Self { path: path.into(), name, length, reader })
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Sends it, with a bar on standard error. What can be read again is sent again, under the same
    /// key, when the connection is lost on the way: it is one job all the same.
    pub(super) async fn send(
        mut self,
        client: &Client,
        processor: Option<&str>,
        query: &[(&str, &str)],
        quiet: bool,
    ) -> Result<Answer<Job>, Failure> {
        let key = self.length.is_some().then(|| Uuid::new_v4().to_string());
        let mut lost: Option<Instant> = None;
        loop {
            let (sent, bytes) =
                self.send_once(client, processor, query, key.as_deref(), quiet).await;
            let failure = match sent {
                Err(failure) if key.is_some() && may_pass(&failure) => failure,
                done => return done,
            };
            // Who never got through need not wait to hear of it.
            if lost.is_none() && bytes == 0 {
                return Err(failure);
            }
            if lost.get_or_insert_with(Instant::now).elapsed() > TRIES {
                return Err(failure);
            }
            tokio::time::sleep(PAUSE).await;
            self = Self::open(&self.path).await?;
        }
    }

    /// Sends it, once; and how much of it was read for that.
    async fn send_once(
        &mut self,
        client: &Client,
        processor: Option<&str>,
        query: &[(&str, &str)],
        key: Option<&str>,
        quiet: bool,
    ) -> (Result<Answer<Job>, Failure>, u64) {
        let bar = if quiet { ProgressBar::hidden() } else { bar(&self.name, self.length) };
        let read = Arc::new(Mutex::new(Read::default()));
        let reader = mem::replace(&mut self.reader, Box::pin(tokio::io::empty()));
        let body = ReaderStream::with_capacity(reader, PIECE)
            .inspect_ok({
                let (bar, read) = (bar.clone(), Arc::clone(&read));
                move |bytes| {
                    bar.inc(bytes.len() as u64);
                    locked(&read, |read| read.bytes += bytes.len() as u64);
                }
            })
            .inspect_err({
                let read = Arc::clone(&read);
                move |error: &io::Error| locked(&read, |read| read.error = Some(error.to_string()))
            })
            .chain({
                let read = Arc::clone(&read);
                let end = move || locked(&read, |read| read.ended = true);
                stream::poll_fn(move |_| {
                    end();
                    Poll::Ready(None)
                })
            });
        let sent = client.upload(processor, &self.name, query, self.length, key, body).await;
        bar.finish_and_clear();
        let path = plain(&self.path.display().to_string());
        let sent = sent.map_err(|failure| match failure {
            Failure::Unreachable(_) => locked(&read, |read| match (&read.error, self.length) {
                (Some(error), _) => Failure::Usage(format!("{path}: {error}")),
                (None, Some(length)) if read.ended && read.bytes < length => {
                    let (bytes, now) = (length, read.bytes);
                    Failure::Usage(format!("{path}: had {bytes} bytes, and ended after {now}"))
                }
                _ => failure,
            }),
            other => other,
        });
        (sent, locked(&read, |read| read.bytes))
    }
}

fn locked<T>(read: &Mutex<Read>, with: impl FnOnce(&mut Read) -> T) -> T {
    with(&mut read.lock().unwrap_or_else(PoisonError::into_inner))
}

fn bar(name: &str, length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {prefix} {bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is fixed");
    bar.set_style(style.progress_chars("=> "));
    let name: String = name.chars().take(40).collect();
    bar.set_prefix(plain(&name));
    bar
}
