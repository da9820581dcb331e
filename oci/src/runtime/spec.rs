//! A request in the words of the OCI runtime specification: what is not asked for is denied.
//!
//! Pure, apart from where things are mounted and whether that is by root: the same request is the same
//! bundle. Of system calls it says nothing: see [`Filter`](super::Filter). Mounts, masked and read-only paths
//! are Docker's
//! (<https://github.com/moby/moby/blob/v20.10.24/oci/defaults.go>).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{
    Cgroups, Request,
    rootfs::{FILES_IN_ETC, HOSTNAME, Root},
};
use crate::userns;

/// One period of a quota of processor time, in microseconds. The kernel's own default.
const PERIOD: u64 = 100_000;
/// The least that the kernel takes as a quota, in microseconds.
const LEAST_QUOTA: f64 = 1000.0;

/// What `config.json` of the bundle says.
pub(super) fn spec(request: &Request, root: &Root, cgroups: &Cgroups) -> Value {
    let namespaces = ["pid", "mount", "ipc", "uts", "cgroup"];
    let (uid, gid) = request.user;
    // Who is not root can neither take up a group nor lay one down.
    let groups: &[u32] = if userns::is_root() { &[gid] } else { &[] };
    json!({
        "ociVersion": "1.0.2",
        "hostname": HOSTNAME,
        "root": { "path": root.merged, "readonly": true },
        "mounts": mounts(request, root),
        "process": {
            "terminal": false,
            "user": { "uid": uid, "gid": gid, "additionalGids": groups },
            "args": request.args,
            // Without a HOME the runtime would look for one, by libraries that the image has.
            "env": ["HOME=/"],
            "cwd": request.working_dir,
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []
            },
            "rlimits": [
                rlimit("RLIMIT_FSIZE", request.limits.file_size),
                rlimit("RLIMIT_NOFILE", request.limits.open_files),
                rlimit("RLIMIT_CORE", 0),
            ],
        },
        "linux": {
            "cgroupsPath": cgroups.path(&request.name),
            // The network's is the helper's own by then: see `Network`.
            "namespaces": namespaces.map(|kind| json!({ "type": kind })),
            "resources": resources(request, cgroups),
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
            ],
            "readonlyPaths": read_only(cgroups),
        },
    })
}

/// Control groups among them: of v1's mounts the runtime does not heed that they are to be read-only,
/// and root in a container owns the files of its own group. Without root the program owns `/dev`, too.
fn read_only(cgroups: &Cgroups) -> Vec<PathBuf> {
    let kernel = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
    let kernel = kernel.map(|name| Path::new("/proc").join(name));
    let devices = Some(PathBuf::from("/dev")).filter(|_| !userns::is_root());
    kernel.into_iter().chain(cgroups.shown()).chain(devices).collect()
}

fn rlimit(kind: &str, most: u64) -> Value {
    json!({ "type": kind, "soft": most, "hard": most })
}

fn resources(request: &Request, cgroups: &Cgroups) -> Value {
    let limits = &request.limits;
    let mut resources = json!({
        "memory": { "limit": limits.memory },
        "pids": { "limit": limits.pids },
        // What is harmless in /dev is let through by the runtime itself.
        "devices": [{ "allow": false, "access": "rwm" }],
    });
    match (cgroups.counts_swap, cgroups.unified) {
        // Counted apart from memory, and the runtime's own way leaves out a limit of 0.
        (true, true) => resources["unified"] = json!({ "memory.swap.max": "0" }),
        (true, false) => resources["memory"]["swap"] = json!(limits.memory),
        (false, _) => {}
    }
    if cgroups.has_quotas {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "it saturates"
        )]
        let quota = (limits.cpus * PERIOD as f64).max(LEAST_QUOTA) as i64;
        resources["cpu"] = json!({ "quota": quota, "period": PERIOD });
    }
    resources
}

fn mounts(request: &Request, root: &Root) -> Vec<Value> {
    let kernel = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let quiet = ["nosuid", "noexec", "nodev"];
    let in_memory = |mode: &str, size: u64, exec: bool| {
        let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
        options.extend((!exec).then(|| "noexec".to_owned()));
        options.extend([format!("mode={mode}"), format!("size={size}")]);
        options
    };
    let mut terminals = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // Nobody's group, where only one user's own is known.
    terminals.extend(userns::is_root().then_some("gid=5"));
    let mut mounts = vec![
        kernel("/proc", "proc", &quiet),
        kernel("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        kernel("/dev/pts", "devpts", &terminals),
        kernel("/dev/mqueue", "mqueue", &quiet),
        json!({
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": in_memory("1777", 64 << 20, false),
        }),
        kernel("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        kernel("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ];
    for file in FILES_IN_ETC {
        mounts.push(bind(&root.etc.join(file), &Path::new("/etc").join(file), true));
    }
    // Those that lie in another come after it.
    let mut tmpfs: Vec<_> = request.tmpfs.iter().collect();
    tmpfs.sort_by_key(|tmpfs| tmpfs.target.components().count());
    for tmpfs in tmpfs {
        mounts.push(json!({
            "destination": tmpfs.target, "type": "tmpfs", "source": "tmpfs",
            "options": in_memory("1777", tmpfs.size, true),
        }));
    }
    mounts.extend(request.binds.iter().map(|it| bind(&it.source, &it.target, it.read_only)));
    mounts
}

fn bind(source: &Path, target: &Path, read_only: bool) -> Value {
    let access = if read_only { "ro" } else { "rw" };
    json!({
        "destination": target, "type": "bind", "source": source,
        "options": ["bind", "rprivate", "nosuid", "nodev", access],
    })
}
