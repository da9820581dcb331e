//! What every engine must do, as one suite that all of them pass.
//!
//! [`engine_conformance!`](crate::engine_conformance) makes a test of each case. The programs are
//! lists of verbs that the fake engine and the image `fileyard/drill` both understand.

mod endings;
mod logs;
mod network;
mod rights;
mod start;
mod stop;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    sync::Arc,
    time::Duration,
};

use fileyard_storage::{
    blob::{BlobKey, Digest},
    id::{AttemptNo, InstallId, JobId, Tenant, UploadId},
    job::ExitFacts,
};
use futures::StreamExt;

use super::{
    ContainerId, ContainerSpec, ContainerState, Engine, HostDirs, InputFile, Limits, LogChunk,
    LogPosition, LogStream, Reach, Staging, User,
};

pub use endings::*;
pub use logs::*;
pub use network::*;
pub use rights::*;
pub use start::*;
pub use stop::*;

/// Longer than any case takes on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// An engine under test.
pub struct Harness {
    /// It.
    pub engine: Arc<dyn Engine>,
    /// An image of it that understands the verbs.
    pub image: String,
    /// The verb of a program that runs until a signal ends it.
    pub forever: Vec<String>,
    /// The install whose containers this test makes.
    pub install: InstallId,
    /// What must live as long as the test.
    pub guard: Box<dyn Send + Sync>,
}

/// Makes a test of every case; `$harness` is evaluated, in an async function, for each. With
/// `@ real` before it also of those that a fake has no kernel for.
#[macro_export]
macro_rules! engine_conformance {
    ($harness:expr) => {
        $crate::engine_conformance!(@ $harness,
            an_unknown_container_is_none,
            started_once_though_asked_twice,
            started_once_though_asked_by_several_at_once,
            starting_what_has_exited_does_nothing,
            an_exit_code_is_told,
            a_missing_image_is_told,
            an_image_goes_by_its_digest,
            a_command_that_is_not_there_is_told,
            the_input_is_readable_and_read_only,
            outputs_are_left_in_out,
            sigterm_ends_it,
            sigkill_ends_what_ignores_sigterm,
            a_running_container_is_removed,
            only_its_own_install_is_listed,
            a_change_is_hinted,
            both_streams_are_read,
            a_log_is_followed_while_it_grows,
            a_log_goes_on_from_any_position,
            a_network_is_made_once_though_asked_twice,
            several_networks_are_made_at_once,
            a_container_reaches_the_listener_on_its_network_s_gateway,
            a_network_stays_while_its_container_runs,
        );
    };
    (@ real $harness:expr) => {
        $crate::engine_conformance!($harness);
        $crate::engine_conformance!(@ $harness,
            memory_over_the_limit_is_told_from_a_kill,
            a_killed_child_is_no_failure_of_a_program_that_goes_on,
            a_signal_of_its_own_is_128_and_its_number,
            a_fork_bomb_ends_at_its_limit,
            a_program_that_cannot_be_run_never_ran,
            a_program_finds_itself_without_rights,
        );
    };
    (@ $harness:expr, $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                use $crate::engine::conformance;
                let harness = $harness;
                tokio::time::timeout(conformance::PATIENCE, conformance::$case(&harness))
                    .await
                    .expect("the case ends in time");
                harness.leaves_nothing().await;
            }
        )*
    };
}

/// Removes what a failed test left on a real engine, with a runtime of its own: the test's is ending.
pub struct CleanUp {
    /// Asked for it.
    pub engine: Arc<dyn Engine>,
    /// Whose.
    pub install: InstallId,
    /// What the engine stands on, which goes last.
    pub home: Box<dyn Send + Sync>,
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        let (engine, install) = (Arc::clone(&self.engine), self.install);
        let cleaner = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
                for left in engine.list(install).await.unwrap_or_default() {
                    let _ = engine.remove(&left.id).await;
                }
                let Some(networks) = engine.networks() else { return };
                for left in networks.list(install).await.unwrap_or_default() {
                    let _ = networks.remove(&left).await;
                }
            });
        });
        let _ = cleaner.join();
    }
}

