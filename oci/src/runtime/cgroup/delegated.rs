//! The control group of a user who is not root: this process's own, where somebody gave it away.
//!
//! systemd marks what it delegates (<https://systemd.io/CGROUP_DELEGATION/>), but not what a user's own
//! systemd does. There, and where there is none, a group in which nobody else is will do: from it nobody
//! but us has to be moved aside. What is handed down from it stays so, whoever manages it: the kernel takes
//! no controller from a group whose children hand it on.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{Access, access, getxattr};

use super::{below, unified::ASIDE};

const MARK: &str = "user.delegate";

/// Where it is, from the hierarchy's root.
pub(super) fn own(root: &Path) -> io::Result<PathBuf> {
    let said = fs::read_to_string("/proc/self/cgroup")?;
    let within = said.lines().find_map(|line| line.strip_prefix("0::"));
    let within = Path::new(within.ok_or_else(|| refused(Path::new("/"), "which is none of v2's"))?);
    // A server moved itself aside, and its helpers begin there.
    let aside = within.parent().filter(|_| within.ends_with(ASIDE));
    let own = aside.unwrap_or(within);
    let group = below(root, own);
    if access(group.join("cgroup.subtree_control"), Access::WRITE_OK).is_err() {
        return Err(refused(own, "which belongs to another user"));
    }
    let alone = || {
        let there = fs::read_to_string(group.join("cgroup.procs"))?;
        io::Result::Ok(there.trim() == process::id().to_string())
    };
    if aside.is_none() && !is_marked(&group) && !alone()? {
        return Err(refused(own, "which others are in, too"));
    }
    Ok(own.to_owned())
}

fn is_marked(group: &Path) -> bool {
    let mut value = [0; 8];
    getxattr(group, MARK, &mut value).is_ok_and(|length| value[..length] == *b"1")
}

/// What keeps somebody who is not root from containers with limits, and the way out.
fn refused(own: &Path, why: &str) -> io::Error {
    let words = format!(
        "without root it needs a control group of its own to limit containers in, and it is in {}, \
         {why}: start it as `systemd-run --user --scope --property=Delegate=yes fileyard serve`, or run \
         it as root",
        own.display()
    );
    io::Error::new(ErrorKind::PermissionDenied, words)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{XattrFlags, setxattr};

    use super::*;

    #[test]
    fn a_group_is_marked_by_one_value_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_marked(dir.path()));
        for (value, marks) in [(&b"0"[..], false), (b"1", true), (b"10", false)] {
            setxattr(dir.path(), MARK, value, XattrFlags::empty()).unwrap();
            assert_eq!(is_marked(dir.path()), marks);
        }
    }
}
