//! The one thread that writes.
//!
//! It takes what has queued, runs it as one transaction with a savepoint a command, and replies only
//! after COMMIT: one fsync serves all who wait. A command that fails takes back its own changes and
//! nobody else's. A COMMIT that fails leaves the outcome unknown, and then nothing is written again.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};

use super::{DataLock, OpenError};
use crate::StoreError;

/// How many commands wait at most in each queue; who comes later waits outside.
const QUEUED: usize = 1024;
/// How many commands a transaction has at most.
const TOGETHER: usize = 256;
/// How often the log says how much was written, while something is.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Runs in the transaction, if there is one; what it returns is called with the outcome of COMMIT.
type Command = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// When a command gets its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Heartbeats: a busy queue must not cost an owner its lease.
    First,
    /// Everything else.
    Then,
}

/// How much was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Commands that had their turn.
    pub commands: u64,
    /// Transactions they had it in.
    pub commits: u64,
    /// The most that had it in one.
    pub most: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, commits, most } = self;
        write!(f, "{commands} commands in {commits} commits, at most {most} in one")
    }
}

/// The thread's handle. Dropped, it waits until all that was queued is written.
pub(super) struct Writer {
    first: Option<mpsc::Sender<Command>>,
    then: Option<mpsc::Sender<Command>>,
    failed: watch::Receiver<bool>,
    counts: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counters {
    commands: AtomicU64,
    commits: AtomicU64,
    most: AtomicU64,
}

impl Counters {
    fn now(&self) -> Counts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { commands: now(&self.commands), commits: now(&self.commits), most: now(&self.most) }
    }
}

impl Writer {
    pub(super) fn start(db: Connection, lock: DataLock) -> Result<Self, OpenError> {
        let (first, first_queue) = mpsc::channel(QUEUED);
        let (then, then_queue) = mpsc::channel(QUEUED);
        let (failing, failed) = watch::channel(false);
        let counts = Arc::<Counters>::default();
        let path = lock.data().to_owned();
        let mut loop_ = Loop {
            first: first_queue,
            then: then_queue,
            db,
            failing,
            counts: Arc::clone(&counts),
            lock,
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || loop_.run())
            .map_err(|error| OpenError::Failed { path, why: error.to_string() })?;
        Ok(Self { first: Some(first), then: Some(then), failed, counts, thread: Some(thread) })
    }

    /// What `f` returns, once it is committed with all that `f` wrote, or why it is not.
    ///
    /// When `f` returns an error nothing that it wrote stays. When the caller goes away the command
    /// is carried out all the same.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        f: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |db| {
            let done = db.and_then(|db| in_savepoint(db, f));
            Box::new(move |committed| {
                // Whoever asked may be gone; then nobody needs to know.
                let _ = answer.send(committed.and(done));
            })
        });
        let queue = match turn {
            Turn::First => &self.first,
            Turn::Then => &self.then,
        };
        let closed = || StoreError::Unavailable("nothing is written any more".into());
        let queue = queue.as_ref().ok_or_else(closed)?;
        queue.send(command).await.map_err(|_| closed())?;
        let lost = |_| StoreError::Unknown("the thread that writes has ended".into());
        answered.await.map_err(lost)?
    }

    pub(super) fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.now()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        (self.first, self.then) = (None, None);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes to the database had panicked");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

struct Loop {
    first: mpsc::Receiver<Command>,
    then: mpsc::Receiver<Command>,
    failing: watch::Sender<bool>,
    counts: Arc<Counters>,
    db: Connection,
    /// After the connection: the directory is ours until the file is closed.
    #[expect(dead_code, reason = "held, not used")]
    lock: DataLock,
}

impl Loop {
    fn run(&mut self) {
        let mut told = Instant::now();
        while let Some(batch) = futures::executor::block_on(self.next()) {
            self.write(batch);
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                tracing::debug!("rows since the start: {}", self.counts.now());
            }
        }
        tracing::info!("the writer of rows ends: {}", self.counts.now());
    }

    /// What has queued, heartbeats first; `None` once nobody can queue anything more.
    async fn next(&mut self) -> Option<Vec<Command>> {
        let command = tokio::select! {
            biased;
            Some(command) = self.first.recv() => command,
            Some(command) = self.then.recv() => command,
            else => return None,
        };
        let mut batch = vec![command];
        while batch.len() < TOGETHER
            && let Ok(command) = self.first.try_recv().or_else(|_| self.then.try_recv())
        {
            batch.push(command);
        }
        Some(batch)
    }

    fn write(&mut self, batch: Vec<Command>) {
        let together = batch.len() as u64;
        self.counts.commands.fetch_add(together, Ordering::Relaxed);
        self.counts.most.fetch_max(together, Ordering::Relaxed);
        let mut replies = Vec::with_capacity(batch.len());
        let outcome = self.transact(batch, &mut replies);
        for reply in replies {
            reply(outcome.clone());
        }
    }

    /// The outcome of the whole, with the replies that are to be given then.
    fn transact(&self, batch: Vec<Command>, replies: &mut Vec<Reply>) -> Result<(), StoreError> {
        if let Err(error) = self.begin() {
            replies.extend(batch.into_iter().map(|command| command(Err(error.clone()))));
            return Err(error);
        }
        for command in batch {
            // SQLite itself takes back the whole transaction after some errors (a full disk, a
            // failed read): what ran before is gone then, and what comes after must not run bare.
            let db = if self.db.is_autocommit() { Err(taken_back()) } else { Ok(&self.db) };
            replies.push(command(db));
        }
        if self.db.is_autocommit() {
            return Err(taken_back());
        }
        self.commit()
    }

    fn begin(&self) -> Result<(), StoreError> {
        if *self.failing.borrow() {
            let before = "a commit failed before, so nothing is written any more";
            return Err(StoreError::Unavailable(before.into()));
        }
        Ok(step(&self.db, "BEGIN IMMEDIATE")?)
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        step(&self.db, "COMMIT").map_err(|error| {
            // No room for the log of the change: it is known not to be there.
            if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
                && (self.db.is_autocommit() || self.db.execute_batch("ROLLBACK").is_ok())
            {
                return StoreError::Unavailable(error.to_string());
            }
            tracing::error!(%error, "a commit failed; nothing is written any more");
            self.failing.send_replace(true);
            if !self.db.is_autocommit() {
                // Best effort: whatever it does, the outcome stays unknown.
                let _ = self.db.execute_batch("ROLLBACK");
            }
            StoreError::Unknown(error.to_string())
        })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failing.send_replace(true);
        }
    }
}

fn taken_back() -> StoreError {
    StoreError::Unavailable("an error in the database took back what was being written".into())
}

/// A statement of every commit: parsed once.
fn step(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(drop)
}

/// What `f` does, in whole or not at all.
fn in_savepoint<T>(
    db: &Connection,
    f: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    step(db, "SAVEPOINT command")?;
    let done = f(db).and_then(|done| {
        step(db, "RELEASE command")?;
        Ok(done)
    });
    if done.is_err() && !db.is_autocommit() {
        let undone = db.execute_batch("ROLLBACK TO command; RELEASE command");
        if undone.is_err() {
            // Half of a command must not be committed, so its neighbours go with it.
            db.execute_batch("ROLLBACK")?;
        }
    }
    done
}
