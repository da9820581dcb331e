//! What the embedded engine has of a yard, looked at beside fileyard: directories, processes and
//! control groups.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{binary, docker::Container, yard::program};

/// An image in a file, and how it is imported.
#[derive(Debug)]
pub(crate) struct Image {
    tar: PathBuf,
    options: Vec<String>,
}

impl Image {
    /// One that `script/sample` packs.
    pub(crate) fn packed(name: &str) -> Self {
        Self { tar: packed(name), options: Vec::new() }
    }

    /// One that `script/examples` makes: a root file system, which has no name of its own.
    pub(crate) fn of_example(name: &str) -> Self {
        let tag = format!("--tag=fileyard/example-{name}");
        let options = vec![tag, "--env=LANG=C.UTF-8".into()];
        Self { tar: images().join(format!("examples/{name}.tar")), options }
    }

    /// Puts it into the store of a data directory.
    ///
    /// # Panics
    /// When it is not there, or can not be put there.
    pub(crate) fn import(&self, dir: &Path, data: &Path) {
        let mut import = program(dir);
        import.args(["image", "import"]).arg(&self.tar).args(&self.options).arg("--data").arg(data);
        let done = import.output().expect("the program runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// The tar of an image that `script/sample` packs.
#[must_use]
pub fn packed(name: &str) -> PathBuf {
    images().join(format!("{name}.tar"))
}

fn images() -> PathBuf {
    let images = std::env::var_os("FILEYARD_TEST_IMAGES").map(PathBuf::from);
    images.unwrap_or_else(|| binary::root().join("target/images"))
}

/// Every container of a data directory.
#[must_use]
pub fn containers(data: &Path) -> Vec<Container> {
    let there = fs::read_dir(data.join("tmp/containers")).into_iter().flatten().flatten();
    let state = |dir: &Path| match dir.join("exit.json").exists() {
        true => "exited",
        false if dir.join("begun").exists() => "running",
        false => "created",
    };
    there
        .map(|dir| {
            let name = dir.file_name().to_string_lossy().into_owned();
            Container { id: name.clone(), name, state: state(&dir.path()).into() }
        })
        .collect()
}

/// A variable in the environment of a container.
pub(crate) fn variable(data: &Path, container: &Container, name: &str) -> String {
    let request = data.join("tmp/containers").join(&container.name).join("request.json");
    let request: Value =
        serde_json::from_slice(&fs::read(request).expect("it is there")).expect("it is JSON");
    let env = request["env"].as_array().expect("it has an environment").iter();
    let value = |line: &Value| Some(line.as_str()?.strip_prefix(name)?.strip_prefix('=')?.into());
    env.filter_map(value).next().expect("the variable is there")
}

/// What is left of containers of an install, apart from their directories.
#[must_use]
pub fn leftovers(install: &str, data: &Path) -> Vec<String> {
    let ours = |name: &str| name.starts_with(&format!("fileyard-{install}"));
    let mut left = Vec::new();
    let mut unseen = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(group) = unseen.pop() {
        let inner = fs::read_dir(&group).into_iter().flatten().flatten();
        let inner = inner.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
        unseen.extend(inner.map(|it| it.path()));
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        left.extend(ours(&name).then(|| format!("the control group {name}")));
    }
    for name in names(&data.join("images/holders")) {
        left.push(format!("{name} still holds an image"));
    }
    left.extend(of_containers(data).iter().map(|pid| format!("the process {pid}")));
    left
}

/// Kills what a failed story left; its control groups stay.
pub(crate) fn remove_all_of(data: &Path) {
    said_to_run(data, "init").iter().for_each(|pid| kill(pid));
}

/// The helpers of containers that run, by their pids.
#[must_use]
pub fn helpers(data: &Path) -> Vec<String> {
    said_to_run(data, "helper")
}

fn said_to_run(data: &Path, whose: &str) -> Vec<String> {
    let running = containers(data).into_iter().filter(|it| it.state == "running");
    let said = running.filter_map(|container| {
        let file = data.join("tmp/containers").join(&container.name).join("running.json");
        let running: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(running[whose]["pid"].as_i64()?.to_string())
    });
    said.filter(|pid| of_containers(data).contains(pid)).collect()
}

/// Ends a process, at once. One that is gone already is fine.
pub fn kill(pid: &str) {
    let _ = std::process::Command::new("kill").args(["-9", pid]).status();
}

/// Processes that were started for a container below this data directory, first processes of containers
/// among them: those are forked, and called alike.
fn of_containers(data: &Path) -> Vec<String> {
    let shown = data.join("tmp/containers").display().to_string();
    let of = |pid: &String| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let pids = names(Path::new("/proc")).into_iter().filter(|name| name.parse::<u32>().is_ok());
    pids.filter(|pid| String::from_utf8_lossy(&of(pid)).contains(&shown)).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
