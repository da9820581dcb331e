//! Docker's API alone, asked for the isolation and limits that our engine asks it for: create, start, wait, remove.

use std::collections::HashMap;

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptions, RemoveContainerOptions, StartContainerOptions, WaitContainerOptions,
    },
};
use fileyard_orchestrator::engine::seccomp;
use futures::StreamExt;

use crate::contender::{ARGUMENTS, IMAGE, LIMITS, USER};

/// One container's whole life, by as few calls as it takes.
pub(crate) async fn once(docker: &Docker) {
    let mounts = format!("size={},mode=1777,exec", LIMITS.tmp);
    let host = HostConfig {
        network_mode: Some("none".into()),
        ipc_mode: Some("private".into()),
        readonly_rootfs: Some(true),
        init: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec![
            "no-new-privileges".into(),
            format!("seccomp={}", *seccomp::PROFILE),
        ]),
        tmpfs: Some(HashMap::from([("/tmp".into(), mounts)])),
        memory: Some(LIMITS.memory.cast_signed()),
        memory_swap: Some(LIMITS.memory.cast_signed()),
        pids_limit: Some(LIMITS.pids.into()),
        nano_cpus: Some((LIMITS.cpus * 1e9) as i64),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(IMAGE.into()),
        cmd: Some(ARGUMENTS.map(str::to_owned).into()),
        env: Some(vec!["HOME=/tmp".into()]),
        user: Some(format!("{}:{}", USER.uid, USER.gid)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    let id = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
    docker.start_container(&id, None::<StartContainerOptions>).await.unwrap();
    let ended = docker.wait_container(&id, None::<WaitContainerOptions>).next().await;
    assert_eq!(ended.expect("an answer").unwrap().status_code, 0);
    docker.remove_container(&id, None::<RemoveContainerOptions>).await.unwrap();
}