impl Harness {
    /// A spec for a new job; its directories are made, its input holds `input`.
    pub fn spec_with_input(&self, command: &[&str], input: &str) -> ContainerSpec {
        let id = ContainerId { install: self.install, job: JobId::new(), attempt: AttemptNo(1) };
        let spec = ContainerSpec {
            id,
            image: self.image.clone(),
            entrypoint: Vec::new(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            env: BTreeMap::from([("FILEYARD_ATTEMPT".to_owned(), "1".to_owned())]),
            user: User { uid: 65532, gid: 65532 },
            limits: Limits {
                memory: 128 << 20,
                cpus: 1.0,
                pids: 64,
                tmp: 16 << 20,
                file_size: 64 << 20,
                open_files: 256,
            },
            reach: Reach::NOTHING,
            input: Some(InputFile {
                name: "input.txt".into(),
                key: BlobKey::Input { tenant: Tenant::default(), upload: UploadId::new() },
                sha256: Digest([0; 32]),
                size: input.len() as u64,
            }),
        };
        self.stage(&spec, input);
        spec
    }

    /// A spec for a new job.
    pub fn spec(&self, command: &[&str]) -> ContainerSpec {
        self.spec_with_input(command, "an input\n")
    }

    /// A spec of a program that says `words` and then runs until a signal ends it.
    pub fn endless(&self, words: &[&str]) -> ContainerSpec {
        let forever = self.forever.iter().map(String::as_str);
        self.spec(&words.iter().copied().chain(forever).collect::<Vec<_>>())
    }

    /// Where the engine's files pass.
    pub fn dirs(&self) -> &HostDirs {
        match self.engine.staging() {
            Staging::HostDirs(dirs) => dirs,
            Staging::InContainer => panic!("this suite is for engines with host directories"),
        }
    }

    fn stage(&self, spec: &ContainerSpec, input: &str) {
        let (dirs, user) = (self.dirs(), self.dirs().user(spec.user));
        let file = spec.input.as_ref().expect("it was made with one");
        let (path, out) = (dirs.input(&spec.id, file), dirs.out(&spec.id));
        fs::create_dir_all(path.parent().expect("an input is in a directory")).expect("made");
        fs::write(&path, input).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permitted");
        fs::create_dir_all(&out).expect("made");
        chown(&out, Some(user.uid), Some(user.gid)).expect("root may give, and others keep");
    }

    /// Returns when it has exited, and how. Reads its log to wait for that: it ends then.
    pub async fn exit(&self, id: &ContainerId) -> ExitFacts {
        loop {
            match self.engine.inspect(id).await.expect("an answer").expect("it is there") {
                ContainerState::Exited(facts) => return facts,
                _ => drop(self.log(id).await),
            }
        }
    }

    /// The same, by hints, and without anybody reading its log.
    pub async fn wait(&self, id: &ContainerId) -> ExitFacts {
        let mut hints = self.engine.changes(self.install);
        loop {
            match self.engine.inspect(id).await.expect("an answer").expect("it is there") {
                ContainerState::Exited(facts) => return facts,
                _ => drop(hints.next().await),
            }
        }
    }

    /// Starts it, waits for its exit, and says how.
    pub async fn run(&self, spec: &ContainerSpec) -> ExitFacts {
        self.engine.start(spec).await.expect("a start");
        self.exit(&spec.id).await
    }

    /// Its whole log, once it has exited.
    pub async fn log(&self, id: &ContainerId) -> Vec<LogChunk> {
        let chunks = self.engine.logs(id, LogPosition::default());
        chunks.map(|chunk| chunk.expect("a chunk")).collect().await
    }

    /// Returns as soon as a line of its log is `line`.
    pub async fn says(&self, id: &ContainerId, line: &str) {
        let mut chunks = self.engine.logs(id, LogPosition::default());
        while let Some(chunk) = chunks.next().await {
            if chunk.expect("a chunk").bytes == format!("{line}\n") {
                return;
            }
        }
        panic!("it ended and never said {line}");
    }

    /// Removes it.
    pub async fn remove(&self, spec: &ContainerSpec) {
        self.engine.remove(&spec.id).await.expect("removed");
    }

    /// Fails if the engine still has a container of this test.
    pub async fn leaves_nothing(&self) {
        let left = self.engine.list(self.install).await.expect("a list");
        assert_eq!(left, [], "containers are left behind");
        if let Some(networks) = self.engine.networks() {
            let left = networks.list(self.install).await.expect("a list");
            assert_eq!(left, [], "networks are left behind");
        }
    }
}

/// What was written to one stream, as text.
pub fn text(log: &[LogChunk], stream: LogStream) -> String {
    let bytes: Vec<u8> =
        log.iter().filter(|it| it.stream == stream).flat_map(|it| it.bytes.to_vec()).collect();
    String::from_utf8(bytes).expect("UTF-8")
}
