//! One running `fileyard serve`: what it says, and how it is stopped, killed and watched.

use std::{
    fs::File,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{LONG, client::Api, until};

/// A server that answers; killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    api: Api,
    /// From its start until it answered that it is ready.
    pub took: Duration,
}

/// A `fileyard serve` that may or may not answer.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with everything that it says in the file `log`.
    ///
    /// # Panics
    /// When it can not be started.
    #[must_use]
    pub fn spawn(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().expect("the program starts"), log }
    }

    /// Everything it has said.
    ///
    /// # Panics
    /// When that can not be read.
    #[must_use]
    pub fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).expect("the process is there");
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When that can not be known.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it has not after `within`.
    pub async fn end(&mut self, within: Duration) -> ExitStatus {
        let from = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(from.elapsed() < within, "still there after {within:?}:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it has killed itself at its failpoint.
    ///
    /// # Panics
    /// When it ends otherwise or not in time.
    pub async fn killed_by_failpoint(mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.end(LONG).await;
        assert_eq!(status.signal(), Some(9), "{status}:\n{}", self.said());
    }

    /// Its peak of resident memory so far, in bytes.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Its resident memory now, in bytes.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Forgets its peak, so that the next one is of what comes now.
    ///
    /// # Panics
    /// When it is gone.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// The processor time that it has used, its system calls' included.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name before may hold anything; utime and stime are the 14th and 15th field.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap());
        // Linux shows them to programs as hundredths of a second, whatever it counts in.
        Duration::from_millis(10 * ticks.sum::<u64>())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} said:\n{}----", self.log.display(), tail(&self.said()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].iter().flat_map(|line| [line, "\n"]).collect()
}

impl Server {
    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in time.
    pub async fn ready(mut process: Process) -> Self {
        let from = Instant::now();
        let base = until("the server says its address", LONG, async || {
            let said = process.said();
            assert!(process.ended().is_none(), "the server ended:\n{said}");
            address(&said)
        })
        .await;
        let api = Api::new(&base);
        until("the server is ready", LONG, async || {
            let answer = api.send(api.request(reqwest::Method::GET, "/readyz")).await.ok()?;
            answer.status.is_success().then_some(())
        })
        .await;
        Self { process, api, took: from.elapsed() }
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A client of its own, to move into a task.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api.clone()
    }

    /// SIGKILL, and waits for its end.
    pub async fn kill(mut self) {
        self.process.signal(Signal::KILL);
        self.process.end(LONG).await;
    }

    /// SIGTERM: it must end with status 0.
    ///
    /// # Panics
    /// When it ends otherwise or not in time.
    pub async fn stop(mut self) -> String {
        self.process.signal(Signal::TERM);
        let status = self.process.end(LONG).await;
        assert!(status.success(), "{status}:\n{}", self.process.said());
        self.process.said()
    }

    /// Waits until it has killed itself at its failpoint.
    ///
    /// # Panics
    /// When it ends otherwise or not in time.
    pub async fn killed_by_failpoint(self) {
        self.process.killed_by_failpoint().await;
    }
}

impl Deref for Server {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The address in `fileyard is at http://127.0.0.1:1234/`.
fn address(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("fileyard is at http://")?;
    let (host, _) = rest.split_once('/')?;
    Some(format!("http://{host}"))
}

/// Everything below a directory that is no directory itself, by its path below it.
///
/// # Panics
/// When something there can not be read, unless it has just gone.
#[must_use]
pub fn files_below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => {
                    let path = entry.path();
                    let below = path.strip_prefix(dir).unwrap_or(&path);
                    found.push(below.to_string_lossy().into_owned());
                }
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
