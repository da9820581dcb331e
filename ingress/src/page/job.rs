//! The page of one job.

use askama::Template;
use axum::response::Response;
use fileyard_storage::job::{Event, EventKind, Job, JobState, Output, WaitingFor};
use serde_json::Value;

use super::{
    Frame, duration, respond, size,
    text::{Moment, printable},
    title,
};
use crate::{App, error::Problem, json::phase_name, logs, view::View};

/// How much of a result is shown; the rest is in the JSON.
const MAX_RESULT: usize = 64 * 1024;
/// How many pictures are shown, and how large one may be.
const MAX_PREVIEWS: usize = 12;
const MAX_PREVIEW_SIZE: u64 = 8 * 1024 * 1024;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage<'a> {
    frame: Frame<'a>,
    id: String,
    name: &'a str,
    state: &'static str,
    /// What it does or waits for, in a sentence.
    doing: Option<String>,
    /// In thousandths.
    progress: Option<u16>,
    percent: u16,
    message: Option<&'a str>,
    reason: Option<(&'static str, &'a str)>,
    live: bool,
    /// Where a script waits for the next change, and the tag of what this page shows.
    next: Option<(String, String)>,
    cancel: Option<String>,
    retry: Option<String>,
    retry_of: Option<String>,
    processor: &'a str,
    processor_url: String,
    params: Vec<(&'a str, String)>,
    input: File<'a>,
    batch: Option<String>,
    attempt: Option<u32>,
    created: Moment,
    started: Option<Moment>,
    finished: Option<Moment>,
    took: Option<String>,
    result: Option<String>,
    result_is_cut: bool,
    outputs: Vec<File<'a>>,
    events: Vec<EventView<'a>>,
    log: String,
    log_url: String,
}

struct File<'a> {
    name: &'a str,
    url: String,
    size: String,
    content_type: &'a str,
    sha256: String,
    /// A picture of a kind that can be shown.
    preview: bool,
}

struct EventView<'a> {
    at: Moment,
    kind: &'static str,
    /// The colour of its dot, beside the word.
    tone: &'static str,
    attempt: Option<u32>,
    detail: Option<&'a str>,
}

/// A job's page.
pub(crate) async fn job(app: &App, job: &Job) -> Result<Response, Problem> {
    let (id, asked, urls) = (job.id(), &job.asked, &app.pages);
    let until = job.finished_at.unwrap_or_else(|| app.clock.now());
    let (result, result_is_cut) = result_of(job);
    let outputs: &[Output] = match &job.state {
        JobState::Succeeded { outputs, .. } => outputs,
        _ => &[],
    };
    let progress = match &job.state {
        JobState::Running { .. } => job.progress.as_ref(),
        _ => None,
    };
    let live = !job.state.is_terminal();
    respond(&JobPage {
        frame: Frame::new(app).await,
        id: id.to_string(),
        name: title(job),
        state: job.state.name().as_str(),
        doing: doing(job),
        progress: progress.map(|progress| progress.permille),
        percent: progress.map_or(0, |progress| progress.permille / 10),
        message: progress.and_then(|progress| progress.message.as_deref()),
        reason: match &job.state {
            JobState::Failed { reason } => Some((reason.code.as_str(), reason.message.as_str())),
            _ => None,
        },
        live,
        next: live.then(|| View::new(job, &app.urls)).transpose()?.map(|view| {
            // A log grows without a change of the job.
            let seconds = if matches!(job.state, JobState::Running { .. }) { 2 } else { 30 };
            (format!("{}?wait={seconds}", urls.job(id)), view.tag().to_owned())
        }),
        cancel: live.then(|| urls.cancel(id)),
        retry: (!live).then(|| urls.retry(id)),
        retry_of: asked.retry_of.map(|job| urls.job(job)),
        processor: asked.processor.as_str(),
        processor_url: urls.jobs_where(None, Some(&asked.processor), None, None),
        params: asked.params.iter().map(|(name, value)| (name.as_str(), shown(value))).collect(),
        input: File {
            name: &asked.input.name,
            url: urls.input(id),
            size: size(asked.input.size),
            content_type: &asked.input.content_type,
            sha256: asked.input.sha256.to_string(),
            preview: false,
        },
        batch: asked.batch.map(|batch| urls.batch(batch)),
        attempt: job.attempt.map(|no| no.0),
        created: Moment::new(job.created_at),
        started: job.started_at.map(Moment::new),
        finished: job.finished_at.map(Moment::new),
        took: job.started_at.map(|started| duration(until.since(started))),
        result,
        result_is_cut,
        outputs: files(app, job, outputs),
        events: job.events.iter().map(EventView::new).collect(),
        log: printable(&logs::tail(app, job).await),
        log_url: urls.logs(id),
    })
}

