//! The contracts: what a container is handed and what is taken back.
//!
//! By `urls` it is handed addresses, and gives back by them: see [`urls`]. The rest here is `files`.
//! In: one file at `/in/<safe name>`, read-only, an environment, a command with its placeholders
//! filled. Out: every regular file under `/out`; `/out/result.json`, if there, is the result; a line
//! `fileyard:progress 0.4 resizing` on standard output is progress. What a container left is never
//! trusted: it is read by descriptors that follow no link, and it is bounded.

mod collect;
mod descend;
mod measure;
mod name;
mod outputs;
mod progress;
pub mod quota;
mod remove;
mod result;
mod rows;
mod stage;
pub mod urls;

use std::{collections::BTreeMap, io};

use fileyard_storage::{
    id::{AttemptNo, InstallId},
    job::{Job, Params},
};
use serde_json::Value;
use tokio::task::spawn_blocking;

pub(crate) use self::rows::AttemptRows;
use self::urls::Addresses;
pub use self::{
    collect::{CollectError, Collected, CollectedFile, collect},
    measure::{Usage, measure},
    name::{safe_name, stem},
    outputs::store_outputs,
    progress::progress,
    remove::remove,
    stage::{StageError, disown, find, same_boot, stage},
};
use crate::{
    engine::{ContainerId, ContainerSpec, InputFile, Limits, Network, Reach},
    processor::Processor,
    template::{self, Values},
};

/// Where the input is, seen from inside.
pub const IN: &str = "/in";
/// Where the outputs are taken from, seen from inside.
pub const OUT: &str = "/out";
/// Below [`OUT`]: not an output but the job's result.
pub const RESULT: &str = "result.json";

const OPEN_FILES: u64 = 1024;

/// All that an engine is told about the container of this attempt.
///
/// The same job, attempt and processor give the same spec, so a start may be repeated. With
/// `addresses` the contract is `urls`, and nothing is mounted; `image` is what the processor's meant when
/// the job was claimed.
#[must_use]
pub fn spec(
    install: InstallId,
    job: &Job,
    attempt: AttemptNo,
    processor: &Processor,
    image: Option<&str>,
    addresses: Option<&Addresses>,
) -> ContainerSpec {
    let input = &job.asked.input;
    let name = safe_name(&input.name);
    let path = format!("{IN}/{name}");
    let params = params(job, processor);
    let values =
        Values { input: &path, out: OUT, stem: stem(&name), param: |name: &str| params.get(name) };
    let fill = |args: &[String]| args.iter().map(|arg| template::fill(arg, &values)).collect();
    ContainerSpec {
        id: ContainerId { install, job: job.id(), attempt },
        image: image.unwrap_or(&processor.image).to_owned(),
        entrypoint: fill(&processor.entrypoint),
        command: fill(&processor.command),
        env: env(job, attempt, processor, &params, addresses),
        user: processor.user,
        limits: Limits {
            memory: processor.memory,
            cpus: processor.cpus,
            pids: processor.pids,
            tmp: processor.tmp,
            file_size: processor.max_output_size,
            open_files: OPEN_FILES,
        },
        reach: reach(processor, addresses.map(Addresses::port)),
        input: addresses.is_none().then(|| InputFile {
            name,
            key: input.key.clone(),
            sha256: input.sha256,
            size: input.size,
        }),
    }
}

/// What a container of this processor may reach: what its config says, and by `urls` the listener
/// on this port. Files pass through directories.
#[must_use]
pub fn reach(processor: &Processor, listener: Option<u16>) -> Reach {
    Reach { listener, internet: processor.network == Network::Egress }
}

/// The job's params, and the defaults of those that were declared after it was accepted.
fn params(job: &Job, processor: &Processor) -> Params {
    let declared = processor.params.iter();
    let mut params: Params =
        declared.filter_map(|(name, spec)| Some((name.clone(), spec.default.clone()?))).collect();
    params.extend(job.asked.params.clone());
    params
}

/// The environment. A processor's own `env` may replace `HOME` and `TMPDIR`; what begins with
/// `FILEYARD_` is the contract's alone.
fn env(
    job: &Job,
    attempt: AttemptNo,
    processor: &Processor,
    params: &Params,
    addresses: Option<&Addresses>,
) -> BTreeMap<String, String> {
    let input = &job.asked.input;
    let mut env = BTreeMap::from([("HOME", "/tmp"), ("TMPDIR", "/tmp")])
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect::<BTreeMap<_, _>>();
    env.extend(
        processor
            .env
            .iter()
            .filter(|(name, _)| !name.starts_with("FILEYARD_"))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let all: serde_json::Map<String, Value> =
        params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let facts = [
        ("JOB_ID", job.id().to_string()),
        ("ATTEMPT", attempt.to_string()),
        ("INPUT_NAME", input.name.clone()),
        ("INPUT_TYPE", input.content_type.clone()),
        ("INPUT_SIZE", input.size.to_string()),
        ("PARAMS", Value::Object(all).to_string()),
    ];
    let params = params.iter().map(|(name, value)| {
        (format!("PARAM_{}", name.to_ascii_uppercase()), template::text(value))
    });
    let facts = facts.map(|(name, value)| (name.to_owned(), value)).into_iter();
    let addresses = addresses.into_iter().flat_map(Addresses::env);
    for (name, value) in facts.chain(addresses).chain(params) {
        // An environment ends each of its strings with NUL and so can not hold one.
        env.insert(format!("FILEYARD_{name}"), value.replace('\0', "\u{fffd}"));
    }
    env
}

/// Does what waits for the disk, on a thread for that.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
pub(crate) mod tests;
