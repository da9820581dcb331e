//! The only mapping of what went wrong to HTTP: `application/problem+json` with a stable code.
//!
//! A handler returns a [`Problem`]; what a browser sees instead is decided in `router.rs`, where
//! the request is known.

use axum::response::{IntoResponse, Response};
use fileyard_orchestrator::{
    contract::urls::{DeskError, Sent},
    intake::IntakeError,
    processor::NoSuchProcessor,
};
use fileyard_storage::{StoreError, blob::BlobError, id::JobId};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{incoming::BodyError, multipart::FormError};

/// How a 401 wants to be asked again (RFC 6750).
pub(crate) const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"fileyard\"");

/// An answer that is not what was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    known: Option<Vec<String>>,
    /// Of a blob that a range did not fit.
    size: Option<u64>,
}

/// What is wrong, for programs: each has one status and one spelling for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// No key, or another one.
    Unauthorized,
    /// The server is asked by a name that is none of its own.
    ForbiddenHost,
    /// A page of an origin that may not write.
    ForbiddenOrigin,
    /// No processor of that name.
    UnknownProcessor,
    /// No such job; a malformed id is one too.
    UnknownJob,
    /// The processor does not take such files.
    UnsupportedType,
    /// A file, or the number of files, is over its limit.
    TooLarge,
    /// The form brought no file.
    NoFile,
    /// The form can not be read.
    BadMultipart,
    /// A param or a query's value is not what was declared.
    BadParam,
    /// The key's request is not answered yet.
    IdempotencyInProgress,
    /// The key was another request's.
    IdempotencyMismatch,
    /// The body is not what it was announced to be.
    DigestMismatch,
    /// The body is not as long as was announced.
    LengthMismatch,
    /// The body stood still for too long, or crept while others waited.
    SlowUpload,
    /// Nothing of the blob is in that range.
    RangeNotSatisfiable,
    /// Nothing is at that path.
    NotFound,
    /// The path is there, for other methods.
    MethodNotAllowed,
    /// The request is not one.
    BadRequest,
    /// The request's head is over its limit.
    HeadersTooLarge,
    /// The request's head did not come to its end.
    SlowRequest,
    /// Our fault.
    Internal,
    /// Files or rows can not be reached now.
    StoreUnavailable,
    /// No memory for another upload in time.
    TooManyUploads,
    /// No room.
    DiskFull,
    /// Not a token of this attempt, or one that is nothing any more.
    ForbiddenToken,
    /// The state does not allow it.
    Conflict,
}

impl Code {
    /// As it stands in JSON, its status, and its title for a person.
    #[must_use]
    pub(crate) fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "A key is needed"),
            Self::ForbiddenHost => ("forbidden_host", S::MISDIRECTED_REQUEST, "Not its name"),
            Self::ForbiddenOrigin => ("forbidden_origin", S::FORBIDDEN, "Not from that page"),
            Self::UnknownProcessor => ("unknown_processor", S::NOT_FOUND, "No such processor"),
            Self::UnknownJob => ("unknown_job", S::NOT_FOUND, "No such job"),
            Self::UnsupportedType => {
                ("unsupported_type", S::UNSUPPORTED_MEDIA_TYPE, "This kind of file is not taken")
            }
            Self::TooLarge => ("too_large", S::PAYLOAD_TOO_LARGE, "Too large"),
            Self::NoFile => ("no_file", S::BAD_REQUEST, "No file"),
            Self::BadMultipart => ("bad_multipart", S::BAD_REQUEST, "The form could not be read"),
            Self::BadParam => ("bad_param", S::UNPROCESSABLE_ENTITY, "A value is not accepted"),
            Self::IdempotencyInProgress => {
                ("idempotency_in_progress", S::CONFLICT, "The same request is still under way")
            }
            Self::IdempotencyMismatch => {
                ("idempotency_mismatch", S::UNPROCESSABLE_ENTITY, "Another request had this key")
            }
            Self::DigestMismatch => (
                "digest_mismatch",
                S::UNPROCESSABLE_ENTITY,
                "The content is not what was announced",
            ),
            Self::LengthMismatch => {
                ("length_mismatch", S::BAD_REQUEST, "The body is not as long as announced")
            }
            Self::SlowUpload => ("slow_upload", S::REQUEST_TIMEOUT, "The upload was too slow"),
            Self::RangeNotSatisfiable => {
                ("range_not_satisfiable", S::RANGE_NOT_SATISFIABLE, "Nothing is in that range")
            }
            Self::NotFound => ("not_found", S::NOT_FOUND, "Not found"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", S::METHOD_NOT_ALLOWED, "This method is not allowed here")
            }
            Self::BadRequest => ("bad_request", S::BAD_REQUEST, "Not a request"),
            Self::HeadersTooLarge => (
                "headers_too_large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request's headers are too large",
            ),
            Self::SlowRequest => {
                ("slow_request", S::REQUEST_TIMEOUT, "The request did not come in time")
            }
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Something broke on our side"),
            Self::StoreUnavailable => {
                ("store_unavailable", S::SERVICE_UNAVAILABLE, "Not available right now")
            }
            Self::TooManyUploads => {
                ("too_many_uploads", S::SERVICE_UNAVAILABLE, "Too many uploads are under way")
            }
            Self::DiskFull => ("disk_full", S::INSUFFICIENT_STORAGE, "No room left"),
            Self::ForbiddenToken => ("forbidden_token", S::FORBIDDEN, "Not your address"),
            Self::Conflict => ("conflict", S::CONFLICT, "Not possible in this state"),
        }
    }
}

