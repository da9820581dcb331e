//! The one hierarchy of control groups v2, and what its root hands down to the groups of containers.
//!
//! A group has a controller's files only where the group above hands that controller down, and one that
//! does may have no processes of its own
//! (<https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint>). The kernel
//! excepts its root, but not what a container sees as its root, nor a user's own: there whatever is in it
//! moves to a group beside those of our containers, this process among it.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use nix::errno::Errno;

/// What a container's limits are made of.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Where the processes go that were in what is not the kernel's root.
pub(super) const ASIDE: &str = "fileyard-aside";

/// Makes `parent` below `root`, with each of those controllers that there is for what will be in it.
///
/// # Errors
/// When it can not be made, or a controller that is there can not be handed down.
pub(super) fn hand_down(root: &Path, parent: &Path) -> io::Result<()> {
    let there = CONTROLLERS.into_iter().filter(|it| listed(root, "cgroup.controllers", it));
    let there: Vec<&str> = there.collect();
    let mut handed = hand(root, &there);
    if handed.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::EBUSY as i32)) {
        handed = set_aside(root).and_then(|()| hand(root, &there));
    }
    let made = handed.and_then(|()| make(parent)).and_then(|()| hand(parent, &there));
    made.map_err(|error| {
        let (root, there) = (root.display(), there.join(", "));
        let words = format!("{root} hands no control groups ({there}) down to containers: {error}");
        io::Error::new(error.kind(), words)
    })
}

/// All at once: `cpu` or `pids` alone a group with processes does hand down, and is then a threaded one,
/// from which they can not be moved any more.
fn hand(group: &Path, controllers: &[&str]) -> io::Result<()> {
    let file = "cgroup.subtree_control";
    let more: Vec<String> = controllers
        .iter()
        .filter(|it| !listed(group, file, it))
        .map(|it| format!("+{it}"))
        .collect();
    if more.is_empty() { Ok(()) } else { fs::write(group.join(file), more.join(" ")) }
}

fn listed(group: &Path, file: &str, controller: &str) -> bool {
    let names = fs::read_to_string(group.join(file)).unwrap_or_default();
    names.split_whitespace().any(|name| name == controller)
}

fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Empties a group of processes.
fn set_aside(group: &Path) -> io::Result<()> {
    let aside = group.join(ASIDE);
    make(&aside)?;
    for pid in fs::read_to_string(group.join("cgroup.procs"))?.lines() {
        // It may have ended just now; and if it can not be moved the group stays as busy as it is.
        let _ = fs::write(aside.join("cgroup.procs"), pid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that only look like a group's.
    fn group(dir: &Path, controllers: &str, handed: &str) {
        fs::write(dir.join("cgroup.controllers"), controllers).unwrap();
        fs::write(dir.join("cgroup.subtree_control"), handed).unwrap();
    }

    #[test]
    fn what_is_handed_down_is_left_alone_and_what_is_not_there_is_not_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let parent = root.path().join("fileyard");
        group(root.path(), "cpuset cpu io memory pids", "memory io cpu pids");
        fs::create_dir(&parent).unwrap();
        group(&parent, "cpu memory pids", "memory");
        hand_down(root.path(), &parent).unwrap();
        let handed = |dir: &Path| fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap();
        assert_eq!(handed(root.path()), "memory io cpu pids");
        assert_eq!(handed(&parent), "+cpu +pids");
    }

    #[test]
    fn a_hierarchy_that_takes_nothing_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "memory pids").unwrap();
        fs::create_dir(root.path().join("cgroup.subtree_control")).unwrap();
        let error = hand_down(root.path(), &root.path().join("fileyard")).unwrap_err().to_string();
        assert!(error.contains("(memory, pids)"), "{error}");
        assert!(error.contains(&root.path().display().to_string()), "{error}");
    }
}
