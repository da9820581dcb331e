//! The `urls` listener: what one attempt's container reaches, on a socket of its own.
//!
//! Four addresses and nothing else: no page, no cookie, no other origin, and no other attempt. Who
//! may use them is the desk's to say; a path holds a token, so nothing here writes one down.

mod body;
mod listen;

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use fileyard_orchestrator::contract::urls::{Desk, Pass, Put};
use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde::Serialize;

pub use self::listen::AttemptListeners;
use crate::{
    digest,
    download::Blob,
    error::{Code, Problem},
};

/// How long a program may think while it reads or writes. It is no stranger: what ends it is its
/// attempt's timeout, long before this.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A request that the desk lets in.
pub(crate) struct Admitted(Pass);

impl FromRequestParts<Desk> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        // As it is written: no character of a token is ever escaped.
        let token = parts.uri.path().split('/').nth(2).unwrap_or_default();
        Ok(Self(desk.admit(token).await?))
    }
}

/// `GET` and `HEAD FILEYARD_INPUT_URL`.
pub(crate) async fn input(
    Admitted(pass): Admitted,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let input = pass.input();
    let blob = Blob {
        job: pass.job().id(),
        key: input.key.clone(),
        name: &input.name,
        content_type: &input.content_type,
        size: input.size,
        sha256: input.sha256,
    };
    blob.send(pass.blobs(), &method, &headers).await
}

/// What is stored, for its program to compare.
#[derive(Debug, Serialize)]
struct OutputJson<'a> {
    name: &'a str,
    r#type: &'a str,
    size: u64,
    sha256: String,
}

/// `PUT FILEYARD_OUTPUT_URL/<name>`.
pub(crate) async fn output(
    Admitted(pass): Admitted,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Ok(Path((_, name))) = path else {
        return Err(Problem::new(Code::BadParam, "an output's name is UTF-8, percent-encoded"));
    };
    let sha256 = digest::announced(&headers)?;
    let put = Put { name: &name, size: body::length(&headers), sha256 };
    let stored = pass.put(put, body::stream(body)).await?;
    let json = OutputJson {
        name: &name,
        r#type: &stored.content_type,
        size: stored.size,
        sha256: stored.sha256.to_string(),
    };
    Ok((StatusCode::CREATED, Json(json)).into_response())
}

/// `PUT FILEYARD_OUTPUT_URL` without a name.
pub(crate) async fn nameless(_: Admitted) -> Problem {
    let detail = "an output needs a name: PUT to FILEYARD_OUTPUT_URL/NAME";
    Problem::new(Code::BadParam, detail)
}

/// `PUT FILEYARD_RESULT_URL`.
pub(crate) async fn result(Admitted(pass): Admitted, body: Body) -> Result<StatusCode, Problem> {
    pass.result(body::stream(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST FILEYARD_PROGRESS_URL`.
pub(crate) async fn progress(Admitted(pass): Admitted, body: Body) -> Result<StatusCode, Problem> {
    pass.progress(body::stream(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Any other path. It may hold a token, and so is not said again.
pub(crate) async fn nowhere() -> Problem {
    Problem::new(Code::NotFound, "there is nothing here but the addresses in the environment")
}

/// Another method.
pub(crate) async fn not_so(_: State<Desk>) -> Problem {
    let detail = "GET the input, PUT an output below its address, PUT the result, POST progress";
    Problem::new(Code::MethodNotAllowed, detail)
}
