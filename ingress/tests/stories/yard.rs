//! One harness: the whole router over rows and blobs in memory, asked as a client asks.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, middleware::map_request};
use bytes::Bytes;
use fileyard_ingress::{Access, Health, Readiness, Services, Verdict, router};
use fileyard_orchestrator::{
    change::{Changes, Told},
    disk::Disk,
    engine::{ContainerId, HostDirs, LogChunk, LogStream},
    hint::Hints,
    intake::{Intake, UploadLimits},
    log::{AttemptLog, Logs},
    processor::{Processor, Processors},
};
use fileyard_storage::{
    MemoryStore, Store,
    attempt::Contract,
    blob::{BlobConfig, BlobKey, BlobStore, Digest, Patience, Recorder},
    clock::{ManualClock, Timestamp},
    id::{Fence, InstallId, JobId},
    job::{ExitFacts, Job, JobEvent, JobFilter, Output, OwnerEvent, Progress},
    upload::Multipart,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    counting::Counting,
    form::Form,
    processors::{pictures, processor},
};

/// How long it keeps jobs that ended.
pub(crate) const KEEP_JOBS: Duration = Duration::from_secs(7 * 24 * 3600);

/// A server with nobody to work for it: jobs move only as a story moves them.
pub(crate) struct Yard {
    pub(crate) router: Router,
    /// The same, for requests without a Host.
    pub(crate) bare: Router,
    pub(crate) store: Arc<dyn Store>,
    /// The same, as another process has them: nobody here is told of its changes.
    pub(crate) rows: MemoryStore,
    pub(crate) changes: Changes,
    /// How often a job's row was read.
    pub(crate) jobs_read: Arc<AtomicUsize>,
    pub(crate) blobs: BlobStore,
    pub(crate) intake: Intake,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) health: Arc<Sick>,
    pub(crate) hints: Hints,
    pub(crate) stop: CancellationToken,
    dirs: HostDirs,
    _data: tempfile::TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a story says about the server's health.
#[derive(Debug, Default)]
pub(crate) struct Sick(pub(crate) std::sync::Mutex<Vec<&'static str>>);

#[async_trait]
impl Health for Sick {
    async fn check(&self) -> Readiness {
        let sick = self.0.lock().unwrap().clone();
        assert!(!sick.contains(&"bug"), "a bug of ours");
        if sick.contains(&"hang") {
            std::future::pending::<()>().await;
        }
        let part = |name: &'static str| {
            Verdict::of(sick.contains(&name).then(|| format!("the {name} does not answer")))
        };
        Readiness { store: part("store"), database: part("database"), engine: part("engine") }
    }
}

pub(crate) const LIMITS: UploadLimits = UploadLimits { max_size: 2_000_000, max_files: 3 };

impl Yard {
    pub(crate) fn new() -> Self {
        Self::of([processor("text"), pictures()], Some("text"), None)
    }

    pub(crate) fn of(
        processors: impl IntoIterator<Item = Processor>,
        default: Option<&str>,
        public_url: Option<&str>,
    ) -> Self {
        Self::guarded(processors, default, public_url, Access::default())
    }

    /// The same, with a door.
    pub(crate) fn guarded(
        processors: impl IntoIterator<Item = Processor>,
        default: Option<&str>,
        public_url: Option<&str>,
        access: Access,
    ) -> Self {
        let config = BlobConfig { url: "memory://".into(), ..BlobConfig::default() };
        Self::stored(&config, processors, default, public_url, access)
    }

    /// With so much memory for all uploads together, and little patience.
    pub(crate) fn crowded(memory: u64, patience: Patience) -> Self {
        let url = "memory://".into();
        let config = BlobConfig { url, memory, patience, ..BlobConfig::default() };
        Self::stored(&config, [processor("text")], Some("text"), None, Access::default())
    }

    fn stored(
        config: &BlobConfig,
        processors: impl IntoIterator<Item = Processor>,
        default: Option<&str>,
        public_url: Option<&str>,
        access: Access,
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(config, data.path()).unwrap();
        let rows = MemoryStore::new(InstallId::from_u128(1)).exclusive();
        Self::over(rows, blobs, data, processors, default, public_url, access)
    }

