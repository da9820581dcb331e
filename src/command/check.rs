//! `fileyard check`: config, data directory, store, engine and images, as `serve` would find them.
//!
//! It leaves everything as it was: what `serve` would make is named and not made. Only
//! `--take-over-store` changes something, and then that alone.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
};

use fileyard_orchestrator::{
    disk::Disk,
    engine::{EngineError, EngineReport, HostDirs, Pull},
};
use fileyard_storage::{
    blob::{BlobError, BlobStore},
    id::InstallId,
    sqlite::{DataLock, LockError, Looked, OpenError, SqliteStore},
};
use serde::Serialize;

use super::{ConfigArgs, say, show::plain};
use crate::{
    app::engine::{Choice, choose},
    config::{Config, show_duration},
    failure::Failure,
};

/// What is looked at.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Make this install the owner of the store, whosever it was
    #[arg(long)]
    take_over_store: bool,
    /// JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was found, in the order in which `serve` would come across it.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    parts: Vec<Part>,
}

/// One part of the whole.
#[derive(Debug, Serialize)]
struct Part {
    part: &'static str,
    ok: bool,
    /// What it is, or what is wrong and the one fix.
    message: String,
    warnings: Vec<String>,
}

/// What is known of the data directory.
enum Data {
    /// It would be made.
    Absent,
    /// It is there, without a database.
    Empty(#[expect(dead_code, reason = "held while the store is looked at")] DataLock),
    /// It is there, with this install's database.
    Ours(#[expect(dead_code, reason = "held as long")] DataLock, InstallId),
    /// A server runs on it.
    Taken,
    /// It cannot be used.
    Broken,
}

/// Looks at everything and says what it found.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let config = Config::load(&args.config.sources(None))?;
    let mut report = Report::default();
    let made = Made::watch(&config.data);
    report.note("config", Ok(config_in_words(&config)));
    let data = data(&config, &mut report, args.take_over_store);
    // Of a directory that is not there yet, its file system is asked through what is above it.
    let there = config.data.ancestors().find(|dir| dir.exists()).unwrap_or(&config.data);
    if let Some(low) = Disk::new(there, config.min_free).low() {
        report.note("disk", Err(format!("{low}; make room, or lower min_free")));
    }
    report.note("listen", listen(&config, matches!(data, Data::Taken)));
    report.parts.push(access(&config));
    store(&config, &data, args.take_over_store, &mut report).await;
    drop(data);
    engine(&config, &mut report).await;
    made.remove();
    report.ok = report.parts.iter().all(|part| part.ok);
    report.say(args.json)?;
    if report.ok { Ok(()) } else { Err(Failure::Shown) }
}

fn config_in_words(config: &Config) -> String {
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let file = file.unwrap_or_else(|| "no fileyard.toml; the defaults hold".into());
    let processors = &config.processors;
    let names: Vec<&str> = processors.all.keys().map(|name| name.as_str()).collect();
    let default = processors.default.as_ref().map(|name| format!(", {name} by default"));
    let processors = match names.as_slice() {
        [] => "no processor yet: add [processors.NAME] with an image".into(),
        names => format!("processors: {}{}", names.join(", "), default.unwrap_or_default()),
    };
    let kept = config.keep_jobs.map(show_duration);
    let kept = kept.map(|kept| format!("; jobs go {kept} after they end, with their files"));
    format!("{file}; {processors}{}", kept.unwrap_or_default())
}

fn data(config: &Config, report: &mut Report, take_over: bool) -> Data {
    let path = &config.data;
    let shown = path.display();
    if !path.exists() && !take_over {
        report.note("data", Ok(format!("{shown} would be made")));
        return Data::Absent;
    }
    let locked = match DataLock::acquire(path) {
        Ok(lock) => lock,
        Err(LockError::Held { pid, .. }) if !take_over => {
            let who = pid.map_or("another process".into(), |pid| format!("process {pid}"));
            let message = format!("{shown} is in use by {who}, which may be this very fileyard");
            report.note("data", Ok(message));
            return Data::Taken;
        }
        Err(error) => {
            report.note("data", Err(error.to_string()));
            return Data::Broken;
        }
    };
    match looked_at(locked, take_over) {
        Ok((lock, None)) => {
            report.note("data", Ok(format!("{shown} is there; its database would be made")));
            Data::Empty(lock)
        }
        Ok((lock, Some(Looked { install, schema, known }))) => {
            let grows = (schema < known).then(|| {
                format!("; a server will bring its database from schema {schema} to {known}")
            });
            let grows = grows.unwrap_or_default();
            report.note("data", Ok(format!("{shown}, install {install}{grows}")));
            Data::Ours(lock, install)
        }
        Err(error) => {
            report.note("data", Err(error.to_string()));
            Data::Broken
        }
    }
}

/// The database, where there is one; who takes over a store may be a new install, whose database is
/// made.
fn looked_at(mut lock: DataLock, take_over: bool) -> Result<(DataLock, Option<Looked>), OpenError> {
    if take_over {
        let data = lock.data().to_owned();
        drop(SqliteStore::open_locked(lock)?);
        lock = DataLock::acquire(&data)?;
    }
    let looked = SqliteStore::look(&lock)?;
    Ok((lock, looked))
}

fn listen(config: &Config, taken: bool) -> Result<String, String> {
    let address = config.http.listen;
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && taken => {
            Ok(format!("{address} is taken, as is to be expected while fileyard runs"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(format!(
            "{address} is taken by another program; stop it, or set http.listen to another address"
        )),
        Err(error) => Err(format!("{address} cannot be listened on: {error}")),
    }
}

fn access(config: &Config) -> Part {
    let http = &config.http;
    let warnings = http.warning().into_iter().collect();
    Part { part: "access", ok: true, message: http.who_may(), warnings }
}

async fn store(config: &Config, data: &Data, take_over: bool, report: &mut Report) {
    let local = config.store.url.is_empty();
    let install: Option<InstallId> = match data {
        Data::Ours(_, install) => Some(*install),
        Data::Absent | Data::Empty(_) if local => {
            let blobs = config.data.join("blobs");
            return report.note("store", Ok(format!("files in {} would be made", blobs.display())));
        }
        Data::Absent | Data::Empty(_) => None,
        Data::Taken | Data::Broken if local => {
            return report.note("store", Ok("files in the data directory".into()));
        }
        Data::Taken | Data::Broken => {
            let message =
                format!("{} was not asked: whose it should be is not known", config.store.url);
            return report.note("store", Ok(message));
        }
    };
    let result = match BlobStore::open(&config.store, &config.data) {
        Ok(blobs) => examined(&blobs, install, take_over).await,
        Err(error) => Err(error),
    };
    report.note("store", result.map_err(|error| error.to_string()));
}

async fn examined(
    blobs: &BlobStore,
    install: Option<InstallId>,
    take_over: bool,
) -> Result<String, BlobError> {
    let name = blobs.name();
    if let (Some(install), true) = (install, take_over) {
        blobs.take_over(install).await?;
        return Ok(format!("{name} is this install's from now on"));
    }
    Ok(match blobs.examine(install).await? {
        true => format!("{name} can be written, read and deleted from"),
        false => format!("{name} can be written, read and deleted from; it would become ours"),
    })
}

async fn engine(config: &Config, report: &mut Report) {
    let dirs = HostDirs::new(config.data.join("tmp").join("attempts"), None);
    // On the disk that it would be on, where that is there.
    let scratch = tempfile::tempdir_in(&config.data).or_else(|_| tempfile::tempdir());
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(error) => {
            return report.note("engine", Err(format!("no directory to try in: {error}")));
        }
    };
    let choice = choose(config, dirs, scratch.path()).await;
    match &choice.report {
        Ok(found) => {
            report.parts.push(engine_in_words(found));
            images(config, &choice, report).await;
        }
        Err(error @ EngineError::Unavailable(_)) => {
            let fix = "start Docker, or set engine.docker_host; until then jobs are taken and wait";
            report.note("engine", Err(format!("{error}; {fix}")));
        }
        Err(error) => report.note("engine", Err(error.to_string())),
    }
}

/// Whether each processor's is there, or comes by itself.
async fn images(config: &Config, choice: &Choice, report: &mut Report) {
    if config.processors.all.is_empty() {
        return;
    }
    let (mut there, mut missing, mut warnings) = (0, Vec::new(), Vec::new());
    for (image, pull) in config.processors.images() {
        match (choice.has(image, &config.data).await, pull) {
            (Ok(true), _) => there += 1,
            (Ok(false), Pull::Never) => {
                missing.push(format!(
                    "{image} is missing, and never pulled: {}",
                    choice.way_in(image)
                ));
            }
            (Ok(false), Pull::Always | Pull::Missing) => {
                warnings
                    .push(format!("{image} is not there yet: a server pulls it when it starts"));
            }
            (Err(words), _) => warnings.push(format!("{image} can not be looked for: {words}")),
        }
    }
    missing.insert(0, format!("{there} there, {} to come", warnings.len()));
    let (ok, message) = (missing.len() == 1, missing.join("; "));
    report.parts.push(Part { part: "images", ok, message, warnings });
}

fn engine_in_words(found: &EngineReport) -> Part {
    let mut message = format!("{} {}", found.engine, found.version);
    if !found.facts.is_empty() {
        message = format!("{message} ({})", found.facts.join(", "));
    }
    for refusal in &found.refusals {
        message = format!("{message}; {refusal}");
    }
    let ok = found.refusals.is_empty();
    let warnings = [found.lacks.clone(), found.warnings.clone()].concat();
    Part { part: "engine", ok, message, warnings }
}

impl Report {
    fn note(&mut self, part: &'static str, result: Result<String, String>) {
        let ok = result.is_ok();
        let message = result.unwrap_or_else(|message| message);
        self.parts.push(Part { part, ok, message, warnings: vec![] });
    }

    fn say(&self, json: bool) -> Result<(), Failure> {
        if json {
            return say(&serde_json::to_string(self).expect("a report is JSON"));
        }
        for part in &self.parts {
            let mark = if part.ok { "ok" } else { "!!" };
            say(&format!("{mark}  {:<8} {}", part.part, plain(&part.message)))?;
            for warning in &part.warnings {
                say(&format!("    {:<8} warning: {}", "", plain(warning)))?;
            }
        }
        Ok(())
    }
}

/// Directories that were not there before: the engine is shown one, which must then go again.
struct Made(Vec<PathBuf>);

impl Made {
    fn watch(data: &Path) -> Self {
        let tmp = data.join("tmp");
        let all = [tmp.join("attempts"), tmp, data.to_owned()];
        Self(all.into_iter().filter(|dir| !dir.exists()).collect())
    }

    /// Only empty ones can be removed, so nothing that somebody else put there is lost.
    fn remove(self) {
        for dir in self.0 {
            let _ = fs::remove_dir(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is found of a data directory and its store, and that finding it leaves no trace.
    #![allow(clippy::unwrap_used)]

    use fileyard_storage::Store as _;

    use super::*;

    /// What is said of data directory and store, and what is then in the directory.
    async fn found(config: &Config) -> (Vec<String>, Vec<String>) {
        let mut report = Report::default();
        let data = data(config, &mut report, false);
        store(config, &data, false, &mut report).await;
        drop(data);
        assert!(report.parts.iter().all(|part| part.ok));
        let files = fs::read_dir(&config.data).into_iter().flatten();
        let mut files: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        (report.parts.into_iter().map(|part| part.message).collect(), files)
    }

    #[tokio::test]
    async fn a_directory_is_looked_at_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::for_testing(&dir.path().join("data"));
        let shown = config.data.display().to_string();

        let (words, files) = found(&config).await;
        assert_eq!(words[0], format!("{shown} would be made"));
        assert_eq!(words[1], format!("files in {shown}/blobs would be made"));
        assert!(files.is_empty() && !config.data.exists());

        // As who died before it put anything in leaves it.
        fs::create_dir(&config.data).unwrap();
        fs::File::create(config.data.join("fileyard.db")).unwrap();
        let (words, _) = found(&config).await;
        assert_eq!(words[0], format!("{shown} is there; its database would be made"));

        let rows = SqliteStore::open(&config.data).unwrap();
        let (words, _) = found(&config).await;
        assert!(words[0].contains(&format!("is in use by process {}", std::process::id())));
        let install = rows.install();
        BlobStore::open(&config.store, &config.data).unwrap().claim(install).await.unwrap();
        drop(rows);

        let (words, files) = found(&config).await;
        assert_eq!(words[0], format!("{shown}, install {install}"));
        assert_eq!(words[1], format!("{shown}/blobs can be written, read and deleted from"));
        assert_eq!(found(&config).await.1, files);
    }

    #[tokio::test]
    async fn anothers_store_is_named_as_such_until_it_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(&Config::for_testing(dir.path()).store, dir.path()).unwrap();
        let (ours, other) = (InstallId::new(), InstallId::new());
        blobs.claim(other).await.unwrap();
        for install in [Some(ours), None] {
            let said = examined(&blobs, install, false).await.unwrap_err().to_string();
            assert!(said.contains(&other.to_string()) && said.contains("--take-over-store"));
        }
        examined(&blobs, Some(ours), true).await.unwrap();
        examined(&blobs, Some(ours), false).await.unwrap();
    }
}
