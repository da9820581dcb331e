//! The Docker engine against a real daemon, with the drill image that `script/sample` loads.
//!
//! Each test is an install of its own, and leaves no container behind even when it fails.

#![allow(clippy::unwrap_used, missing_docs)]

mod breaking;
mod endings;
mod hardening;
mod images;
mod logs;
mod network;
#[path = "../outside/mod.rs"]
mod outside;

use std::sync::Arc;

use bollard::{Docker, query_parameters::RemoveImageOptions};
use fileyard_orchestrator::engine::{Engine, HostDirs, conformance::Harness, docker::DockerEngine};
use fileyard_storage::id::InstallId;

const DRILL: &str = "fileyard/drill:latest";

/// Removes what a failed test left, with a runtime of its own: the test's is ending.
struct CleanUp {
    engine: Arc<DockerEngine>,
    install: InstallId,
    _home: tempfile::TempDir,
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        let (engine, install) = (self.engine.clone(), self.install);
        let cleaner = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                for left in engine.list(install).await.unwrap_or_default() {
                    let _ = engine.remove(&left.id).await;
                }
                let networks = engine.networks().unwrap();
                for left in networks.list(install).await.unwrap_or_default() {
                    let _ = networks.remove(&left).await;
                }
            });
        });
        let _ = cleaner.join();
    }
}

fn docker() -> (Harness, Arc<DockerEngine>) {
    let home = tempfile::tempdir().unwrap();
    let dirs = HostDirs::new(home.path().to_owned(), None);
    let engine = Arc::new(DockerEngine::new("", dirs).unwrap());
    let install = InstallId::new();
    let harness = Harness {
        engine: engine.clone(),
        image: DRILL.into(),
        forever: vec!["sleep".into(), "1h".into()],
        install,
        guard: Box::new(CleanUp { engine: engine.clone(), install, _home: home }),
    };
    (harness, engine)
}

/// The daemon itself, for what the engine does not show.
async fn daemon() -> Docker {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let daemon = match host.as_str() {
        "" => Docker::connect_with_socket_defaults(),
        host => Docker::connect_with_host(host),
    };
    daemon.unwrap().negotiate_version().await.unwrap()
}

async fn forget_image(image: &str) {
    let options = None::<RemoveImageOptions>;
    daemon().await.remove_image(image, options, None).await.unwrap();
}

fileyard_orchestrator::engine_conformance!(@ real docker().0);
