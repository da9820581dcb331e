//! One job: as JSON, or as its page.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::PathRejection},
    response::{IntoResponse, Redirect, Response},
};
use fileyard_storage::{id::JobId, job::Job};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use crate::{App, error::Problem, negotiate::prefers_html, page, view::View, wait::Wait};

/// `GET /status/{job_id}` and `GET /jobs/{id}`: as it is, or with a wait, once it has ended; who
/// says what it has already is answered at the first change.
pub(crate) async fn show(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse(id)?;
    let html = prefers_html(&headers);
    let Some(wait) = Wait::asked(&query, &headers)? else {
        return match html {
            true => page::job(&app, &app.job(id).await?).await,
            false => Ok(app.view(id).await?.unless_known(&headers)),
        };
    };
    // A page is never known: it shows more than the job's row.
    let has_one = !html && headers.contains_key(header::IF_NONE_MATCH);
    let until = Instant::now() + wait.duration();
    let enough = |view: &View| view.has_ended() || (has_one && !view.is_known(&headers));
    let view = app.watches.wait(id, until, enough).await?.ok_or_else(|| unknown(id))?;
    let mut response = match html {
        true => page::job(&app, &app.job(id).await?).await?,
        false => view.unless_known(&headers),
    };
    wait.told_in(response.headers_mut());
    Ok(response)
}

/// `POST /jobs/{id}/cancel`; a browser is sent back to the job's page.
pub(crate) async fn cancel(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse(id)?;
    let job = app.intake.cancel(id).await?;
    if prefers_html(&headers) {
        return Ok(Redirect::to(&app.pages.job(id)).into_response());
    }
    Ok(View::new(&job, &app.urls)?.made(StatusCode::OK, &app.urls.job(id)))
}

/// `POST /jobs/{id}/retry`: the new job; a browser is sent to its page.
pub(crate) async fn retry(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = app.intake.retry(parse(id)?).await?;
    if prefers_html(&headers) {
        return Ok(Redirect::to(&app.pages.job(job.id())).into_response());
    }
    let address = app.urls.job(job.id());
    let mut response = View::new(&job, &app.urls)?.made(StatusCode::ACCEPTED, &address);
    locate(&mut response, &address);
    Ok(response)
}

/// Names where what was made is.
pub(crate) fn locate(response: &mut Response, location: &str) {
    let location = HeaderValue::try_from(location).expect("an address is a header's value");
    response.headers_mut().insert(header::LOCATION, location);
}

impl App {
    /// One job, where there is one.
    pub(crate) async fn job(&self, id: JobId) -> Result<Job, Problem> {
        self.store.job(id).await?.ok_or_else(|| unknown(id))
    }

    /// The same, as a client is sent it.
    async fn view(&self, id: JobId) -> Result<Arc<View>, Problem> {
        self.views.of(id).await?.ok_or_else(|| unknown(id))
    }

    /// The job of a path; a malformed id is as unknown as any other.
    pub(crate) async fn job_at(
        &self,
        id: Result<Path<String>, PathRejection>,
    ) -> Result<Job, Problem> {
        self.job(parse(id)?).await
    }
}

fn unknown(id: JobId) -> Problem {
    Problem::unknown_job(&id.to_string())
}

fn parse(id: Result<Path<String>, PathRejection>) -> Result<JobId, Problem> {
    let Ok(Path(text)) = id else { return Err(Problem::unknown_job("\u{fffd}")) };
    text.parse().map_err(|_| Problem::unknown_job(&text))
}
