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
use fileyard_orchestrator::engine::{
    HostDirs,
    conformance::{CleanUp, Harness},
    docker::DockerEngine,
};
use fileyard_storage::id::InstallId;

const DRILL: &str = "fileyard/drill:latest";

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
        guard: Box::new(CleanUp { engine: engine.clone(), install, home: Box::new(home) }),
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
