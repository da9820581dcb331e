//! Who is compared.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use bollard::Docker;
use fileyard_oci::{
    image::{ImportOptions, Store, Tar},
    runtime::Launcher,
};
use fileyard_orchestrator::engine::{
    ContainerId, ContainerSpec, ContainerState, Engine, HostDirs, Limits, Reach, User,
    docker::DockerEngine, oci::OciEngine,
};
use fileyard_storage::id::{AttemptNo, InstallId, JobId};
use futures::StreamExt;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{api, runc::Runc};

pub(crate) const IMAGE: &str = "fileyard/drill:latest";
/// What the program is told.
pub(crate) const ARGUMENTS: [&str; 2] = ["exit", "0"];
/// What it may use, by whichever way.
pub(crate) const LIMITS: Limits = Limits {
    memory: 64 << 20,
    cpus: 1.0,
    pids: 64,
    tmp: 16 << 20,
    file_size: 1 << 20,
    open_files: 1024,
};
pub(crate) const USER: User = User { uid: 65532, gid: 65532 };

/// Somebody who runs the program.
pub(crate) enum Contender {
    /// Nobody: it is a process as any.
    Spawn(PathBuf),
    /// runc, with a directory a container.
    Runc(Runc),
    /// Nobody but the daemon.
    Api(Docker),
    /// One of our engines, and what it stands on.
    Engine {
        name: &'static str,
        slowness: usize,
        engine: Arc<dyn Engine>,
        install: InstallId,
        #[expect(dead_code, reason = "kept")]
        home: TempDir,
    },
}

/// All of them, the plainest first. Docker is among them unless `FILEYARD_BENCH_DOCKER` is 0.
pub(crate) fn all() -> Vec<Contender> {
    let program = variable("FILEYARD_BENCH_PROGRAM");
    let mut all =
        vec![Contender::Spawn(program.clone()), Contender::Runc(Runc::new(&program)), embedded()];
    if env::var("FILEYARD_BENCH_DOCKER").as_deref() != Ok("0") {
        let home = tempfile::tempdir().unwrap();
        let engine = DockerEngine::new("", dirs(home.path())).unwrap();
        all.push(Contender::Api(Docker::connect_with_defaults().unwrap()));
        all.push(Contender::engine("fileyard on Docker", 4, engine, home));
    }
    all
}

fn embedded() -> Contender {
    let home = tempfile::tempdir().unwrap();
    let images = Store::open(&home.path().join("images")).unwrap();
    let tar = variable("FILEYARD_BENCH_IMAGE");
    images.import(Tar::File(&tar), &ImportOptions::default()).unwrap();
    let launcher = Launcher::new(variable("FILEYARD_BENCH_BIN"));
    let engine = OciEngine::new(home.path(), dirs(home.path()), launcher).unwrap();
    Contender::engine("fileyard's own engine", 1, engine, home)
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set; script/bench engines sets it"))
        .into()
}

fn dirs(home: &Path) -> HostDirs {
    HostDirs::new(home.join("tmp/attempts"), None)
}

impl Contender {
    fn engine(
        name: &'static str,
        slowness: usize,
        engine: impl Engine + 'static,
        home: TempDir,
    ) -> Self {
        Self::Engine { name, slowness, engine: Arc::new(engine), install: InstallId::new(), home }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Spawn(_) => "a bare process",
            Self::Runc(_) => "runc",
            Self::Api(_) => "Docker's API",
            Self::Engine { name, .. } => name,
        }
    }

    /// By how much fewer launches say as much.
    pub(crate) fn slowness(&self) -> usize {
        match self {
            Self::Spawn(_) => 1,
            Self::Runc(_) => 2,
            Self::Api(_) => 4,
            Self::Engine { slowness, .. } => *slowness,
        }
    }

    /// One container's whole life.
    pub(crate) async fn once(&self) -> Duration {
        let from = Instant::now();
        match self {
            Self::Spawn(program) => {
                let mut process = Command::new(program);
                process.args(ARGUMENTS).stdin(Stdio::null()).stdout(Stdio::null());
                assert!(process.status().await.unwrap().success());
            }
            Self::Runc(runc) => runc.once().await,
            Self::Api(docker) => api::once(docker).await,
            Self::Engine { engine, install, .. } => once(&**engine, *install).await,
        }
        from.elapsed()
    }
}

async fn once(engine: &dyn Engine, install: InstallId) {
    let id = ContainerId { install, job: JobId::new(), attempt: AttemptNo(1) };
    let spec = ContainerSpec {
        id,
        image: IMAGE.into(),
        entrypoint: Vec::new(),
        command: ARGUMENTS.map(str::to_owned).into(),
        env: [("HOME".to_owned(), "/tmp".to_owned())].into(),
        user: USER,
        limits: LIMITS,
        reach: Reach::NOTHING,
        input: None,
    };
    let mut hints = engine.changes(install);
    engine.start(&spec).await.unwrap();
    loop {
        match engine.inspect(&id).await.unwrap().expect("it is there") {
            ContainerState::Exited(facts) => {
                assert_eq!(facts.code, 0, "{facts:?}");
                break;
            }
            _ => while hints.next().await.expect("hints never end") != id {},
        }
    }
    engine.remove(&id).await.unwrap();
}
