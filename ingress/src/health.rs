//! Whether this server lives, and whether it can take uploads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::App;

/// Looks at what the server stands on.
#[async_trait]
pub trait Health: Send + Sync {
    /// How each part is now. May take a few seconds; it is asked by one caller at a time.
    async fn check(&self) -> Readiness;
}

/// How each part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Where files are kept.
    pub store: Verdict,
    /// Where rows are kept.
    pub database: Verdict,
    /// What runs containers. Without it jobs wait, and uploads are taken all the same.
    pub engine: Verdict,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it does its work.
    pub ok: bool,
    /// What is wrong with it, in a sentence for a person.
    pub message: Option<String>,
}

impl Verdict {
    /// Well, unless there is something wrong with it.
    #[must_use]
    pub fn of(trouble: Option<impl ToString>) -> Self {
        Self { ok: trouble.is_none(), message: trouble.map(|trouble| trouble.to_string()) }
    }
}

impl Readiness {
    /// Whether uploads can be taken.
    #[must_use]
    pub fn takes_uploads(&self) -> bool {
        self.store.ok && self.database.ok
    }
}

/// `GET /healthz`: the process lives.
pub(crate) async fn alive() -> Response {
    Json(json!({ "ok": true })).into_response()
}

/// `GET /readyz`: 200 when uploads can be taken, else 503.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let readiness = app.health.check().await;
    let status =
        if readiness.takes_uploads() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// Asks at most once in a while, however many pages and probes want to know.
pub(crate) struct Checked {
    health: Arc<dyn Health>,
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl Checked {
    const FRESH: Duration = Duration::from_secs(2);

    pub(crate) fn new(health: Arc<dyn Health>) -> Self {
        Self { health, last: Mutex::new(None) }
    }

    pub(crate) async fn check(&self) -> Readiness {
        let mut last = self.last.lock().await;
        match &*last {
            Some((at, readiness)) if at.elapsed() < Self::FRESH => readiness.clone(),
            _ => {
                let readiness = self.health.check().await;
                *last = Some((Instant::now(), readiness.clone()));
                readiness
            }
        }
    }
}