    /// The same rows and files in another process, whose config has these processors.
    pub(crate) fn with_config(&self, processors: impl IntoIterator<Item = Processor>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (rows, blobs, access) = (self.rows.clone(), self.blobs.clone(), Access::default());
        Self::over(rows, blobs, data, processors, None, None, access)
    }

    fn over(
        rows: MemoryStore,
        blobs: BlobStore,
        data: tempfile::TempDir,
        processors: impl IntoIterator<Item = Processor>,
        default: Option<&str>,
        public_url: Option<&str>,
        access: Access,
    ) -> Self {
        let (changes, jobs_read) = (Changes::default(), Arc::default());
        let install = rows.install();
        let counting = Counting::new(rows.clone(), Arc::clone(&jobs_read));
        let store: Arc<dyn Store> = Arc::new(Told::new(counting, changes.clone()));
        let clock = Arc::new(ManualClock::at(Timestamp(1_767_323_045_678)));
        let all: BTreeMap<_, _> =
            processors.into_iter().map(|p| (p.name.clone(), Arc::new(p))).collect();
        let processors = Processors { all, default: default.map(|name| name.parse().unwrap()) };
        let dirs = HostDirs::new(data.path().join("attempts"), None);
        let hints = Hints::new();
        let stop = CancellationToken::new();
        let intake = Intake::new(
            Arc::clone(&store),
            blobs.clone(),
            clock.clone(),
            processors,
            LIMITS,
            Disk::new(data.path(), 0),
            hints.clone(),
        );
        let health = Arc::new(Sick::default());
        let services = Services {
            intake: intake.clone(),
            store: Arc::clone(&store),
            changes: changes.clone(),
            blobs: blobs.clone(),
            logs: Arc::new(Logs::new(
                Some(dirs.clone()),
                install,
                Arc::clone(&store),
                blobs.clone(),
            )),
            health: health.clone(),
            keep_jobs: Some(KEEP_JOBS),
            clock: clock.clone(),
            stop: stop.clone(),
            public_url: public_url.map(|url| url.parse().unwrap()),
            access,
        };
        let bare = router(services);
        // As every client does; a story about the name that is asked for says one itself.
        let router = bare.clone().layer(map_request(|mut request: Request<Body>| async {
            let localhost = HeaderValue::from_static("localhost");
            request.headers_mut().entry(header::HOST).or_insert(localhost);
            request
        }));
        Self {
            router,
            bare,
            store,
            rows,
            changes,
            jobs_read,
            blobs,
            intake,
            clock,
            health,
            hints,
            stop,
            dirs,
            _data: data,
        }
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// As a browser asks.
    pub(crate) async fn page(&self, path: &str) -> Answer {
        let request = Request::get(path).header(header::ACCEPT, BROWSER);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask(Request::put(path).body(body.into()).unwrap()).await
    }

    pub(crate) async fn put_at(&self, path: String, body: Body) -> Answer {
        self.put(&path, body).await
    }

    pub(crate) async fn post(&self, path: &str, form: Form) -> Answer {
        self.ask(form.request(path)).await
    }

    /// A file that was sent and is a job now.
    pub(crate) async fn job(&self, name: &str, content: &str) -> Job {
        let answer = self.put(&format!("/upload/text/{name}"), content.to_owned()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        self.row(answer.json()["job_id"].as_str().unwrap()).await
    }

    pub(crate) async fn row(&self, id: &str) -> Job {
        self.store.job(id.parse().unwrap()).await.unwrap().unwrap()
    }

    pub(crate) async fn apply(&self, id: JobId, event: JobEvent) -> Job {
        use fileyard_storage::clock::Clock;
        self.store.apply(id, event, self.clock.now()).await.unwrap()
    }

    pub(crate) async fn claimed(&self, id: JobId) -> Fence {
        let claim = JobEvent::Claim {
            engine: "fake".into(),
            contract: Contract::Files,
            image: None,
            lease_until: Timestamp(i64::MAX),
        };
        self.apply(id, claim).await.fence
    }

    /// A job whose container runs and has said how far it is.
    pub(crate) async fn running(&self, id: JobId) -> Fence {
        let fence = self.claimed(id).await;
        self.clock.advance(Duration::from_millis(250));
        self.apply(id, JobEvent::Own(fence, OwnerEvent::Started)).await;
        let progress = Progress { permille: 400, message: Some("resizing".into()) };
        let heartbeat = OwnerEvent::Heartbeat {
            lease_until: Timestamp(i64::MAX),
            elapsed: Duration::from_secs(1),
            progress: Some(progress),
        };
        self.apply(id, JobEvent::Own(fence, heartbeat)).await;
        fence
    }

    pub(crate) async fn exited(&self, id: JobId, code: i64) -> Fence {
        use fileyard_storage::clock::Clock;
        let fence = self.running(id).await;
        self.clock.advance(Duration::from_secs(2));
        let exit = ExitFacts { code, out_of_memory: false, at: self.clock.now(), message: None };
        self.apply(id, JobEvent::Own(fence, OwnerEvent::Exited { exit })).await;
        fence
    }

    /// A job that ended well with these outputs, which are in the store.
    pub(crate) async fn succeeded(
        &self,
        id: JobId,
        result: Value,
        files: &[(&str, &str, &[u8])],
    ) -> Job {
        let fence = self.exited(id, 0).await;
        let mut outputs = Vec::new();
        for (index, (name, content_type, bytes)) in files.iter().enumerate() {
            let key = self.row(&id.to_string()).await.output_key(index as u32).unwrap();
            let (size, sha256) = self.blob(key, bytes).await;
            outputs.push(Output {
                name: (*name).into(),
                content_type: (*content_type).into(),
                size,
                sha256,
                place: None,
            });
        }
        self.apply(id, JobEvent::Own(fence, OwnerEvent::Succeed { result, outputs })).await
    }

    /// What the running container of a job writes.
    pub(crate) async fn writes(&self, id: JobId, text: &str) {
        let attempt = self.row(&id.to_string()).await.attempt.unwrap();
        let container = ContainerId { install: self.store.install(), job: id, attempt };
        let mut log = AttemptLog::open(&self.dirs.log(&container)).unwrap();
        for line in text.split_inclusive('\n') {
            let at = 1_767_323_045_678_901_234;
            let bytes = Bytes::copy_from_slice(line.as_bytes());
            log.append(&LogChunk { at, stream: LogStream::Stdout, bytes }).unwrap();
        }
    }

    async fn blob(&self, key: BlobKey, bytes: &[u8]) -> (u64, Digest) {
        let mut writer = self.blobs.writer(key, 1 << 30, Arc::new(Nobody));
        writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        let written = writer.finish().await.unwrap();
        (written.size, written.sha256)
    }

    /// How many jobs, and how many uploads that still receive; once every task has ended.
    pub(crate) async fn left_behind(&self) -> (usize, usize) {
        self.intake.drain().await;
        let jobs = self.store.jobs(&JobFilter::default(), None, 100).await.unwrap();
        (jobs.len(), self.store.receiving(100).await.unwrap().len())
    }

    /// The blobs of every abandoned upload are gone.
    pub(crate) async fn nothing_is_left(&self) {
        assert_eq!(self.left_behind().await, (0, 0));
        for upload in self.store.abandoned(100).await.unwrap() {
            let blob = self.blobs.get(&upload.key(), None).await;
            assert!(blob.is_err(), "the blob of {:?} is still there", upload.name);
        }
    }
}

struct Nobody;

#[async_trait]
impl Recorder for Nobody {
    async fn begun(&self, _: &Multipart) -> Result<(), fileyard_storage::StoreError> {
        Ok(())
    }

    async fn advanced(&self, _: u64) -> Result<(), fileyard_storage::StoreError> {
        Ok(())
    }
}

pub(crate) const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        json["code"].as_str().unwrap().to_owned()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?}\n{body}", self.status, self.headers)
    }
}
