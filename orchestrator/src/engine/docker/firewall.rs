//! Rules that keep an attempt's container from everything of the host's but our listener, and with
//! egress from its neighbours and the host's networks.
//!
//! **What a bridge lets through without them.** Docker's `internal` keeps a container from routing
//! anywhere, and nothing keeps it from the host itself: every port that any program has bound to
//! 0.0.0.0, or to any address of this host, answers it. With egress it reaches whatever the host
//! routes to: neighbours, private networks, a cloud's metadata service.
//!
//! **What they are.** Chains of the install's own, `FILEYARD-xxxxx-IN` and `-FW`, hooked before all else in
//! INPUT and DOCKER-USER for every bridge whose name begins as the install's do. They deny; what is
//! admitted is admitted by the kind of reach that the bridge's name tells, and the listener only on
//! the address of the very bridge a packet comes from. So a rule is never late: it is there before
//! the bridge is, nothing is written an attempt but the first, and a crash leaves no bridge without.
//! They go when the install's last network does. IPv6 is off on these networks; rules say so again.
//!
//! Written by `iptables-restore` at once or not at all, looked at again before every start and at
//! every pass over the networks: whoever flushes a table has it mended within seconds.
//!
//! It needs the right to change the host's rules (root), `iptables`, and the daemon on this very
//! host. Where one is missing jobs run all the same, and what stays open is said once.

mod rules;

use std::{
    collections::{BTreeSet, HashMap},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    process::Command,
    sync::{Mutex, OnceCell},
    time::timeout,
};

use self::rules::{Family, Wanted, plan};
use super::network::name::Tag;
use crate::engine::EngineError;

/// How long one of its programs may take, waiting for the table's lock included.
const WITHIN: Duration = Duration::from_secs(20);
const LOCK: &str = "10";
/// Where they are, should the environment not say so to a service.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) const ELSEWHERE: &str = "the daemon's networks are not on this host";

/// This host's packet filter.
#[derive(Debug, Default)]
pub(super) struct Firewall {
    able: OnceCell<Able>,
    /// Whose rules were written, with which ports; `None` for those that are known not to be there.
    /// One writes at a time.
    written: Mutex<HashMap<Tag, Option<BTreeSet<u16>>>>,
    said: AtomicBool,
}

/// Whether rules can be written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Able {
    /// By this version of iptables.
    Yes(String),
    /// For this reason.
    No(String),
}

impl Firewall {
    /// Whether rules can be written; found out once.
    pub(super) async fn able(&self) -> &Able {
        self.able
            .get_or_init(|| async {
                match save(Family::V4).await {
                    Ok(_) => Able::Yes(version().await),
                    Err(why) => Able::No(why),
                }
            })
            .await
    }

    /// Sees to it that the install's rules are there, before one of its bridges is, `here` on this
    /// host. Where none can be written it says so, once.
    ///
    /// # Errors
    /// [`EngineError::Trouble`] when they could be written before, and not now: then nothing may
    /// start.
    pub(super) async fn ensure(
        &self,
        tag: Tag,
        ports: BTreeSet<u16>,
        here: bool,
    ) -> Result<(), EngineError> {
        let why = match self.able().await {
            Able::Yes(_) if here => return self.apply(tag, ports).await,
            Able::Yes(_) => ELSEWHERE,
            Able::No(why) => why,
        };
        if !self.said.load(Ordering::Relaxed) {
            tracing::warn!("{}", self.open(why));
        }
        Ok(())
    }

    /// What a container can reach beside what it is meant to, in words for a person, who needs to
    /// be told once.
    pub(super) fn open(&self, why: &str) -> String {
        self.said.store(true, Ordering::Relaxed);
        format!(
            "no firewall rules for attempts' networks ({why}): a container with a network reaches \
             every port of this host that listens on 0.0.0.0 or on an address of the host's, and one \
             with egress also the host's private networks, its neighbours and 169.254.169.254. Run \
             fileyard as root on the Docker host, with iptables installed, to close them"
        )
    }

    async fn apply(&self, tag: Tag, ports: BTreeSet<u16>) -> Result<(), EngineError> {
        let mut written = self.written.lock().await;
        let all = written.entry(tag).or_default();
        // Only more: a network that is being made may not be among those that are listed.
        all.get_or_insert_default().extend(ports);
        let wanted = Wanted { ports: all.clone().unwrap_or_default() };
        apply(tag, Some(&wanted)).await
    }

    /// Removes them, after the install's last bridge.
    ///
    /// # Errors
    /// [`EngineError::Trouble`] when that can not be done now.
    pub(super) async fn remove(&self, tag: Tag) -> Result<(), EngineError> {
        let mut written = self.written.lock().await;
        let known_gone = written.get(&tag).is_some_and(Option::is_none);
        if known_gone || matches!(self.able().await, Able::No(_)) {
            return Ok(());
        }
        apply(tag, None).await?;
        written.insert(tag, None);
        Ok(())
    }
}

async fn apply(tag: Tag, wanted: Option<&Wanted>) -> Result<(), EngineError> {
    let both =
        tokio::try_join!(apply_one(Family::V4, tag, wanted), apply_one(Family::V6, tag, wanted));
    both.map(drop).map_err(|why| EngineError::Trouble(format!("the host's firewall: {why}")))
}

async fn apply_one(family: Family, tag: Tag, wanted: Option<&Wanted>) -> Result<(), String> {
    let saved = match save(family).await {
        Ok(saved) => saved,
        // The networks have no IPv6; its rules are a second lock on that door.
        Err(_) if family == Family::V6 => return Ok(()),
        Err(why) => return Err(why),
    };
    let Some(text) = plan(family, tag, &saved, wanted) else { return Ok(()) };
    let restore = format!("{}-restore", program(family));
    run(&restore, &["-w", LOCK, "--noflush"], &text).await.map(drop)
}

async fn save(family: Family) -> Result<String, String> {
    run(&format!("{}-save", program(family)), &["-t", "filter"], "").await
}

async fn version() -> String {
    let said = run("iptables", &["--version"], "").await.unwrap_or_default();
    said.trim().to_owned()
}

fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
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
