//! A whole yard in one process: real rows, real files, the fake engine, a clock that a test moves.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a harness: what can not be made is a failed test"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use fileyard_orchestrator::{
    Orchestrator, Parts,
    disk::Disk,
    engine::{ContainerId, HostDirs, Network, Pull, User, fake::FakeEngine},
    hint::Hints,
    intake::{Intake, Order, UploadLimits},
    processor::{Processor, Processors},
};
use fileyard_storage::{
    Store,
    attempt::{AttemptState, Contract},
    blob::{BlobConfig, BlobStore},
    clock::{Clock, ManualClock, Timestamp},
    id::{AttemptNo, InstallId, JobId},
    job::{Job, JobState, Phase},
    memory::MemoryStore,
};

pub struct Yard {
    pub engine: FakeEngine,
    pub store: Arc<dyn Store>,
    pub blobs: BlobStore,
    pub clock: Arc<ManualClock>,
    pub dirs: HostDirs,
    /// The one that works where nobody names one.
    pub processor: Processor,
    pub others: Vec<Processor>,
    pub home: tempfile::TempDir,
    /// Bytes of disk that are to stay free.
    pub min_free: u64,
    /// The largest upload, in bytes.
    pub max_upload: u64,
    /// How long ended jobs are kept.
    pub keep_jobs: Option<Duration>,
    hints: Hints,
}

impl Yard {
    /// With a database that several owners may share, so that adoption waits for a lease.
    pub fn shared() -> Self {
        Self::over(MemoryStore::new(InstallId::new()))
    }

    /// With a database that is this process's alone, as SQLite is.
    pub fn exclusive() -> Self {
        Self::over(MemoryStore::new(InstallId::new()).exclusive())
    }

