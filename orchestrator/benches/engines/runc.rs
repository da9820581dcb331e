//! runc, with what our engines give a container: namespaces, no capabilities, the same system calls, a
//! read-only root, the same limits.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use fileyard_orchestrator::engine::seccomp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::contender::{ARGUMENTS, LIMITS, USER};

/// A root with the program in it, which all containers have, and how many there were.
pub(crate) struct Runc {
    dir: TempDir,
    root: PathBuf,
    count: AtomicUsize,
}

impl Runc {
    pub(crate) fn new(program: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for within in ["proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(within)).unwrap();
        }
        fs::copy(program, root.join("program")).unwrap();
        Self { dir, root, count: AtomicUsize::new(0) }
    }

    /// `runc run` ends when the container has, and nothing of it is left.
    pub(crate) async fn once(&self) {
        let name = format!(
            "fileyard-bench-{}-{}",
            std::process::id(),
            self.count.fetch_add(1, Ordering::Relaxed)
        );
        let bundle = self.dir.path().join(&name);
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join("config.json"), self.config(&name).to_string()).unwrap();
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.dir.path().join("state"));
        runc.args(["run", "--bundle"]).arg(&bundle).arg(&name);
        let done = runc.stdin(Stdio::null()).output().await.expect("runc is installed");
        assert!(done.status.success(), "runc: {}", String::from_utf8_lossy(&done.stderr));
        fs::remove_dir_all(&bundle).unwrap();
    }

    fn config(&self, name: &str) -> Value {
        let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
        let namespaces: Vec<Value> = namespaces.iter().map(|it| json!({"type": it})).collect();
        let args = [&["/program"][..], &ARGUMENTS[..]].concat();
        let tmp = format!("size={}", LIMITS.tmp);
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "args": args,
                "cwd": "/",
                "env": ["HOME=/tmp"],
                "user": {"uid": USER.uid, "gid": USER.gid},
                "capabilities": {},
                "noNewPrivileges": true,
                "rlimits": [
                    {"type": "RLIMIT_NOFILE", "soft": LIMITS.open_files, "hard": LIMITS.open_files},
                    {"type": "RLIMIT_FSIZE", "soft": LIMITS.file_size, "hard": LIMITS.file_size},
                ],
            },
            "root": {"path": self.root, "readonly": true},
            "hostname": "fileyard",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", tmp]},
            ],
            "linux": {
                "cgroupsPath": format!("/fileyard-bench/{name}"),
                "namespaces": namespaces,
                "seccomp": &*seccomp::RULES,
                "resources": {
                    "devices": [{"allow": false, "access": "rwm"}],
                    "memory": {"limit": LIMITS.memory, "swap": LIMITS.memory},
                    "pids": {"limit": LIMITS.pids},
                    "cpu": {"quota": (LIMITS.cpus * 1e5) as i64, "period": 100_000},
                },
                "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        })
    }
}
