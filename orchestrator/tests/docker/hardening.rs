//! What a container may not do: as Docker was told, and as a program in it finds.

use bollard::{models::ContainerConfig, query_parameters::CommitContainerOptions};
use fileyard_orchestrator::engine::{Engine, seccomp};
use serde_json::{Value, json};

use crate::{DRILL, daemon, docker, forget_image};

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
    let found = it.probe(&spec).await;
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
