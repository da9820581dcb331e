//! A process is moved into a group at once, if another was moved just before.
//!
//! The first move after a while waits for a grace period of the kernel's, which on a quiet machine is eight
//! milliseconds, a quarter of what a container costs; the next moves within some ten do not. So whoever is about to
//! make a container moves itself to where it is, meanwhile. It changes nothing, and costs nothing but that wait.

use std::{fs, path::Path};

use super::{ROOT, below};

/// Waits for what the next move would wait for. Where that is not permitted it will.
pub fn hasten() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some((controllers, path)) = own.lines().find_map(hierarchy) else { return };
    let group = below(&Path::new(ROOT).join(controllers), path.as_ref());
    // A process, not a thread: 0 is whoever writes.
    let _ = fs::write(group.join("cgroup.procs"), "0");
}

/// The directory of a hierarchy, and where in it this process is: v2's alone is at the root. What is mounted elsewhere,
/// as beside v1, has no controllers and is none of ours.
fn hierarchy(line: &str) -> Option<(&str, &str)> {
    let (_, line) = line.split_once(':')?;
    let (controllers, path) = line.split_once(':')?;
    Some((controllers, path)).filter(|_| !controllers.starts_with("name="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_directory_and_where_in_it() {
        assert_eq!(hierarchy("8:pids:/a/b"), Some(("pids", "/a/b")));
        assert_eq!(hierarchy("4:cpu,cpuacct:/"), Some(("cpu,cpuacct", "/")));
        assert_eq!(hierarchy("0::/user.slice/x:y"), Some(("", "/user.slice/x:y")));
        assert_eq!(hierarchy("9:name=systemd:/"), None);
        assert_eq!(hierarchy(""), None);
    }
}
