//! Images from a registry on loopback: Debian's `docker-registry`, with and without a password.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::{
    models::ContainerConfig,
    query_parameters::{CommitContainerOptions, PushImageOptions, TagImageOptions},
};
use fileyard_orchestrator::engine::{EngineError, HostDirs, Images, Pull, docker::DockerEngine};
use futures::TryStreamExt;
use tempfile::TempDir;

use crate::{DRILL, daemon, docker, forget_image};

/// A password whose base64 differs between that encoding's two alphabets.
const PASSWORD: &str = "?????~~~~~";
/// `htpasswd -nbB fileyard PASSWORD`
const HTPASSWD: &str = "fileyard:$2y$04$H/PtWz0/MpXKStlivyljhOosK/lVMjrpEsiZi9a.y0F4GaK2B8mVy";

struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    /// A registry over `storage`, with a password or without one.
    async fn start(home: &Path, locked: bool) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let host = address.to_string();
        let (storage, passwords) = (home.join("storage"), home.join("htpasswd"));
        fs::write(&passwords, HTPASSWD).unwrap();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            storage.display()
        );
        if locked {
            let path = passwords.display();
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {path}\n");
        }
        let file = home.join(format!("{}.yml", address.port()));
        fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry: script/bootstrap registry");
        let mut registry = Self { process, host };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                return registry;
            }
            assert!(registry.process.try_wait().unwrap().is_none(), "docker-registry ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not answer");
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts the drill into a registry without a password.
async fn push(open: &Registry) {
    let daemon = daemon().await;
    let repo = open.image("drill");
    let tag = TagImageOptions { repo: Some(repo.clone()), tag: Some("1".into()) };
    daemon.tag_image(DRILL, Some(tag)).await.unwrap();
    let options = PushImageOptions { tag: Some("1".into()), ..Default::default() };
    let pushed = daemon.push_image(&repo, Some(options), None);
    pushed.try_collect::<Vec<_>>().await.unwrap();
    forget_image(&format!("{repo}:1")).await;
}

fn engine(home: &TempDir, config: &str) -> DockerEngine {
    let file = home.path().join("config.json");
    fs::write(&file, config).unwrap();
    let dirs = HostDirs::new(home.path().join("attempts"), None);
    DockerEngine::new("", dirs).unwrap().with_docker_config(file)
}

async fn ensure(engine: &DockerEngine, image: &str, pull: Pull) -> Result<String, EngineError> {
    let said = Mutex::new(String::new());
    let progress = |line: String| *said.lock().unwrap() += &format!("{line}\n");
    engine.ensure(image, pull, &progress).await?;
    Ok(said.into_inner().unwrap())
}

#[tokio::test]
async fn an_image_is_pulled_once_always_or_never() {
    let home = TempDir::new().unwrap();
    let open = Registry::start(home.path(), false).await;
    push(&open).await;
    let (engine, image) = (engine(&home, "{}"), open.image("drill:1"));

    let never = ensure(&engine, &image, Pull::Never).await;
    assert_eq!(never, Err(EngineError::NoImage(image.clone())));
    let said = ensure(&engine, &image, Pull::Missing).await.unwrap();
    assert!(said.contains("Pulling from drill"), "{said}");
    for there in [Pull::Missing, Pull::Never] {
        assert_eq!(ensure(&engine, &image, there).await.unwrap(), "");
    }
    let said = ensure(&engine, &image, Pull::Always).await.unwrap();
    assert!(said.contains("Image is up to date"), "{said}");

    let wrong = ensure(&engine, &open.image("nothing:1"), Pull::Missing).await;
    assert!(
        matches!(&wrong, Err(EngineError::Rejected(words)) if words.contains("nothing")),
        "{wrong:?}"
    );
    drop(open);
    let away = ensure(&engine, &image, Pull::Always).await;
    assert!(matches!(away, Err(EngineError::Trouble(_))), "{away:?}");
    assert_eq!(ensure(&engine, &image, Pull::Missing).await.unwrap(), "");
    forget_image(&image).await;
}

#[tokio::test]
async fn a_container_is_made_of_the_image_whose_digest_it_is_given_though_the_name_moved() {
    let (it, engine) = docker();
    let daemon = daemon().await;
    let (repo, tag) = ("fileyard/moving".to_owned(), it.install.to_string());
    let name = format!("{repo}:{tag}");
    let first = TagImageOptions { repo: Some(repo.clone()), tag: Some(tag.clone()) };
    daemon.tag_image(DRILL, Some(first)).await.unwrap();
    let before = engine.resolve(&name).await.unwrap().unwrap();

    let mut spec = it.spec(&["exit", "0"]);
    it.run(&spec).await;
    let container = Some(spec.id.to_string());
    let moved = CommitContainerOptions {
        container,
        repo: Some(repo),
        tag: Some(tag),
        ..Default::default()
    };
    daemon.commit_container(moved, ContainerConfig::default()).await.unwrap();
    it.remove(&spec).await;
    assert_ne!(engine.resolve(&name).await.unwrap(), Some(before.clone()));

    spec.image = before.clone();
    assert_eq!(it.run(&spec).await.code, 0);
    let made = daemon.inspect_container(&spec.id.to_string(), None).await.unwrap();
    assert_eq!(made.image, Some(before));
    it.remove(&spec).await;
    forget_image(&name).await;
    it.leaves_nothing().await;
}

#[tokio::test]
async fn a_registry_s_password_is_docker_s_own() {
    let home = TempDir::new().unwrap();
    push(&Registry::start(home.path(), false).await).await;
    let locked = Registry::start(home.path(), true).await;
    let image = locked.image("drill:1");

    let config = |password: &str| {
        let auth = STANDARD.encode(format!("fileyard:{password}"));
        format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, locked.host)
    };
    let helper = format!(r#"{{"credHelpers": {{"{}": "pass"}}}}"#, locked.host);
    for (config, hint) in [
        ("{}".to_owned(), "docker login"),
        (config("wrong"), "unauthorized"),
        (helper, "docker-credential-pass"),
    ] {
        match ensure(&engine(&home, &config), &image, Pull::Missing).await {
            Err(EngineError::Rejected(words)) => assert!(words.contains(hint), "{words}"),
            other => panic!("{other:?}"),
        }
    }
    ensure(&engine(&home, &config(PASSWORD)), &image, Pull::Missing).await.unwrap();
    forget_image(&image).await;
}
