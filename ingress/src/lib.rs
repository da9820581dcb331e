//! HTTP, and nothing else: handlers extract, call one method, map.
//!
//! Nothing here decides what runs or what a job's end means, and nothing here formats a blob's
//! key. What is refused is refused in [`error`], the only place that knows a status code.

mod accept;
mod access;
mod again;
mod assets;
mod attempt;
mod digest;
mod download;
mod error;
mod etag;
mod health;
mod incoming;
mod inert;
mod jobs;
mod json;
mod logs;
mod multipart;
mod negotiate;
mod once;
mod page;
mod processors;
mod range;
mod router;
mod status;
mod upload;
mod urls;
mod view;
mod views;
mod wait;
mod watch;

use std::{ops::Deref, sync::Arc, time::Duration};

use fileyard_orchestrator::{change::Changes, intake::Intake, log::Logs};
use fileyard_storage::{Store, blob::BlobStore, clock::Clock};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::{
    accept::{AcceptLimits, listen, serve},
    access::{Access, ApiKey, HostRule, HostRuleError, KeyError, Origin, OriginError},
    attempt::AttemptListeners,
    health::{Health, Readiness, Verdict},
    page::FIRST_PROCESSOR,
    router::router,
};
use self::{
    access::Door,
    health::Checked,
    urls::Urls,
    views::{Kept, Views},
    watch::Watches,
};

/// What the routes stand on.
#[derive(Clone)]
pub struct Services {
    /// Every write that a client may ask for.
    pub intake: Intake,
    /// Rows, to read.
    pub store: Arc<dyn Store>,
    /// Which of them change.
    pub changes: Changes,
    /// Files, to read.
    pub blobs: BlobStore,
    /// Logs, to read.
    pub logs: Arc<Logs>,
    /// How all of it is.
    pub health: Arc<dyn Health>,
    /// How long a job is kept once it has ended, if not for ever.
    pub keep_jobs: Option<Duration>,
    /// What pages measure a running job's time by.
    pub clock: Arc<dyn Clock>,
    /// Where clients find this server; addresses are path-absolute without it.
    pub public_url: Option<Url>,
    /// Who may ask.
    pub access: Access,
    /// Cancelled when the server goes down: an answer that would go on for ever breaks off then.
    pub stop: CancellationToken,
}

/// [`Services`] as handlers share them.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) intake: Intake,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) views: Arc<Views>,
    pub(crate) watches: Watches,
    pub(crate) blobs: BlobStore,
    pub(crate) logs: Arc<Logs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Checked,
    pub(crate) door: Door,
    pub(crate) stop: CancellationToken,
    /// Addresses for programs.
    pub(crate) urls: Urls,
    /// Addresses for pages.
    pub(crate) pages: Urls,
}

impl App {
    fn new(services: Services) -> Self {
        let urls = Urls::api(services.public_url.as_ref());
        let kept = Kept { jobs: services.keep_jobs, clock: Arc::clone(&services.clock) };
        let views = Arc::new(Views::new(Arc::clone(&services.store), urls.clone(), kept));
        Self(Arc::new(Shared {
            watches: Watches::new(Arc::clone(&views), services.changes, services.stop.clone()),
            views,
            urls,
            pages: Urls::page(services.public_url.as_ref()),
            door: Door::new(services.access, services.public_url.as_ref()),
            intake: services.intake,
            store: services.store,
            blobs: services.blobs,
            logs: services.logs,
            clock: services.clock,
            stop: services.stop,
            health: Checked::new(services.health),
        }))
    }
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}
