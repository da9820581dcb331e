//! The embedded engine on this machine's kernel, with the drill image that `script/sample` packs.
//!
//! It needs root, control groups, `iptables` and a host that forwards packets, and a built fileyard
//! (FILEYARD_TEST_BIN) to start helpers from. `beside_docker` also needs Docker, and is left out where
//! there is none: in the machine of `script/machine`. Each test has a data directory and an install of its
//! own, and leaves no container behind even when it fails.

#![allow(clippy::unwrap_used, missing_docs)]

mod beside_docker;
mod escapes;
mod hostile;
mod life;
mod limits;
mod network;
#[path = "../outside/mod.rs"]
mod outside;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use fileyard_oci::{
    image::{ImportOptions, Store, Tar},
    runtime::Launcher,
};
use fileyard_orchestrator::engine::{
    HostDirs,
    conformance::{CleanUp, Harness},
    docker::DockerEngine,
    oci::OciEngine,
};
use fileyard_storage::id::InstallId;

const DRILL: &str = "fileyard/drill:latest";

/// A data directory that several engines may have, one after the other.
#[derive(Clone)]
struct Home(Arc<tempfile::TempDir>);

impl Default for Home {
    fn default() -> Self {
        Self(Arc::new(tempfile::tempdir().unwrap()))
    }
}

impl Home {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// An engine on this data directory.
fn engine_in(home: &Home) -> OciEngine {
    let dirs = HostDirs::new(home.path().join("tmp").join("attempts"), None);
    let helper = env::var_os("FILEYARD_TEST_BIN").expect("FILEYARD_TEST_BIN names a fileyard");
    OciEngine::new(home.path(), dirs, Launcher::new(helper.into())).unwrap()
}

/// One that has the drill's image.
fn oci_in(home: &Home) -> Harness {
    oci_on(home, engine_in(home))
}

/// The same, by an engine that a story made.
fn oci_on(home: &Home, engine: OciEngine) -> Harness {
    let images = Store::open(&home.path().join("images")).unwrap();
    if images.find(DRILL).unwrap().is_none() {
        images
            .import(Tar::File(&self::images().join("drill.tar")), &ImportOptions::default())
            .unwrap();
    }
    let engine = Arc::new(engine);
    let install = InstallId::new();
    Harness {
        engine: engine.clone(),
        image: DRILL.into(),
        forever: vec!["sleep".into(), "1h".into()],
        install,
        guard: Box::new(CleanUp { engine, install, home: Box::new(home.clone()) }),
    }
}

/// Where `script/sample` has packed its images.
fn images() -> PathBuf {
    env::var_os("FILEYARD_TEST_IMAGES").expect("FILEYARD_TEST_IMAGES is a directory").into()
}

/// The container's control groups, in every hierarchy that there is, wherever in it they are.
fn groups(container: &str) -> Vec<PathBuf> {
    let (mut found, mut unseen) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(dir) = unseen.pop() {
        let inner = fs::read_dir(&dir).into_iter().flatten().flatten();
        let inner = inner.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
        unseen.extend(inner.map(|it| it.path()));
        found.extend(Some(dir).filter(|dir| dir.ends_with(container)));
    }
    found
}

/// The Docker engine of this machine, for what is to be the same on both.
fn docker_beside() -> Harness {
    let home = tempfile::tempdir().unwrap();
    let engine = DockerEngine::new("", HostDirs::new(home.path().to_owned(), None)).unwrap();
    let (engine, install) = (Arc::new(engine), InstallId::new());
    Harness {
        engine: engine.clone(),
        image: DRILL.into(),
        forever: Vec::new(),
        install,
        guard: Box::new(CleanUp { engine, install, home: Box::new(home) }),
    }
}

fileyard_orchestrator::engine_conformance!(@ real oci_in(&Home::default()));
