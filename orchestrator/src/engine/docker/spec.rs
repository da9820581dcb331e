//! A container's spec in Docker's words: everything is denied that is not asked for.
//!
//! Pure: the same spec on the same daemon is the same request, which a snapshot of what Docker
//! makes of it proves.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, ImageConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum, SystemInfo,
};

use super::network::{BRIEFLY, SILENCE};
use crate::engine::{ContainerSpec, HostDirs, Limits, Reach, network::RESOLVERS, seccomp, volumes};

/// Whose container this is.
pub(super) const INSTALL: &str = "fileyard.install";
pub(super) const JOB: &str = "fileyard.job";
pub(super) const ATTEMPT: &str = "fileyard.attempt";

/// What the daemon keeps of a log: enough for the 16 MiB that fileyard keeps of it, with JSON
/// around each line, should nobody read it while it grows.
const LOG_FILE: &str = "32m";
const LOG_FILES: &str = "2";
/// Docker's own default, said so that it is bounded whatever the daemon's is.
const SHM: i64 = 64 << 20;

/// What Docker is asked to create.
pub(super) fn body(
    spec: &ContainerSpec,
    dirs: &HostDirs,
    image: &ImageConfig,
    daemon: &SystemInfo,
) -> ContainerCreateBody {
    let user = dirs.user(spec.user);
    let silent = !spec.reach.is_nothing() && !spec.reach.internet;
    let resolvers = match spec.reach {
        Reach::NOTHING => None,
        Reach { internet: true, .. } => Some(&RESOLVERS[..]),
        Reach { internet: false, .. } => Some(&SILENCE[..]),
    };
    let strings = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: (!spec.entrypoint.is_empty()).then(|| spec.entrypoint.clone()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        user: Some(format!("{}:{}", user.uid, user.gid)),
        labels: Some(labels(spec)),
        // An image's own health check would run beside the program, on its limits, for nobody.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        host_config: Some(HostConfig {
            mounts: Some(mounts(spec, dirs)),
            tmpfs: Some(tmpfs(spec, image)),
            network_mode: Some(if spec.reach.is_nothing() {
                "none".into()
            } else {
                spec.id.to_string()
            }),
            dns: resolvers.map(strings),
            dns_options: silent.then(|| strings(&BRIEFLY)),
            ipc_mode: Some("private".into()),
            shm_size: Some(SHM),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec![
                "no-new-privileges".into(),
                format!("seccomp={}", *seccomp::PROFILE),
            ]),
            readonly_rootfs: Some(true),
            init: Some(true),
            auto_remove: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(HashMap::from([
                    ("max-size".into(), LOG_FILE.into()),
                    ("max-file".into(), LOG_FILES.into()),
                ])),
            }),
            ..limited(spec.limits, daemon)
        }),
        ..ContainerCreateBody::default()
    }
}

fn labels(spec: &ContainerSpec) -> HashMap<String, String> {
    HashMap::from([
        (INSTALL.into(), spec.id.install.to_string()),
        (JOB.into(), spec.id.job.to_string()),
        (ATTEMPT.into(), spec.id.attempt.to_string()),
    ])
}

/// Mounts, not binds: a bind whose source is not there makes a directory of that name.
fn mounts(spec: &ContainerSpec, dirs: &HostDirs) -> Vec<Mount> {
    let bind = |source: std::path::PathBuf, target: String, read_only| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    };
    let Some(input) = &spec.input else { return Vec::new() };
    vec![
        bind(dirs.input(&spec.id, input), format!("/in/{}", input.name), true),
        bind(dirs.out(&spec.id), "/out".into(), false),
    ]
}

/// Programs may be run from there: unpacking and just-in-time compilers do, and `/out` has to allow
/// it anyway.
fn tmpfs(spec: &ContainerSpec, image: &ImageConfig) -> HashMap<String, String> {
    let options = format!("rw,nosuid,nodev,exec,size={},mode=1777", spec.limits.tmp);
    let paths = volumes::in_memory(spec, image.volumes.as_deref().unwrap_or_default());
    paths.into_iter().map(|path| (path, options.clone())).collect()
}

fn limited(limits: Limits, daemon: &SystemInfo) -> HostConfig {
    let ulimit = |name: &str, most: u64| ResourcesUlimits {
        name: Some(name.into()),
        soft: Some(whole(most)),
        hard: Some(whole(most)),
    };
    HostConfig {
        memory: Some(whole(limits.memory)),
        memory_swap: Some(whole(limits.memory)),
        pids_limit: Some(limits.pids.into()),
        nano_cpus: nano_cpus(limits.cpus, daemon),
        ulimits: Some(vec![
            ulimit("fsize", limits.file_size),
            ulimit("nofile", limits.open_files),
            ulimit("core", 0),
        ]),
        ..HostConfig::default()
    }
}

/// More than the host has is an error to Docker, as is any at all where the kernel has no quotas.
fn nano_cpus(cpus: f64, daemon: &SystemInfo) -> Option<i64> {
    if daemon.cpu_cfs_quota == Some(false) {
        return None;
    }
    let most = daemon.ncpu.filter(|n| *n > 0).map_or(i64::MAX, |n| n * 1_000_000_000);
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and is clamped")]
    let wanted = (cpus * 1e9) as i64;
    Some(wanted.clamp(10_000_000, most))
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
