//! A process is moved into a group at once, if another was moved just before.
//!
//! The first move after a while waits for a grace period of the kernel's, which on a quiet machine is eight
//! milliseconds; the next moves within some ten do not. So whoever is about to make a container moves itself to where it
//! is, meanwhile: which changes nothing.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::Path,
    process,
};

use super::{ROOT, below};

/// Waits for what the next move would wait for. Where that is not permitted, or not certain to change nothing, it will.
pub fn hasten() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified = Path::new(ROOT).join("cgroup.controllers").exists();
    let Some((controllers, path)) = own.lines().find_map(|line| hierarchy(line, unified)) else {
        return;
    };
    let group = below(&Path::new(ROOT).join(controllers), path.as_ref());
    move_to(&group.join("cgroup.procs"), process::id());
}

/// If it is there. What is seen at that path may be another's group: a container's own root is not always its.
fn move_to(procs: &Path, pid: u32) {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(procs) else { return };
    let (mut there, pid) = (String::new(), pid.to_string());
    if file.read_to_string(&mut there).is_ok() && there.lines().any(|line| line == pid) {
        // Refused, the next move waits.
        let _ = file.write_all(pid.as_bytes());
    }
}

/// The directory of a hierarchy, and where in it this process is. v2's is the root where there is no other, and
/// otherwise has no controllers, as v1's that has a name has none.
fn hierarchy(line: &str, unified: bool) -> Option<(&str, &str)> {
    let (_, line) = line.split_once(':')?;
    let (controllers, path) = line.split_once(':')?;
    let ours = controllers.is_empty() == unified && !controllers.starts_with("name=");
    ours.then_some((controllers, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_directory_and_where_in_it() {
        assert_eq!(hierarchy("8:pids:/a/b", false), Some(("pids", "/a/b")));
        assert_eq!(hierarchy("4:cpu,cpuacct:/", false), Some(("cpu,cpuacct", "/")));
        assert_eq!(hierarchy("0::/user.slice/x:y", true), Some(("", "/user.slice/x:y")));
        for beside_v1 in ["0::/", "9:name=systemd:/", ""] {
            assert_eq!(hierarchy(beside_v1, false), None);
        }
        assert_eq!(hierarchy("8:pids:/", true), None);
    }

    #[test]
    fn nobody_moves_where_it_is_not_nor_makes_a_file_that_is_no_group() {
        let dir = tempfile::tempdir().unwrap();
        let procs = dir.path().join("cgroup.procs");
        move_to(&procs, 77);
        assert!(!procs.exists());
        for (there, then) in [("7\n777\n", "7\n777\n"), ("7\n77\n", "7\n77\n77")] {
            fs::write(&procs, there).unwrap();
            move_to(&procs, 77);
            assert_eq!(fs::read_to_string(&procs).unwrap(), then);
        }
    }

    #[test]
    fn it_stays_where_it_is() {
        let before = fs::read_to_string("/proc/self/cgroup").unwrap();
        hasten();
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), before);
    }
}
