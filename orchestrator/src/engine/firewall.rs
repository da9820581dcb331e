//! Rules that keep an attempt's container from everything of the host's but our listener, and with
//! egress from its neighbours and the host's networks.
//!
//! **What an attempt's device lets through without them.** Where it is a bridge, Docker's `internal`
//! keeps a container from routing anywhere, and nothing keeps it from the host itself: every port that
//! any program has bound to 0.0.0.0, or to any address of this host, answers it. With egress it
//! reaches whatever the host routes to: neighbours, private networks, a cloud's metadata service.
//!
//! **What they are.** Chains of the install's own, `FILEYARD-xxxxx-IN` and `-FW`, hooked before all else in
//! INPUT and DOCKER-USER for every device whose name begins as the install's do. They deny; what is
//! admitted is admitted by the kind of reach that the device's name tells, and the listener only on
//! the address of the very bridge a packet comes from. So a rule is never late: it is there before
//! the device is, nothing is written an attempt but the first, and a crash leaves no device without.
//! They go when the install's last network does. IPv6 is off on these networks; rules say so again.
//!
//! **Whose packets go on.** Behind Docker's bridges Docker sees to that. For an end of a pair nobody
//! else does: `-FW` then accepts what goes to the internet, is hooked before all else in FORWARD,
//! which may drop by default, and `FILEYARD-xxxxx-NAT` gives it an address of this host's.
//!
//! Written by `iptables-restore` at once or not at all, looked at again before every start and at
//! every pass over the networks: whoever flushes a table has it mended within seconds.
//!
//! It needs the right to change the host's rules (root), and `iptables`. What becomes of jobs where
//! one is missing is for an engine to say.

mod rules;

use std::{
    collections::{BTreeSet, HashMap},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    process::Command,
    sync::{Mutex, OnceCell},
    time::timeout,
};

use self::rules::{Table, plan};
use super::{EngineError, Subnet, network::name::Tag};

/// How long one of its programs may take, waiting for the table's lock included.
const WITHIN: Duration = Duration::from_secs(20);
const LOCK: &str = "10";
/// Where they are, should the environment not say so to a service.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// This host's packet filter.
#[derive(Debug)]
pub(super) struct Firewall {
    tables: &'static [Table],
    able: OnceCell<Able>,
    /// Whose rules were written, and which; `None` for those that are known not to be there.
    /// One writes at a time.
    written: Mutex<HashMap<Tag, Option<Wanted>>>,
}

/// Whether rules can be written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Able {
    /// By this version of iptables.
    Yes(String),
    /// For this reason.
    No(String),
}

/// What is to be there for one install.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    /// The ports of listeners on the gateways, of all its networks.
    pub(super) ports: BTreeSet<u16>,
    /// Of containers whose packets nobody but us sends on to the internet.
    pub(super) sources: BTreeSet<Subnet>,
}

impl Firewall {
    /// For devices that are a daemon's bridges.
    pub(super) fn of_bridges() -> Self {
        Self::of(&[Table::Filter, Table::Filter6])
    }

    /// For devices that are ends of pairs: this host sends on what comes from there by them.
    pub(super) fn of_pairs() -> Self {
        Self::of(&[Table::Filter, Table::Nat, Table::Filter6])
    }

    fn of(tables: &'static [Table]) -> Self {
        Self { tables, able: OnceCell::new(), written: Mutex::default() }
    }

    /// Whether rules can be written; found out once.
    pub(super) async fn able(&self) -> &Able {
        self.able
            .get_or_init(|| async {
                for table in self.tables.iter().filter(|table| !table.is_a_second_lock()) {
                    if let Err(why) = save(*table).await {
                        return Able::No(why);
                    }
                }
                Able::Yes(version().await)
            })
            .await
    }

    /// Sees to it that the install's rules are there, before one of its devices is.
    ///
    /// # Errors
    /// [`EngineError::Trouble`] when they can not be written: then nothing may start.
    pub(super) async fn ensure(&self, tag: Tag, wanted: Wanted) -> Result<(), EngineError> {
        let mut written = self.written.lock().await;
        let all = written.entry(tag).or_default().get_or_insert_default();
        // Only more: a network that is being made may not be among those that are listed.
        all.ports.extend(wanted.ports);
        all.sources.extend(wanted.sources);
        self.apply(tag, Some(all)).await
    }

    /// Removes them, after the install's last device.
    ///
    /// # Errors
    /// [`EngineError::Trouble`] when that can not be done now.
    pub(super) async fn remove(&self, tag: Tag) -> Result<(), EngineError> {
        let mut written = self.written.lock().await;
        let known_gone = written.get(&tag).is_some_and(Option::is_none);
        if known_gone || matches!(self.able().await, Able::No(_)) {
            return Ok(());
        }
        self.apply(tag, None).await?;
        written.insert(tag, None);
        Ok(())
    }

    async fn apply(&self, tag: Tag, wanted: Option<&Wanted>) -> Result<(), EngineError> {
        let all = self.tables.iter().map(|table| apply_one(*table, tag, wanted));
        let done = futures::future::try_join_all(all).await;
        done.map(drop).map_err(|why| EngineError::Trouble(format!("the host's firewall: {why}")))
    }
}

async fn apply_one(table: Table, tag: Tag, wanted: Option<&Wanted>) -> Result<(), String> {
    let saved = match save(table).await {
        Ok(saved) => saved,
        Err(_) if table.is_a_second_lock() => return Ok(()),
        Err(why) => return Err(why),
    };
    let Some(text) = plan(table, tag, &saved, wanted) else { return Ok(()) };
    let restore = format!("{}-restore", table.program());
    run(&restore, &["-w", LOCK, "--noflush"], &text).await.map(drop)
}

async fn save(table: Table) -> Result<String, String> {
    run(&format!("{}-save", table.program()), &["-t", table.name()], "").await
}

async fn version() -> String {
    let said = run("iptables", &["--version"], "").await.unwrap_or_default();
    said.trim().to_owned()
}

/// What it wrote, or why it did not do its work.
async fn run(program: &str, args: &[&str], input: &str) -> Result<String, String> {
    let command = async {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        child.wait_with_output().await
    };
    match timeout(WITHIN, command).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program}: {}", words.trim().lines().collect::<Vec<_>>().join(" ")))
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no program {program}"))
        }
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_) => Err(format!("{program} did not end within {} s", WITHIN.as_secs())),
    }
}
