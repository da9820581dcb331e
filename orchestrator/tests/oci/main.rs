//! The embedded engine on this machine's kernel, with the drill image that `script/sample` packs.
//!
//! It needs root and control groups, and a built fileyard (FILEYARD_TEST_BIN) to start helpers from.
//! Each test has a data directory and an install of its own, and leaves no container behind even
//! when it fails.

#![allow(clippy::unwrap_used, missing_docs)]

mod life;
mod parity;

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use fileyard_oci::image::{ImportOptions, Store, Tar};
use fileyard_orchestrator::engine::{
    HostDirs,
    conformance::{CleanUp, Harness},
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

/// An engine on this data directory, which has the drill's image afterwards.
fn oci_in(home: &Home) -> Harness {
    let dirs = HostDirs::new(home.path().join("tmp").join("attempts"), None);
    let helper = env::var_os("FILEYARD_TEST_BIN").expect("FILEYARD_TEST_BIN names a fileyard");
    let images = Store::open(&home.path().join("images")).unwrap();
    if images.find(DRILL).unwrap().is_none() {
        let packed =
            env::var_os("FILEYARD_TEST_IMAGES").expect("FILEYARD_TEST_IMAGES is a directory");
        let tar = PathBuf::from(packed).join("drill.tar");
        images.import(Tar::File(&tar), &ImportOptions::default()).unwrap();
    }
    let engine = OciEngine::new(home.path(), dirs, PathBuf::from(helper)).unwrap();
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

fileyard_orchestrator::engine_conformance!(@ real oci_in(&Home::default()));
