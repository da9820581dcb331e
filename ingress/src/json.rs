//! JSON twins of the model: what a client sees. The model's own types are not the API.
//!
//! Every key is always there, null when empty, in the order of the documentation.

use std::collections::BTreeMap;

use fileyard_orchestrator::processor::{ParamKind, ParamSpec, Processor, Processors};
use fileyard_storage::{
    id::AttemptNo,
    job::{
        Event, EventKind, Job, JobState, Params, Phase, Progress, Reason, ReasonCode, StateName,
        WaitingFor,
    },
};
use serde::Serialize;
use serde_json::Value;

use crate::{page::bare, urls::Urls};

/// A job.
#[derive(Debug, Serialize)]
pub(crate) struct JobJson<'a> {
    job_id: String,
    state: StateName,
    phase: Option<&'static str>,
    processor: &'a str,
    params: &'a Params,
    batch_id: Option<String>,
    retry_of: Option<String>,
    waiting_for: Option<WaitingFor>,
    attempt: Option<AttemptNo>,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    progress: Option<ProgressJson<'a>>,
    reason: Option<ReasonJson<'a>>,
    input: FileJson<'a>,
    result: Option<&'a Value>,
    outputs: Vec<FileJson<'a>>,
    events: Vec<EventJson<'a>>,
    links: LinksJson,
}

#[derive(Debug, Serialize)]
struct ProgressJson<'a> {
    fraction: f64,
    message: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ReasonJson<'a> {
    code: ReasonCode,
    exit_code: Option<i64>,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct FileJson<'a> {
    name: &'a str,
    r#type: &'a str,
    size: u64,
    sha256: String,
    url: String,
}

#[derive(Debug, Serialize)]
struct EventJson<'a> {
    at: String,
    event: EventKind,
    attempt: Option<AttemptNo>,
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct LinksJson {
    #[serde(rename = "self")]
    this: String,
    input: String,
    logs: String,
    /// Null once there is nothing to cancel.
    cancel: Option<String>,
    /// Null until it has ended.
    retry: Option<String>,
}

impl<'a> JobJson<'a> {
    /// A job as a client sees it.
    #[must_use]
    pub(crate) fn new(job: &'a Job, urls: &Urls) -> Self {
        let id = job.id();
        let asked = &job.asked;
        let (result, outputs) = match &job.state {
            JobState::Succeeded { result, outputs } => {
                ((!result.is_null()).then_some(result), outputs.as_slice())
            }
            _ => (None, [].as_slice()),
        };
        Self {
            job_id: id.to_string(),
            state: job.state.name(),
            phase: job.phase().map(phase_name),
            processor: asked.processor.as_str(),
            params: &asked.params,
            batch_id: asked.batch.map(|batch| batch.to_string()),
            retry_of: asked.retry_of.map(|job| job.to_string()),
            waiting_for: match &job.state {
                JobState::Queued { waiting_for, .. } => *waiting_for,
                _ => None,
            },
            attempt: job.attempt,
            created_at: job.created_at.to_string(),
            started_at: job.started_at.map(|at| at.to_string()),
            finished_at: job.finished_at.map(|at| at.to_string()),
            progress: job.progress.as_ref().map(ProgressJson::new),
            reason: match &job.state {
                JobState::Failed { reason } => Some(ReasonJson::new(reason)),
                _ => None,
            },
            input: FileJson {
                name: &asked.input.name,
                r#type: &asked.input.content_type,
                size: asked.input.size,
                sha256: asked.input.sha256.to_string(),
                url: urls.input(id),
            },
            result,
            outputs: outputs
                .iter()
                .map(|output| FileJson {
                    name: &output.name,
                    r#type: &output.content_type,
                    size: output.size,
                    sha256: output.sha256.to_string(),
                    url: urls.output(id, &output.name),
                })
                .collect(),
            events: job.events.iter().map(EventJson::new).collect(),
            links: LinksJson {
                this: urls.job(id),
                input: urls.input(id),
                logs: urls.logs(id),
                cancel: (!job.state.is_terminal()).then(|| urls.cancel(id)),
                retry: job.state.is_terminal().then(|| urls.retry(id)),
            },
        }
    }
}

pub(crate) fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Stopping { .. } => "stopping",
        Phase::Collecting { .. } => "collecting",
    }
}

impl<'a> ProgressJson<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            fraction: f64::from(progress.permille) / 1000.0,
            message: progress.message.as_deref(),
        }
    }
}

impl<'a> ReasonJson<'a> {
    fn new(reason: &'a Reason) -> Self {
        Self { code: reason.code, exit_code: reason.exit_code, message: &reason.message }
    }
}

impl<'a> EventJson<'a> {
    fn new(event: &'a Event) -> Self {
        Self {
            at: event.at.to_string(),
            event: event.kind,
            attempt: event.attempt,
            detail: event.detail.as_deref(),
        }
    }
}

/// The answer to a form.
#[derive(Debug, Serialize)]
pub(crate) struct SubmittedJson<'a> {
    /// Null when it brought one file.
    pub(crate) batch_id: Option<String>,
    /// In file order.
    pub(crate) jobs: Vec<JobJson<'a>>,
}

/// A page of jobs.
#[derive(Debug, Serialize)]
pub(crate) struct JobsJson<'a> {
    /// Newest first.
    pub(crate) jobs: Vec<JobJson<'a>>,
    /// The cursor of the next page; null on the last.
    pub(crate) next: Option<String>,
}

/// What can be asked for.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessorsJson<'a> {
    processors: Vec<ProcessorJson<'a>>,
    /// The one that works where nobody names one.
    default: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ProcessorJson<'a> {
    name: &'a str,
    title: &'a str,
    /// Empty: everything.
    accepts: &'a [String],
    params: BTreeMap<&'a str, ParamJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ParamJson<'a> {
    r#type: &'static str,
    r#enum: Option<&'a [String]>,
    pattern: Option<&'a str>,
    min: Option<Value>,
    max: Option<Value>,
    default: Option<&'a Value>,
    required: bool,
}

impl<'a> ProcessorsJson<'a> {
    /// All processors, by name.
    #[must_use]
    pub(crate) fn new(processors: &'a Processors) -> Self {
        Self {
            processors: processors
                .all
                .values()
                .map(|processor| ProcessorJson::new(processor))
                .collect(),
            default: processors.default.as_ref().map(|name| name.as_str()),
        }
    }
}

impl<'a> ProcessorJson<'a> {
    fn new(processor: &'a Processor) -> Self {
        let params = processor.params.iter();
        Self {
            name: processor.name.as_str(),
            title: &processor.title,
            accepts: &processor.accepts,
            params: params.map(|(name, spec)| (name.as_str(), ParamJson::new(spec))).collect(),
        }
    }
}

impl<'a> ParamJson<'a> {
    fn new(spec: &'a ParamSpec) -> Self {
        let mut json = Self {
            r#type: "string",
            r#enum: None,
            pattern: None,
            min: None,
            max: None,
            default: spec.default.as_ref(),
            required: spec.default.is_none(),
        };
        match &spec.kind {
            ParamKind::Choice(words) => json.r#enum = Some(words),
            ParamKind::Text(pattern) => json.pattern = Some(bare(pattern.as_str())),
            ParamKind::Integer { min, max } => {
                json.r#type = "integer";
                (json.min, json.max) = (min.map(Value::from), max.map(Value::from));
            }
            ParamKind::Number { min, max } => {
                json.r#type = "number";
                (json.min, json.max) = (min.map(Value::from), max.map(Value::from));
            }
            ParamKind::Boolean => json.r#type = "boolean",
        }
        json
    }
}
