//! The page of a list of jobs: all of them, or one request's.

use askama::Template;
use axum::response::Response;
use fileyard_storage::{
    id::ProcessorName,
    job::{Job, StateName},
};

use super::{Frame, duration, respond, size, text::Moment, title};
use crate::{App, error::Problem, jobs::Asked};

#[derive(Template)]
#[template(path = "jobs.html")]
struct Jobs<'a> {
    frame: Frame<'a>,
    heading: String,
    tabs: Vec<Tab>,
    rows: Vec<Row<'a>>,
    /// Of the next page.
    next: Option<String>,
    /// Whether this is a page behind the first.
    older: bool,
    narrowed: bool,
    batch: bool,
    /// Of a batch: how many have ended, of those on this page.
    ended: usize,
    /// How many of them are in each state that one of them is in.
    counts: Vec<(&'static str, usize)>,
    /// Whether these are all of them.
    whole: bool,
    live: bool,
    /// For the form: where it goes, and what is chosen there.
    action: String,
    state: Option<&'static str>,
    processors: Vec<Choice<'a>>,
}

struct Choice<'a> {
    name: &'a str,
    current: bool,
}

struct Tab {
    label: &'static str,
    url: String,
    current: bool,
}

struct Row<'a> {
    name: &'a str,
    url: String,
    state: &'static str,
    processor: &'a str,
    size: String,
    created: Moment,
    took: Option<String>,
    percent: Option<String>,
    reason: Option<&'a str>,
}

/// A page of a list.
pub(crate) async fn jobs(
    app: &App,
    asked: &Asked,
    jobs: &[Job],
    next: Option<&str>,
) -> Result<Response, Problem> {
    let filter = &asked.filter;
    let tab = |label, state: Option<StateName>| Tab {
        label,
        url: app.pages.jobs_where(state, filter.processor.as_ref(), filter.batch, None),
        current: filter.state == state,
    };
    let counts = StateName::ALL
        .map(|state| (state.as_str(), jobs.iter().filter(|job| job.state.name() == state).count()));
    let configured = app.intake.processors().all.keys();
    let mut processors: Vec<_> = configured.map(ProcessorName::as_str).collect();
    // One that is no longer configured still has its jobs.
    processors.extend(filter.processor.as_ref().map(ProcessorName::as_str));
    processors.sort_unstable();
    processors.dedup();
    let whole = next.is_none() && asked.before.is_none();
    let next = next.map(|cursor| {
        app.pages.jobs_where(filter.state, filter.processor.as_ref(), filter.batch, Some(cursor))
    });
    let heading = match (filter.batch, &filter.processor) {
        (Some(_), _) => "Files sent together".to_owned(),
        (None, Some(processor)) => format!("Jobs of {processor}"),
        (None, None) => "Jobs".to_owned(),
    };
    respond(&Jobs {
        frame: Frame::new(app).await,
        heading,
        tabs: vec![
            tab("All", None),
            tab("Queued", Some(StateName::Queued)),
            tab("Running", Some(StateName::Running)),
            tab("Succeeded", Some(StateName::Succeeded)),
            tab("Failed", Some(StateName::Failed)),
            tab("Cancelled", Some(StateName::Cancelled)),
        ],
        rows: jobs.iter().map(|job| Row::new(app, job)).collect(),
        next,
        older: asked.before.is_some(),
        narrowed: filter.state.is_some() || filter.processor.is_some(),
        batch: filter.batch.is_some(),
        ended: jobs.iter().filter(|job| job.state.is_terminal()).count(),
        counts: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        whole,
        live: jobs.iter().any(|job| !job.state.is_terminal()),
        action: app.pages.jobs(),
        state: filter.state.map(StateName::as_str),
        processors: processors
            .into_iter()
            .map(|name| Choice {
                name,
                current: filter.processor.as_ref().is_some_and(|it| it.as_str() == name),
            })
            .collect(),
    })
}

impl<'a> Row<'a> {
    fn new(app: &App, job: &'a Job) -> Self {
        let until = job.finished_at.unwrap_or_else(|| app.clock.now());
        Self {
            name: title(job),
            url: app.pages.job(job.id()),
            state: job.state.name().as_str(),
            processor: job.asked.processor.as_str(),
            size: size(job.asked.input.size),
            created: Moment::new(job.created_at),
            took: job.started_at.map(|started| duration(until.since(started))),
            percent: match (&job.state, &job.progress) {
                (fileyard_storage::job::JobState::Running { .. }, Some(progress)) => {
                    Some(format!("{}%", progress.permille / 10))
                }
                _ => None,
            },
            reason: match &job.state {
                fileyard_storage::job::JobState::Failed { reason } => Some(reason.code.as_str()),
                _ => None,
            },
        }
    }
}
