//! Nothing left: what a story may leave behind is exactly what its rows name, and nothing else
//! anywhere.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    firewall, oci,
    rows::Rows,
    server::files_below,
    yard::{Engine, Store, Yard},
};

impl Yard {
    /// Everything that is there and should not be, or should be and is not.
    ///
    /// # Panics
    /// When it can not be looked at.
    pub async fn violations(&self) -> Vec<String> {
        let rows = self.rows();
        let mut wrong = row_violations(&rows);
        wrong.extend(below_tmp(&self.data().join("tmp")));
        wrong.extend(mounts_below(&self.data()));
        wrong.extend(disks_below(&self.data()).iter().map(|disk| format!("{disk} is in use")));
        let (there, parts) = match self.store() {
            Store::Local => (files_below(&self.data().join("blobs")), Vec::new()),
            Store::MinIo(minio) => (minio.objects(), minio.parts()),
        };
        if let Store::Local = self.store() {
            // A job's own go with it: where its owner was killed before the first file was in one.
            let ids: Vec<_> = rows.jobs.iter().filter_map(|job| job["id"].as_str()).collect();
            let empty = empty_below(&self.data().join("blobs"));
            let nobodys = empty.iter().filter(|dir| !ids.iter().any(|id| dir.contains(id)));
            wrong.extend(nobodys.map(|dir| format!("{dir} is empty")));
        }
        let named = rows.blobs();
        wrong.extend(minus(&there, &named).map(|blob| format!("no row names the blob {blob}")));
        wrong.extend(minus(&named, &there).map(|blob| {
            format!("the blob {blob} is missing, of which the rows say {}", rows.about(blob))
        }));
        wrong.extend(parts.iter().map(|part| format!("a part is left: {part}")));
        let containers = self.containers().await;
        wrong.extend(containers.iter().map(|c| format!("{} is {}", c.name, c.state)));
        if self.engine() == Engine::Oci {
            wrong.extend(oci::leftovers(&rows.install, &self.data()));
        }
        let networks = self.networks().await;
        wrong.extend(networks.iter().map(|name| format!("the network {name} is there")));
        wrong.extend(firewall::rules(&rows.install).iter().map(|rule| format!("a rule: {rule}")));
        wrong
    }

    /// Waits until nothing is left, and says what is when that takes too long.
    ///
    /// # Errors
    /// The violations that stayed.
    pub async fn settled(&self, within: Duration) -> Result<(), Vec<String>> {
        let from = Instant::now();
        loop {
            let wrong = self.violations().await;
            if wrong.is_empty() {
                return Ok(());
            }
            if from.elapsed() >= within {
                return Err(wrong);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nothing is left.
    ///
    /// # Panics
    /// When something stays.
    pub async fn nothing_left(&self) {
        if let Err(wrong) = self.settled(Duration::from_secs(45)).await {
            panic!("left behind:\n{}", wrong.join("\n"));
        }
    }
}

fn row_violations(rows: &Rows) -> Vec<String> {
    let (mut wrong, mut jobs_of) = (Vec::new(), HashMap::new());
    for job in &rows.jobs {
        *jobs_of.entry(job["upload"].as_str()).or_insert(0) += 1;
    }
    for upload in &rows.uploads {
        let (id, state) = (&upload["id"], upload["state"]["is"].as_str().unwrap_or_default());
        let jobs = jobs_of.get(&id.as_str()).copied().unwrap_or(0);
        match state {
            "complete" if jobs >= 1 => {}
            "abandoned" if jobs == 0 => {}
            _ => wrong.push(format!("upload {id} is {state} and has {jobs} jobs")),
        }
    }
    for job in &rows.jobs {
        let (id, state) = (&job["id"], job["state"]["is"].as_str().unwrap_or_default());
        let ends = terminal_events(job);
        if !matches!(state, "succeeded" | "failed" | "cancelled") {
            wrong.push(format!("job {id} is {state}"));
        } else if ends != [state] {
            wrong.push(format!("job {id} is {state} and ended as {ends:?}"));
        }
    }
    for attempt in &rows.attempts {
        let state = attempt["state"]["is"].as_str().unwrap_or_default();
        if state != "removed" {
            wrong.push(format!("attempt {} of {} is {state}", attempt["no"], attempt["job"]));
        }
    }
    wrong.extend(rows.pruned.iter().map(|it| format!("files of job {} are to go", it["job"])));
    wrong
}

fn terminal_events(job: &Value) -> Vec<&str> {
    let events = job["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kinds = events.iter().filter_map(|event| event["kind"].as_str());
    kinds.filter(|kind| matches!(*kind, "succeeded" | "failed" | "cancelled")).collect()
}

/// Directories in which nothing is, however deep.
fn empty_below(dir: &Path) -> Vec<String> {
    let inside = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = inside.map(|entry| entry.path()).filter(|path| path.is_dir());
    dirs.flat_map(|dir| match std::fs::read_dir(&dir).is_ok_and(|mut it| it.next().is_none()) {
        true => vec![dir.display().to_string()],
        false => empty_below(&dir),
    })
    .collect()
}

/// No file anywhere below `data/tmp`, and no directory of an attempt.
fn below_tmp(tmp: &Path) -> Vec<String> {
    let mut wrong: Vec<_> =
        files_below(tmp).iter().map(|file| format!("data/tmp/{file} is there")).collect();
    let attempts = std::fs::read_dir(tmp.join("attempts")).into_iter().flatten().flatten();
    wrong.extend(attempts.map(|dir| format!("data/tmp/attempts/{:?} is there", dir.file_name())));
    wrong
}

/// Not the directory itself, which may be a story's own small disk.
fn mounts_below(data: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = format!("{}/", data.display());
    let mounts = mounts.lines().filter(|line| line.contains(&below));
    mounts.map(|line| format!("the mount {line}")).collect()
}

/// Files below it that are disks of this machine's, also such as have no name any more.
#[must_use]
pub fn disks_below(data: &Path) -> Vec<String> {
    let below = format!("{}/", data.display());
    let devices = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = devices
        .filter_map(|device| std::fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.map(|file| file.trim().to_owned()).filter(|file| file.starts_with(&below)).collect()
}

/// Whatever is mounted over an attempt's `/out`, as by a server that was killed, is mounted no more.
pub(crate) fn unmount_below(data: &Path) {
    let attempts = std::fs::read_dir(data.join("tmp/attempts")).into_iter().flatten().flatten();
    for attempt in attempts {
        let _ = Command::new("umount").arg("-lq").arg(attempt.path().join("out")).status();
    }
}

fn minus<'a>(these: &'a [String], those: &'a [String]) -> impl Iterator<Item = &'a String> {
    let those: HashSet<_> = those.iter().collect();
    these.iter().filter(move |this| !those.contains(this))
}
