//! A server with its orchestrator and the fake engine, whose containers fetch and send over real
//! sockets: each attempt has a loopback address of its own.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use fileyard_ingress::AttemptListeners;
use fileyard_orchestrator::{
    Orchestrator, Parts,
    contract::urls::{Key, Urls},
    disk::Disk,
    engine::{ContainerId, HostDirs, Network, Pull, User, fake::FakeEngine},
    hint::Hints,
    intake::{Intake, Order, UploadLimits},
    processor::{Processor, Processors},
};
use fileyard_storage::{
    MemoryStore, Store,
    attempt::Contract,
    blob::{BlobConfig, BlobStore},
    clock::{Clock, SystemClock},
    id::{AttemptNo, InstallId, JobId},
    job::{Job, JobState, Phase, ReasonCode},
};
use futures::TryStreamExt;

pub(crate) struct Yard {
    pub(crate) engine: FakeEngine,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: BlobStore,
    pub(crate) key: Key,
    pub(crate) processor: Processor,
    dirs: HostDirs,
    port: u16,
    hints: Hints,
    home: tempfile::TempDir,
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self::on(&BlobConfig::default())
    }

    pub(crate) fn on(config: &BlobConfig) -> Self {
        let home = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(config, home.path()).unwrap();
        let dirs = HostDirs::new(home.path().join("attempts"), blobs.local_root().map(Into::into));
        // Free here, and so most likely on the other loopback addresses too.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self {
            engine: FakeEngine::new(dirs.clone()),
            store: Arc::new(MemoryStore::new(InstallId::new()).exclusive()),
            blobs,
            key: Key::new(),
            processor: processor(),
            dirs,
            port,
            hints: Hints::new(),
            home,
        }
    }

    fn processors(&self) -> Processors {
        let all = [(self.processor.name.clone(), Arc::new(self.processor.clone()))].into();
        Processors { all, default: Some(self.processor.name.clone()) }
    }

    pub(crate) fn intake(&self) -> Intake {
        Intake::new(
            Arc::clone(&self.store),
            self.blobs.clone(),
            Arc::new(SystemClock),
            self.processors(),
            UploadLimits { max_size: 1 << 20, max_files: 10 },
            Disk::new(self.home.path(), 0),
            self.hints.clone(),
        )
    }

    /// As a process has one; a second one is a second process.
    pub(crate) fn orchestrator(&self) -> Orchestrator {
        Orchestrator::new(Parts {
            store: Arc::clone(&self.store),
            blobs: self.blobs.clone(),
            engine: Arc::new(self.engine.clone()),
            processors: self.processors(),
            clock: Arc::new(SystemClock),
            hints: self.hints.clone(),
            disk: Disk::new(self.home.path(), 0),
            concurrency: 4,
            queue_timeout: None,
            keep_jobs: None,
            urls: Some(Urls {
                port: self.port,
                key: self.key.clone(),
                listeners: Arc::new(AttemptListeners),
            }),
        })
    }

    /// Uploads a script for the fake program, one verb a line.
    pub(crate) async fn submit(&self, script: &str) -> JobId {
        let mut upload = self.intake().begin("script.txt", None).await.unwrap();
        upload.write(Bytes::copy_from_slice(script.as_bytes())).await.unwrap();
        let file = upload.finish().await.unwrap();
        self.intake().submit(vec![file], Order::default()).await.unwrap().jobs[0].id()
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.job(id).await.unwrap().expect("the job's row")
    }

    pub(crate) fn container(&self, job: JobId, attempt: u32) -> ContainerId {
        ContainerId { install: self.store.install(), job, attempt: AttemptNo(attempt) }
    }

    /// One of the addresses in the environment of a job's first container.
    pub(crate) fn address(&self, job: JobId, what: &str) -> String {
        let name = format!("FILEYARD_{what}_URL");
        self.engine.env(&self.container(job, 1), &name).expect("an address")
    }

    pub(crate) async fn tick_until(
        &self,
        orchestrator: &Orchestrator,
        id: JobId,
        wanted: impl Fn(&Job) -> bool,
    ) -> Job {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(std::time::Instant::now() < deadline, "never came to pass: {job:#?}");
            orchestrator.tick().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A job whose program runs, and waits at the gate `end`.
    pub(crate) async fn at_the_gate(&self, orchestrator: &Orchestrator, script: &str) -> JobId {
        let id = self.submit(script).await;
        let running = |job: &Job| matches!(job.phase(), Some(Phase::Running));
        self.tick_until(orchestrator, id, running).await;
        let container = self.container(id, 1);
        self.engine.until(|engine| engine.is_at_gate(&container, "end")).await;
        id
    }

    /// Opens the gate and waits for the job's end.
    pub(crate) async fn ended(&self, orchestrator: &Orchestrator, id: JobId) -> Job {
        self.engine.open_gate("end");
        let job = self.tick_until(orchestrator, id, |job| job.state.is_terminal()).await;
        orchestrator.settled().await;
        job
    }

    /// What is stored of a job's outputs, by name: as a download would find it.
    pub(crate) async fn outputs(&self, job: &Job) -> Vec<(String, String)> {
        let JobState::Succeeded { outputs, .. } = &job.state else { panic!("{job:#?}") };
        let mut all = Vec::new();
        for (index, output) in (0..).zip(outputs) {
            let read = self.blobs.get(&job.output_key(index).unwrap(), None).await.unwrap();
            let bytes: Vec<Bytes> = read.stream.try_collect().await.unwrap();
            let content = String::from_utf8(bytes.concat()).unwrap();
            assert_eq!(content.len() as u64, output.size);
            all.push((output.name.clone(), content));
        }
        all
    }

    /// How many outputs of an attempt are in the store, whichever row names them.
    pub(crate) async fn stored(&self, id: JobId) -> usize {
        let tenant = self.job(id).await.asked.tenant;
        let all = self.blobs.list_attempt(&tenant, id, AttemptNo(1)).await.unwrap();
        all.iter()
            .filter(|key| matches!(key, fileyard_storage::blob::BlobKey::Output { .. }))
            .count()
    }

    pub(crate) async fn assert_nothing_is_left(&self) {
        assert_eq!(self.engine.containers(), [], "containers");
        assert_eq!(self.engine.networks(), [], "networks");
        assert_eq!(self.store.unremoved().await.unwrap(), [], "attempts");
        let dirs = std::fs::read_dir(self.dirs.root()).map_or(0, Iterator::count);
        assert_eq!(dirs, 0, "directories");
    }
}

pub(crate) fn reason(job: &Job) -> ReasonCode {
    match &job.state {
        JobState::Failed { reason } => reason.code,
        other => panic!("not failed: {other:?}"),
    }
}

pub(crate) fn now() -> fileyard_storage::clock::Timestamp {
    SystemClock.now()
}

fn processor() -> Processor {
    Processor {
        name: "fake".parse().unwrap(),
        title: "Fake".into(),
        image: "fake".into(),
        pull: Pull::Missing,
        entrypoint: Vec::new(),
        command: Vec::new(),
        contract: Contract::Urls,
        accepts: Vec::new(),
        timeout: Duration::from_secs(600),
        grace: Duration::from_millis(50),
        memory: 1 << 20,
        cpus: 1.0,
        pids: 16,
        tmp: 1 << 20,
        user: User { uid: 65532, gid: 65532 },
        env: BTreeMap::new(),
        concurrency: 0,
        retries: 0,
        retry_on: Vec::new(),
        max_outputs: 4,
        max_output_size: 1000,
        network: Network::None,
        params: BTreeMap::new(),
    }
}
