//! Whether this server lives, and whether it can take uploads.

use std::{
    sync::{Arc, Mutex, PoisonError},
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
use tokio::time::timeout;

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
#[derive(Clone)]
pub(crate) struct Checked(Arc<Checking>);

struct Checking {
    health: Arc<dyn Health>,
    /// Held by whoever asks.
    asking: tokio::sync::Mutex<()>,
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl Checked {
    /// How long an answer is as good as a new one.
    const FRESH: Duration = Duration::from_secs(2);
    /// How long a page waits for a new one.
    const GLANCE: Duration = Duration::from_millis(300);

    pub(crate) fn new(health: Arc<dyn Health>) -> Self {
        Self(Arc::new(Checking { health, asking: Default::default(), last: Mutex::default() }))
    }

    /// How each part is, or was a moment ago.
    pub(crate) async fn check(&self) -> Readiness {
        let _asking = self.0.asking.lock().await;
        if let Some((at, readiness)) = self.last()
            && at.elapsed() < Self::FRESH
        {
            return readiness;
        }
        let readiness = self.0.health.check().await;
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), readiness.clone()));
        readiness
    }

    /// The same for a page, which a part that does not answer must not keep waiting: then what was
    /// last known, if anything was.
    pub(crate) async fn glance(&self) -> Option<Readiness> {
        let this = self.clone();
        let check = tokio::spawn(async move { this.check().await });
        match timeout(Self::GLANCE, check).await {
            Ok(Ok(readiness)) => Some(readiness),
            _ => self.last().map(|(_, readiness)| readiness),
        }
    }

    fn last(&self) -> Option<(Instant, Readiness)> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