fn files<'a>(app: &App, job: &Job, outputs: &'a [Output]) -> Vec<File<'a>> {
    let mut previews = 0;
    let file = |output: &'a Output| {
        let kind = output.content_type.as_str();
        let safe = matches!(kind, "image/png" | "image/jpeg" | "image/gif" | "image/webp");
        let preview = safe && output.size <= MAX_PREVIEW_SIZE && previews < MAX_PREVIEWS;
        previews += usize::from(preview);
        File {
            name: &output.name,
            url: app.pages.output(job.id(), &output.name),
            size: size(output.size),
            content_type: kind,
            sha256: output.sha256.to_string(),
            preview,
        }
    };
    outputs.iter().map(file).collect()
}

/// The result as it is to be shown, and whether that is not all of it.
fn result_of(job: &Job) -> (Option<String>, bool) {
    let JobState::Succeeded { result, .. } = &job.state else { return (None, false) };
    if result.is_null() {
        return (None, false);
    }
    let mut text = format!("{result:#}");
    let cut = text.len() > MAX_RESULT;
    if cut {
        let end = (0..=MAX_RESULT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    (Some(text), cut)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a job that has not ended does.
fn doing(job: &Job) -> Option<String> {
    let words = match &job.state {
        JobState::Queued { waiting_for, .. } => match waiting_for {
            None => "Waits for its turn",
            Some(WaitingFor::Slot) => "Waits for its turn: others are running",
            Some(WaitingFor::Backoff) => "Waits a moment before it is tried again",
            Some(WaitingFor::Engine) => "Waits for the container engine, which does not answer",
            Some(WaitingFor::Image) => "Waits for its image",
            Some(WaitingFor::ProcessorRemoved) => "Waits: its processor is no longer in the config",
            Some(WaitingFor::Disk) => "Waits for room on the disk",
        },
        JobState::Running { phase, .. } => match phase_name(phase) {
            "starting" => "Its container is starting",
            "stopping" => "Its container is being stopped",
            "collecting" => "Its outputs are being stored",
            _ => "Its container is running",
        },
        _ => return None,
    };
    Some(words.to_owned())
}

impl<'a> EventView<'a> {
    fn new(event: &'a Event) -> Self {
        Self {
            at: Moment::new(event.at),
            kind: match event.kind {
                EventKind::Created => "Created",
                EventKind::Claimed => "Claimed",
                EventKind::Adopted => "Adopted",
                EventKind::Started => "Started",
                EventKind::Stopping => "Stopping",
                EventKind::Exited => "Exited",
                EventKind::Retried => "To be tried again",
                EventKind::ChildOutOfMemory => "A child ran out of memory",
                EventKind::Succeeded => "Succeeded",
                EventKind::Failed => "Failed",
                EventKind::Cancelled => "Cancelled",
            },
            tone: match event.kind {
                EventKind::Failed | EventKind::ChildOutOfMemory => "bad",
                EventKind::Created | EventKind::Retried | EventKind::Cancelled => "wait",
                _ => "",
            },
            attempt: event.attempt.map(|no| no.0),
            // Why it failed stands at the top of the page.
            detail: event.detail.as_deref().filter(|_| event.kind != EventKind::Failed),
        }
    }
}
