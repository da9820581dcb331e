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

use super::network::{BRIEFLY, RESOLVERS, SILENCE};
use crate::engine::{ContainerSpec, HostDirs, Limits, Reach, seccomp};

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

/// `/tmp`, and every volume that the image declares: those would be made on the host's disk, where
/// nothing bounds them. Programs may be run from there: unpacking and just-in-time compilers do,
/// and `/out` has to allow it anyway.
fn tmpfs(spec: &ContainerSpec, image: &ImageConfig) -> HashMap<String, String> {
    tmpfs_beside(spec.limits, spec.input.as_ref().map(|input| &input.name[..]), image)
}

fn tmpfs_beside(
    limits: Limits,
    input: Option<&str>,
    image: &ImageConfig,
) -> HashMap<String, String> {
    let options = format!("rw,nosuid,nodev,exec,size={},mode=1777", limits.tmp);
    let mounted = input.map(|input| format!("/in/{input}"));
    let volumes = image.volumes.iter().flatten().map(|path| normal(path));
    // What lies in /out is collected from the host's side of it, so nothing may cover it there.
    let free = |path: &String| match &mounted {
        Some(input) => path != input && path != "/" && path != "/out" && !path.starts_with("/out/"),
        None => path != "/",
    };
    volumes.filter(free).chain(["/tmp".into()]).map(|path| (path, options.clone())).collect()
}

/// A path as Docker looks it up: without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_covered_where_docker_looks_it_up_and_never_in_out() {
        let limits = Limits { memory: 1, cpus: 1.0, pids: 1, tmp: 7, file_size: 1, open_files: 1 };
        let volumes =
            ["/a/./b/", "//c//d", "/e/../f", "/out", "/out/sub", "/out/./x", "/in/a.txt", "/"];
        let image = ImageConfig {
            volumes: Some(volumes.map(str::to_owned).into()),
            ..ImageConfig::default()
        };
        let covered = |input| {
            let mut paths: Vec<_> = tmpfs_beside(limits, input, &image).into_keys().collect();
            paths.sort();
            paths
        };
        assert_eq!(covered(Some("a.txt")), ["/a/b", "/c/d", "/f", "/tmp"]);
        // By `urls` nothing is mounted, so a volume there is memory like any other.
        assert_eq!(
            covered(None),
            ["/a/b", "/c/d", "/f", "/in/a.txt", "/out", "/out/sub", "/out/x", "/tmp"]
        );
    }
}
