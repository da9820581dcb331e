//! A job as its JSON, with the tag of these very bytes.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fileyard_storage::{clock::Timestamp, job::Job};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{
    error::{Code, Problem},
    etag,
    json::JobJson,
    urls::Urls,
};

/// What all who ask for a job at the same time are sent.
#[derive(Debug, Clone)]
pub(crate) struct View {
    body: Bytes,
    etag: HeaderValue,
    /// When it ended: nothing of it changes any more.
    pub(crate) ended_at: Option<Timestamp>,
}

impl View {
    /// A job as it is now.
    pub(crate) fn new(job: &Job, urls: &Urls) -> Result<Self, Problem> {
        let body = serde_json::to_vec(&JobJson::new(job, urls)).map_err(|error| {
            tracing::error!(job = %job.id(), %error, "a job could not be shown");
            Problem::new(Code::Internal, "the job could not be made into JSON")
        })?;
        let digest = Sha256::digest(&body);
        let etag: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = HeaderValue::try_from(format!("\"{etag}\"")).expect("digits are a header");
        // No larger than it is: it may be kept.
        let body = body.into_boxed_slice().into();
        Ok(Self { body, etag, ended_at: job.finished_at })
    }

    /// Whether nothing of it changes any more.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// How much memory it takes, about.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.body.len() + self.etag.len()
    }

    /// The tag.
    #[must_use]
    pub(crate) fn tag(&self) -> &str {
        self.etag.to_str().unwrap_or_default()
    }

    /// Whether a client that sent these headers has these bytes already (RFC 9110, 13.1.2).
    #[must_use]
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        etag::is_known(headers, self.tag())
    }

    /// The answer to a `GET` with these headers: the job, or that the client has it.
    #[must_use]
    pub(crate) fn unless_known(&self, headers: &HeaderMap) -> Response {
        if self.is_known(headers) {
            return self.tagged(StatusCode::NOT_MODIFIED.into_response());
        }
        self.answer(StatusCode::OK)
    }

    /// The job, whatever the client has.
    #[must_use]
    pub(crate) fn answer(&self, status: StatusCode) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        self.tagged((status, json, self.body.clone()).into_response())
    }

    /// The answer to what made or changed a job: what it is now, and where that stands.
    #[must_use]
    pub(crate) fn made(&self, status: StatusCode, at: &str) -> Response {
        let mut response = self.answer(status);
        let at = HeaderValue::try_from(at).expect("an address is a header's value");
        // Without this the tag would be of the address that was asked.
        response.headers_mut().insert(header::CONTENT_LOCATION, at);
        response
    }

    fn tagged(&self, mut response: Response) -> Response {
        response.headers_mut().insert(header::ETAG, self.etag.clone());
        response
    }
}
