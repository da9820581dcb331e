//! What a container may not do: as Docker was told, and as a program in it finds.

use std::fs;

use bollard::{models::ContainerConfig, query_parameters::CommitContainerOptions};
use fileyard_orchestrator::engine::{ContainerSpec, Engine, conformance::Harness, seccomp};
use serde_json::{Value, json};

use crate::{DRILL, daemon, docker, forget_image};

/// What the drill found out from inside.
async fn probe(it: &Harness, spec: &ContainerSpec) -> Value {
    assert_eq!(it.run(spec).await.code, 0);
    let result = fs::read(it.dirs().out(&spec.id).join("result.json")).unwrap();
    serde_json::from_slice(&result).unwrap()
}

#[tokio::test]
async fn docker_was_told_to_deny_everything() {
    let (it, _) = docker();
    let spec = it.spec(&["exit", "0"]);
    it.run(&spec).await;
    let name = spec.id.to_string();
    let found = daemon().await.inspect_container(&name, None).await.unwrap();
    let found = serde_json::to_value(&found).unwrap();
    let host = &found["HostConfig"];
    assert_eq!(host["SecurityOpt"][1], format!("seccomp={}", *seccomp::PROFILE));

    let pick = |from: &Value, keys: &[&str]| -> Value {
        keys.iter().map(|&key| (key.to_owned(), from[key].clone())).collect()
    };
    let mut told = json!({
        "config": pick(&found["Config"], &[
            "User", "Env", "Cmd", "Image", "Healthcheck", "Labels", "Tty", "OpenStdin",
        ]),
        "host": pick(host, &[
            "Binds", "CapAdd", "CapDrop", "CpuQuota", "Devices", "IpcMode", "Init", "LogConfig",
            "Memory", "MemorySwap", "NanoCpus", "NetworkMode", "OomKillDisable", "PidMode",
            "PidsLimit", "PortBindings", "Privileged", "ReadonlyRootfs", "RestartPolicy",
            "ShmSize", "Tmpfs", "Ulimits", "UTSMode", "VolumesFrom", "Mounts",
        ]),
        "security": host["SecurityOpt"][0],
    });
    let labels = &mut told["config"]["Labels"];
    assert_eq!(labels["fileyard.install"], it.install.to_string());
    assert_eq!(labels["fileyard.job"], spec.id.job.to_string());
    labels["fileyard.install"] = "[install]".into();
    labels["fileyard.job"] = "[job]".into();
    let told = serde_json::to_string_pretty(&told).unwrap();
    let attempt = it.dirs().attempt(&spec.id);
    insta::assert_snapshot!(told.replace(attempt.to_str().unwrap(), "[attempt]"));
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_program_finds_itself_without_rights() {
    let (it, _) = docker();
    let spec = it.spec(&["probe"]);
    let found = probe(&it, &spec).await;

    let user = it.dirs().user(spec.user);
    assert_eq!((&found["uid"], &found["gid"]), (&json!(user.uid), &json!(user.gid)));
    assert_eq!(found["groups"], json!([user.gid]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(found["status"][set], "0000000000000000", "{set}");
    }
    assert_eq!(found["status"]["NoNewPrivs"], "1");
    assert_eq!(found["status"]["Seccomp"], "2");
    assert_eq!(found["root_read_only"], true);
    let writable = |dir: &str| found["writable"][dir].as_str().unwrap().to_owned();
    assert_eq!(writable("/"), "EROFS");
    assert_ne!(writable("/in"), "ok");
    assert_ne!(writable("/dev"), "ok");
    assert_eq!(writable("/out"), "ok");
    assert_eq!(writable("/tmp"), "ok");
    let mounts = found["mounts"].as_array().unwrap();
    let mount = |target: &str| {
        let mount = mounts.iter().find(|mount| mount["target"] == target).unwrap();
        mount["options"].as_str().unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(mount("/in/input.txt").contains(&"ro".to_owned()));
    for option in ["rw", "nosuid", "nodev"] {
        assert!(mount("/tmp").contains(&option.to_owned()), "{option}");
    }
    assert_eq!(found["tmp"]["size"], json!(spec.limits.tmp));

    assert_eq!(found["interfaces"], json!(["lo"]));
    let dialled = found["dial"].as_object().unwrap();
    assert!(dialled.values().all(|outcome| outcome == "ENETUNREACH"), "{dialled:?}");
    let limit = |name: &str| found["limits"][name].clone();
    assert_eq!(
        limit("fsize"),
        json!({"soft": spec.limits.file_size, "hard": spec.limits.file_size})
    );
    assert_eq!(limit("nofile")["hard"], json!(spec.limits.open_files));
    assert_eq!(limit("core"), json!({"soft": 0, "hard": 0}));
    let processes = found["processes"].as_array().unwrap();
    assert!(processes.len() <= 2, "init and the drill: {processes:?}");

    let calls = found["syscalls"].as_object().unwrap();
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
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_volume_that_an_image_declares_is_no_place_on_the_host_s_disk() {
    let (mut it, _) = docker();
    let daemon = daemon().await;
    let made = it.spec(&["exit", "0"]);
    it.run(&made).await;
    let (repo, tag) = ("fileyard/volumed", it.install.to_string());
    let options = CommitContainerOptions {
        container: Some(made.id.to_string()),
        repo: Some(repo.to_owned()),
        tag: Some(tag.clone()),
        changes: Some("VOLUME /data".into()),
        ..Default::default()
    };
    daemon.commit_container(options, ContainerConfig::default()).await.unwrap();
    it.remove(&made).await;

    it.image = format!("{repo}:{tag}");
    let spec = it.spec(&["fill", "/data/much", "1MiB", "probe"]);
    let found = probe(&it, &spec).await;
    let mounts = found["mounts"].as_array().unwrap();
    let data = mounts.iter().find(|mount| mount["target"] == "/data").unwrap();
    assert_eq!(data["type"], "tmpfs", "{data}");
    it.remove(&spec).await;
    forget_image(&it.image).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn more_processors_than_the_host_has_are_all_it_has() {
    let (it, engine) = docker();
    let mut spec = it.spec(&["exit", "0"]);
    spec.limits.cpus = 10_000.0;
    assert!(engine.start(&spec).await.is_ok());
    it.exit(&spec.id).await;
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn the_daemon_here_can_do_what_jobs_need() {
    let (_it, engine) = docker();
    let report = engine.check().await.unwrap();
    assert_eq!(report.refusals, Vec::<String>::new());
    assert!(!report.version.is_empty());
    assert!(daemon().await.inspect_image(DRILL).await.is_ok());
}
