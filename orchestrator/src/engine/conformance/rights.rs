//! What a program in a container finds itself able to do, on an engine that has a kernel under it.

use std::fs;

use serde_json::{Value, json};

use super::Harness;
use crate::engine::ContainerSpec;

impl Harness {
    /// What the drill found out from inside; the spec's last verb is `probe`.
    pub async fn probe(&self, spec: &ContainerSpec) -> Value {
        assert_eq!(self.run(spec).await.code, 0);
        let result = fs::read(self.dirs().out(&spec.id).join("result.json")).expect("a result");
        serde_json::from_slice(&result).expect("JSON")
    }
}

/// Nothing that it was not given.
pub async fn a_program_finds_itself_without_rights(it: &Harness) {
    let spec = it.spec(&["probe"]);
    let found = it.probe(&spec).await;

    let user = it.dirs().user(spec.user);
    assert_eq!((&found["uid"], &found["gid"]), (&json!(user.uid), &json!(user.gid)));
    assert_eq!(found["groups"], json!([user.gid]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(found["status"][set], "0000000000000000", "{set}");
    }
    assert_eq!(found["status"]["NoNewPrivs"], "1");
    assert_eq!(found["status"]["Seccomp"], "2");
    assert_eq!(found["root_read_only"], true);
    let writable = |dir: &str| found["writable"][dir].as_str().expect("it is there").to_owned();
    assert_eq!(writable("/"), "EROFS");
    assert_ne!(writable("/in"), "ok");
    assert_ne!(writable("/dev"), "ok");
    assert_eq!(writable("/out"), "ok");
    assert_eq!(writable("/tmp"), "ok");
    let mounts = found["mounts"].as_array().expect("it is there");
    let mount = |target: &str| {
        let mount = mounts.iter().find(|mount| mount["target"] == target).expect("it is there");
        mount["options"]
            .as_str()
            .expect("it is there")
            .split(',')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(mount("/in/input.txt").contains(&"ro".to_owned()));
    for option in ["rw", "nosuid", "nodev"] {
        assert!(mount("/tmp").contains(&option.to_owned()), "{option}");
    }
    assert_eq!(found["tmp"]["size"], json!(spec.limits.tmp));

    assert_eq!(found["interfaces"], json!(["lo"]));
    let dialled = found["dial"].as_object().expect("it is there");
    assert!(dialled.values().all(|outcome| outcome == "ENETUNREACH"), "{dialled:?}");
    let limit = |name: &str| found["limits"][name].clone();
    assert_eq!(
        limit("fsize"),
        json!({"soft": spec.limits.file_size, "hard": spec.limits.file_size})
    );
    assert_eq!(limit("nofile")["hard"], json!(spec.limits.open_files));
    assert_eq!(limit("core"), json!({"soft": 0, "hard": 0}));
    let processes = found["processes"].as_array().expect("it is there");
    assert!(processes.len() <= 2, "init and the drill: {processes:?}");

    let calls = found["syscalls"].as_object().expect("it is there");
    // Allowed, as by Docker: its own init is a process of its own user, and the netlink of an empty
    // network reaches nobody.
    let harmless = ["ptrace_init", "socket_netlink_audit"];
    for (call, outcome) in calls.iter().filter(|(call, _)| !harmless.contains(&call.as_str())) {
        assert_ne!(outcome, "ok", "{call}");
    }
    for denied in ["io_uring_setup", "keyctl", "add_key", "unshare_user", "clone_user", "bpf"] {
        assert_eq!(calls[denied], "EPERM", "{denied}");
    }
    it.remove(&spec).await;
}
