//! Removing what an attempt left on the host, whatever its container made of it.
//!
//! A container may leave directories nobody may write to, and trees deeper than any path or stack.
//! So: by descriptors, following nothing, and a directory found inside another is first moved up to
//! the top, so that the removal is never more than two deep.

use std::{ffi::CStr, io, os::fd::OwnedFd};

use rustix::{
    fs::{AtFlags, Dir, Mode, chmodat, renameat, unlinkat},
    io::Errno,
};

use super::{blocking, descend, quota};
use crate::engine::{ContainerId, HostDirs};

/// Removes the attempt's directory with all in it. One that is gone is left alone; one that was
/// half removed is removed.
///
/// # Errors
/// When something is left. Trying again may help.
pub async fn remove(dirs: &HostDirs, id: &ContainerId) -> io::Result<()> {
    let (root, name, out) = (dirs.root().to_owned(), id.to_string(), dirs.out(id));
    blocking(move || match descend::ours(&root) {
        Ok(root) => quota::unmount(&out).and_then(|()| remove_tree(&root, &name)),
        Err(error) => gone_already(error),
    })
    .await
}

fn remove_tree(parent: &OwnedFd, name: &str) -> io::Result<()> {
    let top = match descend::directory(parent, name) {
        Ok(top) => top,
        Err(error) => return gone_already(error),
    };
    let mut moved = 0;
    while each(&top, |name| match unlinkat(&top, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => empty(&top, name, &mut moved),
        other => Ok(unless_gone(other)?),
    })? {}
    Ok(unless_gone(unlinkat(parent, name, AtFlags::REMOVEDIR))?)
}

/// Removes the directory `name` in `top`; its directories that are not empty become `top`'s.
fn empty(top: &OwnedFd, name: &CStr, moved: &mut u64) -> io::Result<()> {
    let dir = descend::directory(top, name)?;
    loop {
        let some = each(&dir, |name| match unlinkat(&dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => Ok(hoist(&dir, name, top, moved)?),
            other => Ok(unless_gone(other)?),
        })?;
        match unlinkat(top, name, AtFlags::REMOVEDIR) {
            // Some file systems skip names in a directory that changes while it is read.
            Err(Errno::NOTEMPTY | Errno::EXIST) if some => {}
            other => return Ok(unless_gone(other)?),
        }
    }
}

fn hoist(dir: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        other => return unless_gone(other),
    }
    // A directory that moves gets another `..`, for which its owner needs to write to it.
    chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
    loop {
        *moved += 1;
        match renameat(dir, name, top, format!("removed-{moved}")) {
            // Left by a removal that did not come to its end.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            other => return unless_gone(other),
        }
    }
}

/// Calls `f` with each name in `dir`; whether there was one.
fn each(dir: &OwnedFd, mut f: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<bool> {
    let mut some = false;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            some = true;
            f(entry.file_name())?;
        }
    }
    Ok(some)
}

fn unless_gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn gone_already(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use fileyard_storage::id::{AttemptNo, InstallId, JobId};

    use super::*;
    use crate::contract::collect::deep_tree;

    const ID: ContainerId = ContainerId {
        install: InstallId::from_u128(1),
        job: JobId::from_u128(2),
        attempt: AttemptNo(1),
    };

    fn yard() -> (tempfile::TempDir, HostDirs) {
        let dir = tempfile::tempdir().unwrap();
        let dirs = HostDirs::new(dir.path().join("attempts"), None);
        fs::create_dir_all(dirs.out(&ID)).unwrap();
        (dir, dirs)
    }

    #[tokio::test]
    async fn everything_of_the_attempt_goes_and_nothing_else() {
        let (dir, dirs) = yard();
        let kept = dir.path().join("kept");
        fs::write(&kept, "kept").unwrap();
        let neighbour = ContainerId { attempt: AttemptNo(2), ..ID };
        fs::create_dir_all(dirs.out(&neighbour)).unwrap();
        fs::create_dir_all(dirs.log(&ID)).unwrap();
        fs::create_dir_all(dirs.out(&ID).join("a/b/c")).unwrap();
        fs::write(dirs.out(&ID).join("a/b/file"), "x").unwrap();
        fs::hard_link(&kept, dirs.out(&ID).join("hard")).unwrap();
        symlink(&kept, dirs.out(&ID).join("a/soft")).unwrap();
        symlink(dir.path(), dirs.out(&ID).join("up")).unwrap();
        remove(&dirs, &ID).await.unwrap();
        assert!(!dirs.attempt(&ID).exists());
        assert!(dirs.out(&neighbour).exists());
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    }

    #[tokio::test]
    async fn a_second_removal_finds_nothing_and_is_content() {
        let (_dir, dirs) = yard();
        remove(&dirs, &ID).await.unwrap();
        remove(&dirs, &ID).await.unwrap();
        let nowhere = HostDirs::new(dirs.root().join("nowhere"), None);
        remove(&nowhere, &ID).await.unwrap();
    }

    #[tokio::test]
    async fn trees_deeper_than_any_path_or_stack_go_too() {
        let (_dir, dirs) = yard();
        deep_tree(&dirs.out(&ID), 5000);
        remove(&dirs, &ID).await.unwrap();
        assert!(!dirs.attempt(&ID).exists());
    }

    #[tokio::test]
    async fn a_removal_that_did_not_come_to_its_end_is_ended() {
        let (_dir, dirs) = yard();
        for left in ["removed-1", "removed-2"] {
            fs::create_dir_all(dirs.attempt(&ID).join(left).join("a/b")).unwrap();
        }
        fs::write(dirs.attempt(&ID).join("removed-3"), "").unwrap();
        fs::create_dir_all(dirs.out(&ID).join("a/b/c")).unwrap();
        remove(&dirs, &ID).await.unwrap();
        assert!(!dirs.attempt(&ID).exists());
    }

    #[tokio::test]
    async fn directories_nobody_may_write_to_go_too() {
        let (_dir, dirs) = yard();
        fs::create_dir_all(dirs.out(&ID).join("a/b/c")).unwrap();
        fs::write(dirs.out(&ID).join("a/b/file"), "x").unwrap();
        for name in ["a/b/c", "a/b", "a", ""] {
            let mode = fs::Permissions::from_mode(0o000);
            fs::set_permissions(dirs.out(&ID).join(name), mode).unwrap();
        }
        remove(&dirs, &ID).await.unwrap();
        assert!(!dirs.attempt(&ID).exists());
    }

    #[tokio::test]
    async fn many_names_in_many_directories_go_too() {
        let (_dir, dirs) = yard();
        for n in 0..1500 {
            let dir = dirs.out(&ID).join(format!("{n}/x"));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("y"), "").unwrap();
        }
        remove(&dirs, &ID).await.unwrap();
        assert!(!dirs.attempt(&ID).exists());
    }
}
