//! Whether this machine can run containers so, found out by running one.

use std::{path::Path, time::Duration};

use fileyard_oci::{
    runtime::{self, Cgroups, Launcher, Limits, Network, Place, Request, Status, last_words},
    userns,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{blocking, egress::Egress, hasten, request, trouble};
use crate::engine::{EngineError, EngineReport, NetworkRange, User};

/// How long a container that does nothing may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a person may want to know of this engine here, and what stands in its way. A container that
/// does nothing is run below `scratch`, and removed. `egress` says where its addresses are to be taken
/// from, where some processor has it.
///
/// # Errors
/// When the trial can not be cleaned up.
pub async fn check(
    scratch: &Path,
    launcher: &Launcher,
    egress: Option<NetworkRange>,
) -> Result<EngineReport, EngineError> {
    let version = env!("CARGO_PKG_VERSION").into();
    let mut report = EngineReport { engine: "oci", version, ..EngineReport::default() };
    let cgroups = match Cgroups::of_this_machine() {
        Ok(cgroups) => cgroups,
        Err(error) => {
            report.refusals.push(error.to_string());
            return Ok(report);
        }
    };
    limits(&cgroups, &mut report);
    if report.refusals.is_empty()
        && let Err(words) = tried(scratch, launcher).await?
    {
        let why = userns::obstacle().filter(|_| !userns::is_root());
        let why = why.map_or_else(String::new, |why| format!(" (this may be why: {why})"));
        report
            .refusals
            .push(format!("a container that does nothing could not be run: {words}{why}"));
    }
    if let Some(range) = egress {
        Egress::new(range).check(&mut report).await;
    }
    Ok(report)
}

/// Runs a container without a program: its first process sees to it that all is closed.
async fn tried(scratch: &Path, launcher: &Launcher) -> Result<Result<(), String>, EngineError> {
    let name = format!("fileyard-trial-{}", Uuid::new_v4().simple());
    let place = Place::new(scratch, &name);
    let tried = match timeout(PATIENCE, trial(launcher, &place, &name)).await {
        Ok(tried) => tried,
        Err(_) => Err(format!("it did not end within {PATIENCE:?}")),
    };
    blocking(move || runtime::remove(&place, &name).map_err(trouble)).await?;
    Ok(tried)
}

async fn trial(launcher: &Launcher, place: &Place, name: &str) -> Result<(), String> {
    let user = User { uid: 65532, gid: 65532 }.or_ourselves();
    let request = Request {
        name: name.to_owned(),
        layers: Vec::new(),
        args: Vec::new(),
        env: Vec::new(),
        working_dir: "/".into(),
        user: (user.uid, user.gid),
        binds: Vec::new(),
        tmpfs: Vec::new(),
        limits: Limits {
            memory: 64 << 20,
            cpus: 0.5,
            pids: 16,
            file_size: 1 << 20,
            open_files: 64,
        },
        filter: blocking(request::filter).await.map_err(|error| error.to_string())?,
        network: Network::Loopback,
        resolvers: Vec::new(),
    };
    let words = |error: std::io::Error| error.to_string();
    hasten();
    place.create(&request).map_err(words)?;
    let mut launched = launcher.launch(place, None).map_err(words)?;
    launched.until_it_ends().await.map_err(words)?;
    launched.until_it_is_gone().await.map_err(words)?;
    match place.status().map_err(words)? {
        Status::Exited(exit) if exit.code == 0 => Ok(()),
        Status::Exited(exit) => {
            Err(exit.message.unwrap_or_else(|| format!("it ended with {}", exit.code)))
        }
        Status::Refused(refusal) => Err(refusal.words),
        _ => Err(last_words(place)),
    }
}

fn limits(cgroups: &Cgroups, report: &mut EngineReport) {
    report.facts.push(format!("cgroup v{}", if cgroups.unified { 2 } else { 1 }));
    if !userns::is_root() {
        let words =
            "without root: containers have one user, fileyard's own, and so have their images";
        report.facts.push(words.into());
    }
    for (has, what) in [(cgroups.limits_memory, "memory"), (cgroups.limits_pids, "pids")] {
        if !has {
            report.refusals.push(format!("there is no control group for {what}: enable it"));
        }
    }
    if !cgroups.has_quotas {
        report.warnings.push("there is no quota of processor time: `cpus` has no effect".into());
    }
    if !cgroups.counts_swap {
        let words = "the kernel does not count swap: a container may swap beyond its `memory`";
        report.warnings.push(words.into());
    }
}
