//! Which system calls a container may make: one profile for every engine.
//!
//! `seccomp.json` means what Docker's default profile means for a container without capabilities
//! (<https://docs.docker.com/engine/security/seccomp/>), on x86-64 and arm64, and is in the shape
//! that both Docker and the OCI runtime specification read. Unlike the default of older daemons it
//! lets neither `io_uring` nor `AF_ALG` sockets through; no profile of Docker's allows keyrings. And no file
//! is leased: without root it may be the server's, who would wait for it.

use std::sync::LazyLock;

/// The profile, without its comments.
pub static RULES: LazyLock<serde_json::Value> = LazyLock::new(|| {
    let mut profile: serde_json::Value =
        serde_json::from_str(include_str!("seccomp.json")).expect("the profile is JSON");
    let rules = profile["syscalls"].as_array_mut().expect("it has rules");
    for rule in rules {
        rule.as_object_mut().expect("a rule is an object").remove("comment");
    }
    profile
});

/// The same as one line of JSON.
pub static PROFILE: LazyLock<String> = LazyLock::new(|| RULES.to_string());

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::PROFILE;

    /// What the profile has to say about a call: its action and its arguments' conditions.
    fn rules() -> BTreeMap<String, Vec<(String, usize)>> {
        let profile: Value = serde_json::from_str(&PROFILE).expect("JSON");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for rule in profile["syscalls"].as_array().expect("rules") {
            let action = rule["action"].as_str().expect("an action");
            let conditions = rule["args"].as_array().map_or(0, Vec::len);
            for name in rule["names"].as_array().expect("names") {
                let name = name.as_str().expect("a name").to_owned();
                rules.entry(name).or_default().push((action.to_owned(), conditions));
            }
        }
        rules
    }

    #[test]
    fn what_reaches_into_the_kernel_is_not_allowed() {
        let rules = rules();
        for denied in [
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "keyctl",
            "add_key",
            "request_key",
            "bpf",
            "mount",
            "umount2",
            "unshare",
            "setns",
            "userfaultfd",
            "perf_event_open",
            "kexec_load",
            "init_module",
            "finit_module",
            "open_by_handle_at",
            "open_tree",
            "move_mount",
            "fsopen",
            "pivot_root",
            "chroot",
            "reboot",
            "swapon",
            "quotactl",
            "clock_settime",
            "settimeofday",
            "sethostname",
            "ioperm",
            "iopl",
            "lookup_dcookie",
            "vhangup",
            "acct",
            "syslog",
            "mbind",
            "move_pages",
            "kcmp",
        ] {
            assert_eq!(rules.get(denied), None, "{denied}");
        }
    }

    #[test]
    fn some_are_allowed_by_their_arguments_alone() {
        for (name, rules) in rules() {
            let conditional =
                matches!(name.as_str(), "socket" | "personality" | "clone" | "fcntl" | "fcntl64");
            match name.as_str() {
                "clone3" => assert_eq!(rules, [("SCMP_ACT_ERRNO".to_owned(), 0)]),
                _ if conditional => assert!(rules.iter().all(|(_, args)| *args == 1), "{name}"),
                _ => assert_eq!(rules, [("SCMP_ACT_ALLOW".to_owned(), 0)], "{name}"),
            }
        }
    }
}
