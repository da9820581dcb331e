//! Bytes out: a job's input and its outputs, whole or in part, with headers that let nothing run.

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
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    App,
    error::{Code, Problem, unreadable},
    range::{Wanted, wanted},
};

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
        inert(headers);
        set(headers, header::CONTENT_TYPE, self.content_type);
        set(headers, header::CONTENT_LENGTH, &length.to_string());
        set(headers, header::ETAG, &etag);
        set(headers, header::CONTENT_DISPOSITION, &attachment(self.name));
        set(headers, header::CACHE_CONTROL, "private, max-age=3600");
        if let Some(range) = content_range {
            set(headers, header::CONTENT_RANGE, &range);
        }
        Ok(response)
    }
}

/// What keeps a browser from running, framing or guessing anything in a file.
pub(crate) fn inert(headers: &mut HeaderMap) {
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let policy = "sandbox; default-src 'none'; frame-ancestors 'none'";
    set(headers, header::CONTENT_SECURITY_POLICY, policy);
    let name = header::HeaderName::from_static("cross-origin-resource-policy");
    set(headers, name, "same-origin");
}

/// A content type comes from a row; one that is no header's value is nobody's loss.
pub(crate) fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    let fallback = HeaderValue::from_static("application/octet-stream");
    headers.insert(name, HeaderValue::try_from(value).unwrap_or(fallback));
}

/// `attachment` with the name twice: as ASCII, and as it is (RFC 6266, RFC 8187).
pub(crate) fn attachment(name: &str) -> String {
    const ATTR: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '%' | '/') => c,
            _ => '_',
        })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, ATTR)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_leave_its_header() {
        for (name, header) in [
            ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
            ("\"\r\nX: y", "attachment; filename=\"___X: y\"; filename*=UTF-8''%22%0D%0AX%3A%20y"),
            ("ü%.png", "attachment; filename=\"__.png\"; filename*=UTF-8''%C3%BC%25.png"),
            ("../x\\y", "attachment; filename=\".._x_y\"; filename*=UTF-8''..%2Fx%5Cy"),
        ] {
            assert_eq!(attachment(name), header);
            assert!(HeaderValue::try_from(attachment(name)).is_ok());
        }
    }
}
