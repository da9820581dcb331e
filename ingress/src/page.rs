//! Pages: rendered here, whole without JavaScript. A script of ours, and no other, renews them.

mod fields;
mod job;
mod list;
mod login;
mod text;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Response},
};
use fileyard_orchestrator::{intake::IntakeError, processor::Processor};
use fileyard_storage::job::Job;
use http::{HeaderValue, header};

pub(crate) use self::{fields::bare, job::job, list::jobs, login::login};
use self::{
    fields::{Control, Field},
    text::{duration, size},
};
use crate::{App, assets, error::Problem, health::Readiness, urls::Urls};

/// What to paste where nothing is configured yet.
pub const FIRST_PROCESSOR: &str = r#"# fileyard.toml
[processors.sample]
title = "Look into a file"
image = "fileyard/sample:latest"
memory = "256MiB"
timeout = "5m"
"#;

/// What every page has.
struct Frame<'a> {
    urls: &'a Urls,
    /// What is wrong with the server, in a sentence.
    notice: Option<String>,
    /// Who sees it came in by a key.
    locked: bool,
}

impl<'a> Frame<'a> {
    async fn new(app: &'a App) -> Self {
        let notice = app.health.glance().await.as_ref().and_then(notice);
        Self { urls: &app.pages, notice, locked: app.door.has_key() }
    }

    /// For whoever asks: it tells nothing of the server.
    fn bare(app: &'a App) -> Self {
        Self { urls: &app.pages, notice: None, locked: false }
    }

    fn style(&self) -> String {
        self.urls.asset(assets::style())
    }

    fn script(&self) -> String {
        self.urls.asset(assets::script())
    }

    fn icon(&self) -> String {
        self.urls.asset(assets::icon())
    }
}

fn notice(readiness: &Readiness) -> Option<String> {
    let Readiness { store, database, engine } = readiness;
    let uploads = "Files are not taken right now";
    let jobs = "Files are taken, and their jobs wait";
    let parts = [(database, uploads), (store, uploads), (engine, jobs)];
    let (sick, so) = parts.into_iter().find(|(part, _)| !part.ok)?;
    Some(format!("{so}: {}", sick.message.as_deref().unwrap_or("something does not answer")))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    frame: Frame<'a>,
    /// Every processor: its title, its address here, whether it is the one shown.
    choices: Vec<Choice<'a>>,
    chosen: Option<Chosen<'a>>,
    max_size: String,
    max_files: usize,
    starter: &'static str,
}

struct Choice<'a> {
    title: &'a str,
    name: &'a str,
    url: String,
    current: bool,
}

struct Chosen<'a> {
    name: &'a str,
    /// For the file field: extensions and types, as `accept` has them.
    accept: String,
    accepts: String,
    timeout: String,
    fields: Vec<Field<'a>>,
}

/// `GET /`, and `/?processor=NAME` with that one's fields.
pub(crate) async fn home(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let processors = app.intake.processors();
    let asked = query.iter().find(|(name, _)| name == "processor").map(|(_, value)| value.as_str());
    let chosen = match asked.filter(|name| !name.is_empty()) {
        Some(name) => Some(processors.choose(Some(name)).map_err(IntakeError::from)?),
        None => processors.choose(None).ok().or_else(|| processors.all.values().next()),
    };
    let choices = processors.all.values().map(|processor| Choice {
        title: &processor.title,
        name: processor.name.as_str(),
        url: app.pages.home_of(&processor.name),
        current: chosen.is_some_and(|chosen| chosen.name == processor.name),
    });
    let limits = app.intake.limits();
    respond(&Home {
        frame: Frame::new(&app).await,
        choices: choices.collect(),
        chosen: chosen.map(|processor| Chosen::new(processor)),
        max_size: size(limits.max_size),
        max_files: limits.max_files,
        starter: FIRST_PROCESSOR,
    })
}

impl<'a> Chosen<'a> {
    fn new(processor: &'a Processor) -> Self {
        Self {
            name: processor.name.as_str(),
            accept: processor.accepts.join(","),
            accepts: processor.accepts.join(", "),
            timeout: duration(processor.timeout),
            fields: processor.params.iter().map(|(name, spec)| Field::new(name, spec)).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    status: u16,
    title: &'a str,
    detail: &'a str,
}

/// A problem's page, with the status and the headers of the answer it is made from.
pub(crate) fn problem(app: &App, problem: &Problem, answer: Response) -> Response {
    let page = ProblemPage {
        frame: Frame::bare(app),
        status: problem.status().as_u16(),
        title: problem.title(),
        detail: problem.detail(),
    };
    let Ok(page) = respond(&page) else { return answer };
    let (mut parts, _) = answer.into_parts();
    let (page_parts, body) = page.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page_parts.headers);
    Response::from_parts(parts, body)
}

fn respond(page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Problem::new(crate::error::Code::Internal, "the page could not be made")
    })?;
    let mut response = Html(html).into_response();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                  connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A page that opens this one, or is opened by it, can not reach into it.
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// A job's name on a page.
fn title(job: &Job) -> &str {
    &job.asked.input.name
}
