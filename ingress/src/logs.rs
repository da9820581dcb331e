//! A job's log as plain text, while it is written and after.

use std::ops::Range;

use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fileyard_orchestrator::log::{LogError, LogText, ReadOptions};
use fileyard_storage::{
    id::{AttemptNo, JobId},
    job::Job,
};
use futures::{Stream, StreamExt, TryStreamExt, future::ready, stream};
use http::{HeaderMap, Method, StatusCode, header};
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    error::{Code, Problem, unreadable},
    inert::{inert, set},
    range::{Wanted, parse},
};

/// How much of a log's end a page shows.
const TAIL_LINES: usize = 200;
const TAIL_BYTES: usize = 64 * 1024;

/// `GET /jobs/{id}/logs?timestamps=1&tail=N&attempt=N&follow=1`.
pub(crate) async fn read(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    Query(query): Query<Vec<(String, String)>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = app.job_at(id).await?;
    let mut options = options(&query)?;
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let spec = asked
        .and_then(parse)
        .filter(|_| method == Method::GET && !options.follow)
        // A log has no validator that a client could hold, so what it has is never known to fit.
        .filter(|_| !headers.contains_key(header::IF_RANGE));
    let (mut part, mut complete) = (None, None);
    if let Some(spec) = spec {
        // How long it is now; a log that is still written may be longer by the time it is sent.
        let (length, whole) = length(&app, &job, &options).await?;
        match spec.of(length) {
            Wanted::Part(range) => part = Some(range),
            Wanted::Whole | Wanted::Nothing => return Err(Problem::range(length)),
        }
        complete = whole.then_some(length);
        options.range.clone_from(&part);
    }
    let log = open(&app, &job, &options).await?;
    let length = part.as_ref().map(|part| part.end - part.start).or(log.size);
    let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let body = if method == Method::HEAD {
        Body::empty()
    } else if options.follow {
        Body::from_stream(until(app.stop.clone(), log.stream))
    } else {
        Body::from_stream(log.stream)
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    inert(headers);
    set(headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    if let Some(length) = length {
        set(headers, header::CONTENT_LENGTH, &length.to_string());
    }
    if let Some(Range { start, end }) = part {
        let of = complete.map_or("*".to_owned(), |length| length.to_string());
        set(headers, header::CONTENT_RANGE, &format!("bytes {start}-{}/{of}", end - 1));
    }
    Ok(response)
}

/// A log that goes on until the server stops, and then breaks off: not as if it had ended.
fn until(
    stop: CancellationToken,
    log: impl Stream<Item = Result<Bytes, LogError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, LogError>> + Send {
    let stopped = stop.clone();
    let broken = async move {
        stopped.is_cancelled().then(|| Err(LogError::Io("the server is stopping".into())))
    };
    log.take_until(stop.cancelled_owned()).chain(stream::once(broken).filter_map(ready))
}

/// The end of a job's log, for its page: at most 64 KiB. A log that can not be read is no reason to
/// show no page: its place then says why.
pub(crate) async fn tail(app: &App, job: &Job) -> Vec<u8> {
    let options = ReadOptions { tail: Some(TAIL_LINES), ..ReadOptions::default() };
    let text = async {
        let log = app.logs.read(job, &options).await?;
        log.stream
            .try_fold(Vec::new(), |mut end, bytes| async move {
                end.extend_from_slice(&bytes);
                if end.len() > 2 * TAIL_BYTES {
                    end.drain(..end.len() - TAIL_BYTES);
                }
                Ok(end)
            })
            .await
    };
    match text.await {
        Ok(mut end) => end.split_off(end.len().saturating_sub(TAIL_BYTES)),
        Err(error) => {
            tracing::warn!(job = %job.id(), %error, "a log could not be read");
            format!("The log can not be read: {error}").into_bytes()
        }
    }
}

async fn open(app: &App, job: &Job, options: &ReadOptions) -> Result<LogText, Problem> {
    app.logs.read(job, options).await.map_err(|error| unread(error, job.id()))
}

/// How long the text is now, and whether that is all it will ever be.
async fn length(app: &App, job: &Job, options: &ReadOptions) -> Result<(u64, bool), Problem> {
    let log = open(app, job, options).await?;
    if let Some(size) = log.size {
        return Ok((size, true));
    }
    let counted =
        log.stream.try_fold(0, |count, bytes| async move { Ok(count + bytes.len() as u64) });
    Ok((counted.await.map_err(|error| unread(error, job.id()))?, false))
}

fn unread(error: LogError, job: JobId) -> Problem {
    match error {
        LogError::NoAttempt(_) => Problem::new(Code::NotFound, error.to_string()),
        LogError::Row(error) => error.into(),
        LogError::Blob(error) => unreadable(&error, job),
        LogError::Io(_) => {
            tracing::error!(%job, %error, "a log could not be read");
            Problem::new(Code::Internal, error.to_string())
        }
    }
}

fn options(query: &[(String, String)]) -> Result<ReadOptions, Problem> {
    let mut options = ReadOptions::default();
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        let bad = |must: &str| {
            let value: String = value.chars().take(80).collect();
            Problem::new(Code::BadParam, format!("`{name}={value}`: {must}"))
        };
        let flag = || match value.as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(bad("must be 1 or 0")),
        };
        match name.as_str() {
            "timestamps" => options.timestamps = flag()?,
            "follow" => options.follow = flag()?,
            "tail" => {
                let lines = value.parse().map_err(|_| bad("must be a number of lines"))?;
                options.tail = Some(lines);
            }
            "attempt" => {
                let no = value.parse().map_err(|_| bad("must be the number of an attempt"))?;
                options.attempt = Some(AttemptNo(no));
            }
            _ => {}
        }
    }
    Ok(options)
}
