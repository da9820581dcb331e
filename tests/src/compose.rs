//! A `docker-compose` project of a story's own, with the repository's compose.yaml and images that
//! stand in for those it names (`script/stand-ins`).

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{binary::root, docker};

/// A project; it and its volumes are gone when it is dropped.
#[derive(Debug)]
pub struct Compose {
    dir: TempDir,
    name: String,
    image: String,
    port: u16,
    environment: Vec<(&'static str, String)>,
    more: bool,
    jobs: Vec<String>,
}

impl Compose {
    /// With these variables, and these lines as one more compose file unless there are none.
    ///
    /// # Panics
    /// When there is no room for a directory.
    #[must_use]
    pub fn new(environment: &[(&'static str, String)], more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("fileyard-compose").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(dir.path().join("more.yaml"), more).unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = name.to_lowercase();
        let mut environment = environment.to_vec();
        environment.push(("FILEYARD_PORT", port.to_string()));
        let image = format!("fileyard/story-{name}");
        environment.push(("FILEYARD_IMAGE", image.clone()));
        let stand_ins = [("FILEYARD_RUST", "rust"), ("FILEYARD_DEBIAN", "debian")];
        for (variable, image) in stand_ins.into_iter().chain([("FILEYARD_MINIO", "minio")]) {
            environment.push((variable, format!("fileyard/stand-in-{image}:latest")));
        }
        Self { dir, name, image, port, environment, more: !more.is_empty(), jobs: Vec::new() }
    }

    /// Where fileyard is published.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A directory that goes with it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// From now on containers of this job go with it too.
    pub fn started(&mut self, job: &str) {
        self.jobs.push(job.to_owned());
    }

    /// `docker-compose ...`, whatever comes of it.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker-compose");
        command.current_dir(root()).args(["-p", &self.name, "-f", "compose.yaml"]);
        if self.more {
            command.arg("-f").arg(self.dir.path().join("more.yaml"));
        }
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["FILEYARD_", "AWS_", "COMPOSE_"].iter().any(|p| text.starts_with(p)) {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments).output().expect("docker-compose is there")
    }

    /// The same, which must work; what it printed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn must(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}\n{}", words(&done), self.logs());
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn logs(&self) -> String {
        words(&self.run(&["logs", "--no-color", "--tail", "40"]))
    }
}

/// Everything that a program said.
#[must_use]
pub fn words(done: &Output) -> String {
    [&done.stdout[..], &done.stderr[..]].map(String::from_utf8_lossy).concat()
}

impl Drop for Compose {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {}:\n{}----", self.name, self.logs());
        }
        // Its images too would be the stand-ins, which are for the other stories as well.
        let _ = self.run(&["down", "--volumes", "--timeout", "10"]);
        docker::remove_image(&self.image);
        self.jobs.iter().for_each(|job| docker::remove_all_for(job));
    }
}