    fn over(store: MemoryStore) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = BlobConfig {
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key: String::new(),
            part_size: 8 << 20,
            ..BlobConfig::default()
        };
        let blobs = BlobStore::open(&config, home.path()).unwrap();
        let dirs = HostDirs::new(
            home.path().join("tmp/attempts"),
            blobs.local_root().map(ToOwned::to_owned),
        );
        let clock = Arc::new(ManualClock::at(Timestamp(1_767_323_045_678)));
        Self {
            engine: FakeEngine::with_clock(dirs.clone(), clock.clone()),
            store: Arc::new(store),
            blobs,
            clock,
            dirs,
            processor: processor(),
            others: Vec::new(),
            home,
            min_free: 0,
            max_upload: 1 << 20,
            keep_jobs: None,
            hints: Hints::new(),
        }
    }

    fn processors(&self) -> Processors {
        let all = self.others.iter().chain([&self.processor]);
        let all = all.map(|it| (it.name.clone(), Arc::new(it.clone()))).collect();
        Processors { all, default: Some(self.processor.name.clone()) }
    }

    pub fn intake(&self) -> Intake {
        Intake::new(
            Arc::clone(&self.store),
            self.blobs.clone(),
            self.clock.clone(),
            self.processors(),
            UploadLimits { max_size: self.max_upload, max_files: 10 },
            Disk::new(self.home.path(), self.min_free),
            self.hints.clone(),
        )
    }

    /// An orchestrator as a process has one: a second one is a second process.
    pub fn orchestrator(&self) -> Orchestrator {
        Orchestrator::new(Parts {
            store: Arc::clone(&self.store),
            blobs: self.blobs.clone(),
            engine: Arc::new(self.engine.clone()),
            processors: self.processors(),
            clock: self.clock.clone(),
            hints: self.hints.clone(),
            disk: Disk::new(self.home.path(), self.min_free),
            concurrency: 2,
            queue_timeout: None,
            keep_jobs: self.keep_jobs,
            urls: None,
        })
    }

    /// One more processor, before there is an orchestrator.
    pub fn other(&mut self, name: &str, image: &str) -> &mut Processor {
        let (name, image) = (name.parse().unwrap(), image.into());
        self.others.push(Processor { name, image, ..processor() });
        self.others.last_mut().unwrap()
    }

    /// Uploads a script for the fake program, one verb a line.
    pub async fn submit(&self, script: &str) -> JobId {
        submit(&self.intake(), script, Order::default()).await
    }

    /// The same, to the processor of this name.
    pub async fn submit_to(&self, processor: &str, script: &str) -> JobId {
        let order = Order { processor: Some(processor.into()), ..Order::default() };
        submit(&self.intake(), script, order).await
    }

    pub async fn job(&self, id: JobId) -> Job {
        self.store.job(id).await.unwrap().expect("the job's row")
    }

    pub fn container(&self, job: JobId, attempt: u32) -> ContainerId {
        ContainerId { install: self.store.install(), job, attempt: AttemptNo(attempt) }
    }

    /// Ticks until the job is in a state that `wanted` holds for.
    pub async fn tick_until(
        &self,
        orchestrator: &Orchestrator,
        id: JobId,
        wanted: impl Fn(&Job) -> bool,
    ) -> Job {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(std::time::Instant::now() < deadline, "never came to pass: {job:#?}");
            if matches!(job.state, JobState::Queued { not_before: Some(_), .. }) {
                self.clock.advance(Duration::from_secs(60));
            }
            orchestrator.tick().await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    pub async fn ended(&self, orchestrator: &Orchestrator, id: JobId) -> Job {
        let job = self.tick_until(orchestrator, id, |job| job.state.is_terminal()).await;
        orchestrator.settled().await;
        // What it committed is there, whatever was removed meanwhile.
        if let JobState::Succeeded { outputs, .. } = &job.state {
            for (index, output) in (0..).zip(outputs) {
                let found = self.blobs.get(&job.output_key(index).unwrap(), None).await.unwrap();
                assert_eq!(found.size, output.size, "{}", output.name);
            }
        }
        job
    }

    /// What must be true of every yard in which nothing runs.
    pub async fn assert_nothing_is_left(&self) {
        assert_eq!(self.engine.containers(), [], "containers");
        assert_eq!(self.engine.networks(), [], "networks");
        let unremoved = self.store.unremoved().await.unwrap();
        assert_eq!(unremoved, [], "attempts");
        let dirs: Vec<_> = std::fs::read_dir(self.dirs.root())
            .map(|dir| dir.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert_eq!(dirs, Vec::<std::path::PathBuf>::new(), "directories");
        assert_eq!(self.store.receiving(10).await.unwrap(), [], "uploads");
    }

    pub async fn assert_removed(&self, id: JobId, attempt: u32) {
        let row = self.store.attempt(id, AttemptNo(attempt)).await.unwrap().expect("a row");
        assert!(matches!(row.state, AttemptState::Removed { .. }), "{row:?}");
    }

    pub async fn log(&self, id: JobId, attempt: u32) -> String {
        use futures::TryStreamExt;
        let row = self.store.attempt(id, AttemptNo(attempt)).await.unwrap().expect("a row");
        let log = row.log.clone().expect("a stored log");
        let read = self.blobs.get(&row.log_key(log.fence), None).await.unwrap();
        let bytes: Vec<Bytes> = read.stream.try_collect().await.unwrap();
        String::from_utf8(bytes.concat()).unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// By way of an intake that is there: a server's sweep abandons what another one receives.
pub async fn submit(intake: &Intake, script: &str, order: Order) -> JobId {
    let mut upload = intake.begin("script.txt", None).await.unwrap();
    upload.write(Bytes::copy_from_slice(script.as_bytes())).await.unwrap();
    let file = upload.finish().await.unwrap();
    intake.submit(vec![file], order).await.unwrap().jobs[0].id()
}

pub fn is_running(job: &Job) -> bool {
    matches!(job.phase(), Some(Phase::Running))
}

fn processor() -> Processor {
    Processor {
        name: "fake".parse().unwrap(),
        title: "Fake".into(),
        image: "fake".into(),
        pull: Pull::Missing,
        entrypoint: Vec::new(),
        command: Vec::new(),
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
        retries: 2,
        retry_on: Vec::new(),
        max_outputs: 10,
        max_output_size: 1 << 20,
        contract: Contract::Files,
        network: Network::None,
        params: BTreeMap::new(),
    }
}
