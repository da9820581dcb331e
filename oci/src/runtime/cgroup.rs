//! What this machine's control groups can do, what they counted, and their removal.
//!
//! A container's group is `/fileyard/NAME` in every hierarchy. It is always named so and never
//! otherwise: removing a group kills what is in it.

mod unified;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const ROOT: &str = "/sys/fs/cgroup";
const PARENT: &str = "fileyard";
/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The control groups of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// Roots of hierarchies in which containers have groups.
    roots: Vec<PathBuf>,
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
        if root.join("cgroup.controllers").exists() {
            Self::of_one(root)
        } else {
            Self::of_many(root)
        }
    }

    /// What can be limited in v2's hierarchy is what has been handed down.
    fn of_one(root: &Path) -> io::Result<Self> {
        let parent = root.join(PARENT);
        unified::hand_down(root, &parent)?;
        let has = |file: &str| parent.join(file).exists();
        Ok(Self {
            roots: vec![root.to_owned()],
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
            roots,
        })
    }

    /// Of a container's group, from the root of each hierarchy.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        Path::new("/").join(PARENT).join(name)
    }

    /// Where a container finds its groups, what lies in another first.
    pub(super) fn shown(&self) -> Vec<PathBuf> {
        let mut shown = self.roots.clone();
        if !self.unified {
            shown.push(ROOT.into());
        }
        shown
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
        // What is removed lies below PARENT, and is never PARENT itself: a name is a plain one.
        let below = Path::new(name).file_name().map(|name| Path::new(PARENT).join(name));
        self.roots.iter().filter_map(move |root| Some(root.join(below.as_ref()?)))
    }
}
