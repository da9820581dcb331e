//! One job: as JSON, or as its page.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Redirect, Response},
};
use fileyard_storage::{id::JobId, job::Job};
use http::HeaderMap;

use crate::{App, error::Problem, json::JobJson, negotiate::prefers_html, page};

/// `GET /status/{job_id}` and `GET /jobs/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = app.job(id).await?;
    if prefers_html(&headers) {
        return page::job(&app, &job).await;
    }
    Ok(Json(JobJson::new(&job, &app.urls)).into_response())
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
    Ok(Json(JobJson::new(&job, &app.urls)).into_response())
}

impl App {
    /// The job of a path; a malformed id is as unknown as any other.
    pub(crate) async fn job(
        &self,
        id: Result<Path<String>, PathRejection>,
    ) -> Result<Job, Problem> {
        let id = parse(id)?;
        let job = self.store.job(id).await?;
        job.ok_or_else(|| Problem::unknown_job(&id.to_string()))
    }
}

fn parse(id: Result<Path<String>, PathRejection>) -> Result<JobId, Problem> {
    let Ok(Path(text)) = id else { return Err(Problem::unknown_job("\u{fffd}")) };
    text.parse().map_err(|_| Problem::unknown_job(&text))
}
