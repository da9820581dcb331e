//! What this machine's control groups can do, what they counted, and their removal.
//!
//! A container's group is `fileyard/NAME` in every hierarchy: from its root, and who is not root has it in
//! the group that was delegated to it. It is always named so and never otherwise: removing a group kills
//! what is in it.

mod delegated;
mod hasten;
mod unified;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

pub use self::hasten::hasten;
use crate::userns;

const ROOT: &str = "/sys/fs/cgroup";
const PARENT: &str = "fileyard";
/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The control groups of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    /// What containers' groups are in, in each hierarchy.
    parents: Vec<PathBuf>,
    /// The same, from the root of each.
    from_root: PathBuf,
    /// Whether there is one hierarchy for all.
    pub unified: bool,
    /// Whether memory can be limited.
    pub limits_memory: bool,
    /// Whether processes can be.
    pub limits_pids: bool,
    /// Whether swap is counted as memory.
    pub counts_swap: bool,
    /// Whether processor time has quotas.
    pub has_quotas: bool,
}

impl Cgroups {
    /// Those of this machine. Of v2's the one that containers' groups are in is made.
    ///
    /// # Errors
    /// When there are none where they should be, or they can not be handed down to containers.
    pub fn of_this_machine() -> io::Result<Self> {
        let root = Path::new(ROOT);
        match (root.join("cgroup.controllers").exists(), userns::is_root()) {
            (true, true) => Self::of_one(root, Path::new("/")),
            (true, false) => Self::of_one(root, &delegated::own(root)?),
            (false, true) => Self::of_many(root),
            (false, false) => {
                let words = "without root it needs control groups v2 and nothing else, and this machine \
                             has v1: run fileyard as root";
                Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
            }
        }
    }

    /// What can be limited in v2's hierarchy is what has been handed down.
    fn of_one(root: &Path, own: &Path) -> io::Result<Self> {
        let from_root = own.join(PARENT);
        let parent = below(root, &from_root);
        unified::hand_down(&below(root, own), &parent)?;
        let has = |file: &str| parent.join(file).exists();
        Ok(Self {
            parents: vec![parent.clone()],
            from_root,
            unified: true,
            limits_memory: has("memory.max"),
            limits_pids: has("pids.max"),
            counts_swap: has("memory.swap.max"),
            has_quotas: has("cpu.max"),
        })
    }

    /// Each of v1's hierarchies is called as its controllers.
    fn of_many(root: &Path) -> io::Result<Self> {
        let dirs = fs::read_dir(root)?.collect::<Result<Vec<_>, _>>()?;
        let is_hierarchy = |path: &PathBuf| path.join("cgroup.procs").exists();
        // Controllers that are mounted together have symbolic links beside them.
        let real = dirs.iter().filter(|dir| dir.file_type().is_ok_and(|kind| kind.is_dir()));
        let roots: Vec<PathBuf> = real.map(fs::DirEntry::path).filter(is_hierarchy).collect();
        if roots.is_empty() {
            let words = format!("no control groups are mounted at {ROOT}");
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        }
        let names = roots.iter().filter_map(|root| root.file_name()?.to_str());
        let controllers: Vec<&str> = names.flat_map(|name| name.split(',')).collect();
        let counts = |file: &str| roots.iter().any(|root| root.join(file).exists());
        Ok(Self {
            unified: false,
            limits_memory: controllers.contains(&"memory"),
            limits_pids: controllers.contains(&"pids"),
            counts_swap: counts("memory.memsw.limit_in_bytes"),
            has_quotas: counts("cpu.cfs_quota_us"),
            parents: roots.iter().map(|root| root.join(PARENT)).collect(),
            from_root: Path::new("/").join(PARENT),
        })
    }

    /// Of a container's group, from the root of each hierarchy.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.from_root.join(name)
    }

    /// Where a container finds its groups, what lies in another first.
    pub(super) fn shown(&self) -> Vec<PathBuf> {
        let each = self.parents.iter().filter(|_| !self.unified);
        let mut shown: Vec<_> = each.filter_map(|it| Some(it.parent()?.to_owned())).collect();
        shown.push(ROOT.into());
        shown
    }

    /// Whether a process is in the container's groups, in each hierarchy in which there is one.
    ///
    /// # Errors
    /// When that can not be read.
    pub(super) fn hold(&self, name: &str, pid: i32) -> io::Result<bool> {
        let pid = pid.to_string();
        let mut holds = false;
        for group in self.groups(name).filter(|group| group.exists()) {
            let held = fs::read_to_string(group.join("cgroup.procs"))?;
            holds = held.lines().any(|line| line == pid);
            if !holds {
                break;
            }
        }
        Ok(holds)
    }

    /// How many processes of the container the kernel killed for memory.
    ///
    /// # Errors
    /// When its counter can not be read.
    pub(super) fn killed_for_memory(&self, name: &str) -> io::Result<u64> {
        let file = if self.unified { "memory.events" } else { "memory.oom_control" };
        let counter = self.groups(name).map(|group| group.join(file)).find(|path| path.exists());
        let counter = counter.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let said = fs::read_to_string(counter)?;
        let count = said.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        Ok(count.unwrap_or_default())
    }

    /// Kills all that is in the container's groups, and removes them. None is fine.
    ///
    /// # Errors
    /// When something in it does not end.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for group in self.groups(name) {
            while let Err(error) = self.remove_group(&group) {
                if Instant::now() > deadline {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    fn remove_group(&self, group: &Path) -> io::Result<()> {
        let pids = match fs::read_to_string(group.join("cgroup.procs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            pids => pids?,
        };
        for pid in pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn groups(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        // What is removed lies below what we made, and is never that itself: a name is a plain one.
        let name = Path::new(name).file_name();
        self.parents.iter().filter_map(move |parent| Some(parent.join(name?)))
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
