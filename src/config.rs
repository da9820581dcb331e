//! The config: `fileyard.toml`, the environment and the command line, read once and checked as a
//! whole, into one struct a concern.
//!
//! A key that this version could not honour is refused, never read and forgotten. Everything wrong
//! is said at once, each with its place, its key and what was meant.

mod concerns;
mod http;
mod params;
mod processors;
mod section;
mod tree;
mod units;

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell, collections::BTreeMap, ffi::OsString, fmt, path::PathBuf, time::Duration,
};

use fileyard_orchestrator::{
    engine::{Network, NetworkRange},
    intake::UploadLimits,
    processor::Processors,
};
use fileyard_storage::{attempt::Contract, blob::BlobConfig};

pub(crate) use self::{
    http::HttpConfig,
    units::{show_duration, show_size},
};
use self::{
    section::{Findings, Section},
    tree::{Table, Value},
};

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "fileyard.toml";

/// All that is configured.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it was read from, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// Database, local files, state; an absolute path.
    pub(crate) data: PathBuf,
    /// Containers at once; never 0.
    pub(crate) concurrency: usize,
    /// Bytes of disk below which nothing new begins.
    pub(crate) min_free: u64,
    /// How long a job may wait; for ever where there is none.
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) http: HttpConfig,
    pub(crate) store: BlobConfig,
    pub(crate) uploads: UploadLimits,
    pub(crate) engine: EngineConfig,
    pub(crate) urls: UrlsConfig,
    /// How long a job is kept once it has ended; for ever where there is none.
    pub(crate) keep_jobs: Option<Duration>,
    pub(crate) processors: Processors,
}

/// What runs containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineConfig {
    pub(crate) kind: EngineKind,
    /// The file's, else `DOCKER_HOST`; empty for the default socket.
    pub(crate) docker_host: String,
    /// The embedded engine's: who is asked first for images, by the registry that is meant.
    pub(crate) mirrors: BTreeMap<String, String>,
    pub(crate) out_quota: OutQuota,
}

/// Whether each `/out` is a file system of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OutQuota {
    /// Where that can be had.
    #[default]
    Auto,
    /// Or no job runs.
    Ext4,
    /// Nowhere.
    None,
}

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EngineKind {
    /// The embedded one where it can do what is asked, else a Docker daemon.
    #[default]
    Auto,
    /// A Docker daemon.
    Docker,
    /// The embedded one.
    Oci,
}

/// The `urls` contract's own listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UrlsConfig {
    /// On each attempt network's gateway address.
    pub(crate) port: u16,
    /// Where those networks are taken from.
    pub(crate) networks: NetworkRange,
}

/// Everything the config is made from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// A file that must be there; else [`DEFAULT_FILE`] is read if it is.
    pub(crate) file: Option<PathBuf>,
    /// `--data`.
    pub(crate) data: Option<String>,
    /// `--listen`.
    pub(crate) listen: Option<String>,
}

/// Everything that is wrong with a config; there is at least one thing.
#[derive(Debug)]
pub(crate) struct ConfigError(Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    place: String,
    key: String,
    message: String,
}

impl Config {
    /// Reads the sources and this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub(crate) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let path = sources.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && sources.file.is_none() =>
            {
                None
            }
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(ConfigError(vec![Problem::new(place, "", message)]));
            }
        };
        let file = text.as_deref().map(|text| (place.as_str(), text));
        let mut config = Self::read(file, &environment, sources)?;
        config.file = text.is_some().then_some(path);
        Ok(config)
    }

    /// Whether some processor's containers have networks of their own.
    pub(crate) fn needs_networks(&self) -> bool {
        self.processors
            .all
            .values()
            .any(|it| it.contract == Contract::Urls || it.network != Network::None)
    }

    /// Whether some processor's may reach the internet.
    pub(crate) fn needs_egress(&self) -> bool {
        self.processors.all.values().any(|it| it.network == Network::Egress)
    }

    /// The defaults, with everything in `data` and any free port.
    #[cfg(test)]
    pub(crate) fn for_testing(data: &std::path::Path) -> Self {
        let sources = Sources {
            data: Some(data.display().to_string()),
            listen: Some("127.0.0.1:0".into()),
            ..Sources::default()
        };
        Self::read(None, &[], &sources).expect("the defaults are a config")
    }

    fn read(
        file: Option<(&str, &str)>,
        environment: &[(OsString, OsString)],
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let (root, mut problems) = merged(file, environment, sources);
        let findings = RefCell::new(Findings::default());
        let place = file.map_or("the environment", |(name, _)| name);
        let config = everything(Section::root(&root, place, &findings), environment);
        problems.extend(findings.into_inner().problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }
}

/// File, then environment, then command line: the later beats the earlier.
fn merged(
    file: Option<(&str, &str)>,
    environment: &[(OsString, OsString)],
    sources: &Sources,
) -> (Table, Vec<Problem>) {
    let mut problems = vec![];
    let mut note = |result: Result<(), Problem>| problems.extend(result.err());
    let mut root = Table::new();
    if let Some((name, text)) = file {
        note(tree::from_toml(name, text).map(|table| root = table));
    }
    let mut ours: Vec<_> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.starts_with("FILEYARD_"))
        .collect();
    ours.sort();
    for (name, value) in ours {
        note(match value.to_str() {
            Some(text) => tree::lay_environment(&mut root, name, text),
            None => Err(Problem::new(name, "", "is not UTF-8")),
        });
    }
    let flags = [
        ("--data", vec!["data".to_owned()], &sources.data),
        ("--listen", vec!["http".to_owned(), "listen".to_owned()], &sources.listen),
    ];
    for (flag, path, text) in flags {
        if let Some(text) = text {
            note(tree::lay(&mut root, &path, Value::Bare(text.clone()), flag));
        }
    }
    (root, problems)
}

/// Every key there is, once.
fn everything(root: Section<'_>, environment: &[(OsString, OsString)]) -> Config {
    // Absolute, because a container engine binds no other path.
    let data = std::path::absolute(root.text("data", "./fileyard-data")).unwrap_or_else(|_| {
        root.refuse("data", "must name a directory".into());
        PathBuf::default()
    });
    let concurrency = match root.integer("concurrency", 0, 0, 10_000) {
        0 => 2 * std::thread::available_parallelism().map_or(1, usize::from),
        some => some as usize,
    };
    let min_free = root.size("min_free", "1GiB", "0B");
    let default = root.text("default_processor", "");
    let queue_timeout = root.optional_duration("queue_timeout");
    let engine = concerns::engine(root.section("engine"), environment);
    let mut store = concerns::store(root.section("store"), environment);
    let (uploads, memory) = concerns::uploads(root.section("uploads"), &store);
    store.memory = memory;
    let config = Config {
        file: None,
        data,
        concurrency,
        min_free,
        queue_timeout,
        http: http::read(root.section("http")),
        store,
        uploads,
        urls: concerns::urls(root.section("urls")),
        keep_jobs: concerns::retention(root.section("retention")),
        processors: processors::read(&root, &default, &engine.docker_host),
        engine,
    };
    concerns::database(root.section("database"));
    root.finish();
    config
}

impl Problem {
    fn new(place: impl Into<String>, key: &str, message: impl Into<String>) -> Self {
        Self { place: place.into(), key: key.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
