//! A yard: a directory of its own with a config and data, on which servers are started and
//! restarted; and where its files are stored.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

use crate::{
    binary,
    docker::{self, Container},
    firewall, leftovers,
    minio::MinIo,
    oci::{self, Image},
    rows::Rows,
    server::{Process, Server},
};

/// A directory with a config, data, and all that the story wants configured.
#[derive(Debug)]
pub struct Yard {
    dir: TempDir,
    store: Store,
    top: String,
    sections: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    engine: Engine,
    images: Vec<Image>,
    file: Option<PathBuf>,
    starts: AtomicU32,
}

/// What runs a yard's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Nothing.
    None,
    /// The Docker daemon that the stories share.
    Docker,
    /// The yard's own.
    Oci,
}

/// Where a yard's files are.
#[derive(Debug)]
pub enum Store {
    /// In its data directory.
    Local,
    /// On a MinIO of its own.
    MinIo(MinIo),
}

/// Which store a story runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Local files.
    Local,
    /// MinIO.
    MinIo,
}

impl On {
    /// A new, empty one.
    pub async fn open(self) -> Store {
        match self {
            Self::Local => Store::Local,
            Self::MinIo => Store::MinIo(MinIo::start().await),
        }
    }
}

impl Yard {
    /// On local files, without an engine: what it names as one is not there.
    ///
    /// # Panics
    /// When there is no room for a directory.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("fileyard-story").tempdir().unwrap();
        let socket = dir.path().join("no-engine.sock");
        let yard = Self {
            dir,
            store: Store::Local,
            top: String::new(),
            sections: Vec::new(),
            environment: Vec::new(),
            engine: Engine::None,
            images: Vec::new(),
            file: None,
            starts: AtomicU32::new(0),
        };
        yard.section(
            "engine",
            &format!("kind = \"docker\"\ndocker_host = \"unix://{}\"", socket.display()),
        )
    }

    /// With the engine that `FILEYARD_TEST_ENGINE` names, `docker` or else `oci`, and the two images
    /// that `script/sample` builds as processors: what is true of one is true of the other.
    ///
    /// # Panics
    /// When it names another.
    #[must_use]
    pub fn with_engine(store: Store) -> Self {
        match std::env::var("FILEYARD_TEST_ENGINE").as_deref() {
            Err(_) | Ok("oci") => Self::with_oci(store),
            Ok("docker") => Self::with_docker(store),
            Ok(other) => panic!("FILEYARD_TEST_ENGINE={other}: it is docker or oci"),
        }
    }

    /// With the embedded engine, and those images in its store.
    #[must_use]
    pub fn with_oci(store: Store) -> Self {
        let mut yard = Self::new().on(store).processors();
        yard.engine = Engine::Oci;
        yard.images.extend(["drill", "sample"].map(Image::packed));
        yard.section("engine", "kind = \"oci\"")
    }

    /// With the Docker engine, and the two images that `script/sample` builds as processors:
    /// `drill`, the default, does what the uploaded file says.
    #[must_use]
    pub fn with_docker(store: Store) -> Self {
        let mut yard = Self::new().on(store).processors();
        yard.engine = Engine::Docker;
        let host = docker::HOST;
        yard.section("engine", &format!("kind = \"docker\"\ndocker_host = \"{host}\""))
    }

    /// With the config of one of `examples/`, exactly as it is there, on the engine that it finds for
    /// itself; where `FILEYARD_TEST_ENGINE` asks for Docker, on that.
    #[must_use]
    pub fn of_example(name: &str) -> Self {
        let mut yard = Self::with_engine(Store::Local).with_example(name);
        yard.file = Some(binary::root().join("examples").join(name).join("fileyard.toml"));
        if yard.engine == Engine::Docker {
            yard = yard.env("FILEYARD_ENGINE__KIND", "docker");
        }
        yard
    }

    /// With the image of one of `examples/`, wherever its engine has images.
    #[must_use]
    pub fn with_example(mut self, name: &str) -> Self {
        if self.engine == Engine::Oci {
            self.images.push(Image::of_example(name));
        }
        self
    }

    /// With those processors, whatever the engine.
    #[must_use]
    pub fn processors(self) -> Self {
        self.top("default_processor = \"drill\"\nconcurrency = 6")
            .processor(
                "drill",
                "image = \"fileyard/drill:latest\"\npull = \"never\"\ngrace = \"1s\"",
            )
            .processor("sample", "image = \"fileyard/sample:latest\"\npull = \"never\"")
    }

    /// With its files there.
    #[must_use]
    pub fn on(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// With these lines at the top of the config.
    #[must_use]
    pub fn top(mut self, lines: &str) -> Self {
        let _ = writeln!(self.top, "{lines}");
        self
    }

    /// With this section instead of the one of that name.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &str) -> Self {
        self.sections.retain(|(other, _)| other != name);
        self.sections.push((name.to_owned(), lines.to_owned()));
        self
    }

    /// With this processor.
    #[must_use]
    pub fn processor(self, name: &str, lines: &str) -> Self {
        self.section(&format!("processors.{name}"), lines)
    }

    /// With this variable in every server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its MinIO, to stop and start.
    ///
    /// # Panics
    /// When its files are elsewhere.
    pub fn minio(&mut self) -> &mut MinIo {
        match &mut self.store {
            Store::MinIo(minio) => minio,
            Store::Local => panic!("this yard's files are local"),
        }
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> Rows {
        Rows::read(&self.data())
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Every container of its install.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn containers(&self) -> Vec<Container> {
        match self.engine {
            Engine::None => Vec::new(),
            Engine::Docker => docker::containers(&self.rows().install).await,
            Engine::Oci => oci::containers(&self.data()),
        }
    }

    /// Every network of its install that anybody but its container knows of: by the embedded engine
    /// only those that lead further.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn networks(&self) -> Vec<String> {
        match self.engine {
            Engine::None => Vec::new(),
            Engine::Docker => docker::networks(&self.rows().install).await,
            Engine::Oci => firewall::devices(&self.rows().install),
        }
    }

    /// A variable in the environment of one of its containers.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn variable(&self, container: &Container, name: &str) -> String {
        match self.engine {
            Engine::None => panic!("there are no containers"),
            Engine::Docker => docker::variable(&container.id, name).await,
            Engine::Oci => oci::variable(&self.data(), container, name),
        }
    }

    /// The config's text.
    #[must_use]
    pub fn config(&self) -> String {
        let mut text = format!("data = \"{}\"\n{}", self.data().display(), self.top);
        let mut section = |name: &str, lines: &str| {
            let _ = writeln!(text, "\n[{name}]\n{lines}");
        };
        if !self.sections.iter().any(|(name, _)| name == "http") {
            section("http", "listen = \"127.0.0.1:0\"");
        }
        if let Store::MinIo(minio) = &self.store {
            section("store", &minio.config());
        }
        for (name, lines) in &self.sections {
            section(name, lines);
        }
        text
    }

    /// The program with this config, `serve` as its first argument, and a clean environment.
    ///
    /// # Panics
    /// When the config can not be written.
    #[must_use]
    pub fn serve(&self) -> Command {
        self.command("serve")
    }

    /// The same with `check` as its first argument.
    ///
    /// # Panics
    /// When the config can not be written.
    #[must_use]
    pub fn check(&self) -> Command {
        self.command("check")
    }

    /// What it is to have of images goes in with the first command: whatever a story mounts as its data
    /// directory is there by then.
    fn command(&self, verb: &str) -> Command {
        if !self.images.is_empty() && !self.data().join("images").exists() {
            self.images.iter().for_each(|image| image.import(self.path(), &self.data()));
        }
        let mut command = program(self.path());
        command.arg(verb).arg("--config");
        if let Some(file) = &self.file {
            command.arg(file).arg("--data").arg(self.data()).args(["--listen", "127.0.0.1:0"]);
        } else {
            let file = self.path().join("fileyard.toml");
            std::fs::write(&file, self.config()).unwrap();
            command.arg(file);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a server, without waiting for anything.
    #[must_use]
    pub fn spawn(&self, environment: &[(&str, &str)]) -> Process {
        let mut command = self.serve();
        command.envs(environment.iter().copied());
        self.spawn_as(command)
    }

    /// The same by a command of the story's own.
    #[must_use]
    pub fn spawn_as(&self, command: Command) -> Process {
        let no = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        Process::spawn(command, self.path().join(format!("server-{no}.log")))
    }

    /// Starts a server on its data, the same as before if there was one.
    pub async fn start(&self) -> Server {
        self.start_with(&[]).await
    }

    /// The same, with more in its environment.
    pub async fn start_with(&self, environment: &[(&str, &str)]) -> Server {
        Server::ready(self.spawn(environment)).await
    }

    /// The same, to be killed at a named step.
    pub async fn start_failing_at(&self, step: &str) -> Server {
        self.start_with(&[("FILEYARD_FAILPOINT", step)]).await
    }
}

impl Default for Yard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Yard {
    /// Whatever a failed story left on the shared engine goes with it.
    fn drop(&mut self) {
        leftovers::unmount_below(&self.data());
        match self.engine {
            Engine::Docker if self.data().join("fileyard.db").is_file() => {
                docker::remove_all_of(&self.rows().install);
            }
            Engine::Oci => oci::remove_all_of(&self.data()),
            Engine::Docker | Engine::None => {}
        }
    }
}

/// The program in a directory, with nothing in its environment that could configure it.
#[must_use]
pub fn program(dir: &Path) -> Command {
    let mut command = Command::new(binary::fileyard());
    command.current_dir(dir);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["FILEYARD_", "AWS_", "DOCKER_", "RUST_LOG"].iter().any(|p| text.starts_with(p)) {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}
