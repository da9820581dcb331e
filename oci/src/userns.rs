//! User namespaces: where who is not root may mount, and make namespaces of the other kinds.
//!
//! One user and one group are known in it, its maker's own and by their own numbers. All else of the
//! host's is nobody's there, so that a container's program is, whatever it finds, what its maker is
//! without any right. Entering one is for processes with one thread: see [`errand`](crate::errand).

use std::{fs, io, os::fd::AsFd};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
};
use rustix::process::{getegid, geteuid};

/// Whether this process may do without.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Enters a new one.
///
/// # Errors
/// When the system grants none.
pub(crate) fn enter() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    // Or the kernel takes no group: whoever could leave one might be let in where it is kept out.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Enters one that is there.
///
/// # Errors
/// When it is not this user's.
pub(crate) fn join(userns: impl AsFd) -> io::Result<()> {
    Ok(setns(userns.as_fd(), CloneFlags::CLONE_NEWUSER)?)
}

fn refused(error: Errno) -> io::Error {
    let words = format!("a user namespace is not to be had here: {error}");
    io::Error::new(io::Error::from(error).kind(), words)
}

/// Settings that keep users from it, what each is when it does, and the way out.
const SETTINGS: [(&str, &str, &str); 3] = [
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor gives this program no rights in user namespaces: allow it `userns` in a profile \
         (docs/engine.md has one), or run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "only root may make user namespaces here: run `sysctl -w kernel.unprivileged_userns_clone=1`",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "there may be no user namespaces here: run `sysctl -w user.max_user_namespaces=10000`",
    ),
];

/// What may be why a container could not be made without root, in words.
#[must_use]
pub fn obstacle() -> Option<&'static str> {
    obstacle_of(|setting| fs::read_to_string(format!("/proc/sys/{setting}")).ok())
}

fn obstacle_of(is: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let keeps = |setting: &str, when: &str| is(setting).is_some_and(|it| it.trim() == when);
    SETTINGS.iter().find(|(setting, when, _)| keeps(setting, when)).map(|(_, _, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_keeps_users_out_is_named_and_others_are_not() {
        let only = |name: &'static str, value: &'static str| {
            obstacle_of(move |setting| (setting == name).then(|| format!("{value}\n")))
        };
        let of_apparmor = only("kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(of_apparmor.is_some_and(|words| words.starts_with("AppArmor")), "{of_apparmor:?}");
        assert!(only("user/max_user_namespaces", "0").is_some());
        assert_eq!(only("user/max_user_namespaces", "31079"), None);
        assert_eq!(only("kernel/unprivileged_userns_clone", "1"), None);
        assert_eq!(obstacle_of(|_| None), None);
    }
}
