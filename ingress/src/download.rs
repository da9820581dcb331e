//! Bytes out: a job's input and its outputs, whole or in part. What a browser may make of them is
//! decided in `inert.rs`.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use fileyard_storage::{
    blob::{BlobKey, BlobStore, Digest},
    id::JobId,
    job::{Job, JobState},
};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use crate::{
    App, digest,
    error::{Code, Problem, unreadable},
    etag,
    inert::{self, set},
    range::{Wanted, wanted},
};

/// Each use asks first, with the tag: whoever has logged out sees nothing any more.
const KEPT: &str = "private, no-cache";

/// `GET /jobs/{id}/input`.
pub(crate) async fn input(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = app.job_at(id).await?;
    let input = &job.asked.input;
    let blob = Blob {
        job: job.id(),
        key: input.key.clone(),
        name: &input.name,
        content_type: &input.content_type,
        size: input.size,
        sha256: input.sha256,
    };
    blob.send(&app.blobs, &method, &headers).await
}

/// `GET /jobs/{id}/outputs/{*path}`.
pub(crate) async fn output(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(Code::NotFound, "the job has no such output");
    let Ok(Path((id, name))) = path else { return Err(unknown()) };
    let job = app.job_at(Ok(Path(id))).await?;
    let blob = Blob::of_output(&job, &name).ok_or_else(unknown)?;
    blob.send(&app.blobs, &method, &headers).await
}

/// A file to be sent.
pub(crate) struct Blob<'a> {
    pub(crate) job: JobId,
    pub(crate) key: BlobKey,
    pub(crate) name: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
}

impl<'a> Blob<'a> {
    fn of_output(job: &'a Job, name: &str) -> Option<Self> {
        let JobState::Succeeded { outputs, .. } = &job.state else { return None };
        let index = outputs.iter().position(|output| output.name == name)?;
        let output = &outputs[index];
        Some(Self {
            job: job.id(),
            key: job.output_key(u32::try_from(index).ok()?)?,
            name: output.name.rsplit('/').next().unwrap_or_default(),
            content_type: &output.content_type,
            size: output.size,
            sha256: output.sha256,
        })
    }

    /// Whole or in part, or its headers alone.
    pub(crate) async fn send(
        self,
        blobs: &BlobStore,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", self.sha256);
        if etag::is_known(headers, &etag) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            set(response.headers_mut(), header::ETAG, &etag);
            set(response.headers_mut(), header::CACHE_CONTROL, KEPT);
            return Ok(response);
        }
        let (status, part) = match wanted(headers, self.size, &etag) {
            // A range is for GET alone.
            _ if method == Method::HEAD => (StatusCode::OK, None),
            Wanted::Whole => (StatusCode::OK, None),
            Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
            Wanted::Nothing => return Err(Problem::range(self.size)),
        };
        let length = part.as_ref().map_or(self.size, |part| part.end - part.start);
        let content_range =
            part.as_ref().map(|p| format!("bytes {}-{}/{}", p.start, p.end - 1, self.size));
        let body = if method == Method::HEAD || length == 0 {
            Body::empty()
        } else {
            let read = blobs.get(&self.key, part).await;
            Body::from_stream(read.map_err(|error| unreadable(&error, self.job))?.stream)
        };
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        inert::file(headers, self.name, self.content_type);
        set(headers, header::CONTENT_LENGTH, &length.to_string());
        set(headers, header::ETAG, &etag);
        // Of the whole file, whatever part of it this is (RFC 9530).
        set(headers, HeaderName::from_static("repr-digest"), &digest::field(&self.sha256));
        set(headers, header::CACHE_CONTROL, KEPT);
        if let Some(range) = content_range {
            set(headers, header::CONTENT_RANGE, &range);
        }
        Ok(response)
    }
}