impl Problem {
    /// A problem, with what was wrong with which input, and what to do.
    #[must_use]
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), known: None, size: None }
    }

    /// No such job, as the client wrote it.
    #[must_use]
    pub(crate) fn unknown_job(id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(Code::UnknownJob, format!("there is no job {id:?} here"))
    }

    /// Nothing of a blob of `size` bytes is in the range that was asked for.
    #[must_use]
    pub(crate) fn range(size: u64) -> Self {
        let detail = format!("there are {size} bytes, and none of them is in that range");
        Self { size: Some(size), ..Self::new(Code::RangeNotSatisfiable, detail) }
    }

    /// Its status.
    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        self.code.parts().1
    }

    /// For a person, in a few words.
    #[must_use]
    pub(crate) fn title(&self) -> &'static str {
        self.code.parts().2
    }

    /// For a person, in a sentence.
    #[must_use]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// For a program: its body as `application/problem+json`.
    #[must_use]
    pub(crate) fn json(&self) -> Vec<u8> {
        let (code, status, title) = self.code.parts();
        let json = ProblemJson {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code,
            known: self.known.as_deref(),
        };
        serde_json::to_vec(&json).expect("texts and numbers are JSON")
    }
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'a [String]>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, self.json()).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let again_after = match self.code {
            Code::IdempotencyInProgress => Some("1"),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some("5"),
            _ => None,
        };
        if let Some(seconds) = again_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, BEARER);
        }
        if let Some(size) = self.size {
            let range = HeaderValue::try_from(format!("bytes */{size}"));
            headers.insert(header::CONTENT_RANGE, range.expect("digits are a header's value"));
        }
        // For whoever renders it for a browser.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let code = match &error {
            IntakeError::Processor(
                NoSuchProcessor::Unknown { known, .. } | NoSuchProcessor::Unnamed { known },
            ) => {
                let problem = Self::new(Code::UnknownProcessor, error.to_string());
                return Self { known: Some(known.clone()), ..problem };
            }
            IntakeError::Param(_) => Code::BadParam,
            IntakeError::UnsupportedType { .. } => Code::UnsupportedType,
            IntakeError::TooLarge { .. } => Code::TooLarge,
            IntakeError::NoFile => Code::NoFile,
            IntakeError::UnknownJob(_) => Code::UnknownJob,
            IntakeError::KeyInProgress => Code::IdempotencyInProgress,
            IntakeError::KeyMismatch => Code::IdempotencyMismatch,
            IntakeError::Conflict(_) => Code::Conflict,
            IntakeError::DiskFull(_) => Code::DiskFull,
            IntakeError::TooManyUploads => Code::TooManyUploads,
            IntakeError::SlowUpload => Code::SlowUpload,
            IntakeError::StoreUnavailable(_)
            | IntakeError::DatabaseUnavailable(_)
            | IntakeError::ShuttingDown => Code::StoreUnavailable,
        };
        if matches!(code, Code::StoreUnavailable | Code::DiskFull | Code::TooManyUploads) {
            tracing::warn!(%error, "an upload or a wish was refused");
        }
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "a row could not be read");
                Self::new(Code::Internal, error.to_string())
            }
            StoreError::NotFound(_) => Self::new(Code::NotFound, error.to_string()),
            StoreError::Refused(_) | StoreError::Conflict(_) | StoreError::KeyTaken => {
                Self::new(Code::Conflict, error.to_string())
            }
            StoreError::Unavailable(_) | StoreError::Unknown(_) => {
                tracing::warn!(%error, "rows could not be read");
                Self::new(Code::StoreUnavailable, error.to_string())
            }
        }
    }
}

/// What a blob's reader met.
pub(crate) fn unreadable(error: &BlobError, job: JobId) -> Problem {
    match error {
        BlobError::NotFound(_) => {
            tracing::error!(%job, %error, "a blob that a row names is gone");
            Problem::new(Code::Internal, "the file is gone from the store, though its job names it")
        }
        error => {
            tracing::warn!(%job, %error, "a blob could not be read");
            Problem::new(Code::StoreUnavailable, error.to_string())
        }
    }
}

impl Problem {
    /// A bare body that did not arrive.
    pub(crate) fn cut(error: &BodyError) -> Self {
        let code = match error {
            BodyError::Slow(_) => Code::SlowUpload,
            BodyError::Cut(_) => Code::LengthMismatch,
        };
        Self::new(code, error.to_string())
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let code = match error {
            DeskError::NotAdmitted(_) => Code::ForbiddenToken,
            DeskError::BadName(_) | DeskError::BadContent(_) => Code::BadParam,
            DeskError::OverLimit(_) => Code::TooLarge,
            DeskError::OtherDigest { .. } => Code::DigestMismatch,
            DeskError::DiskFull(_) => Code::DiskFull,
            DeskError::Slow(_) => Code::SlowUpload,
            DeskError::Unavailable(_) => Code::StoreUnavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Sent<BodyError>> for Problem {
    fn from(error: Sent<BodyError>) -> Self {
        match error {
            Sent::Body(error) => Self::cut(&error),
            Sent::Refused(error) => error.into(),
        }
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        let code = match error {
            FormError::Body(BodyError::Slow(_)) => Code::SlowUpload,
            _ => Code::BadMultipart,
        };
        Self::new(code, error.to_string())
    }
}
