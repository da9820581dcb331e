//! What Docker says of a container, in our words.

use bollard::models::{ContainerState as Docker, ContainerStateStatusEnum as Status};
use fileyard_storage::{clock::Timestamp, job::ExitFacts};

use crate::engine::ContainerState;

/// How it is. `None` is one that is being removed and never ran to an end: as good as gone.
pub(super) fn state(docker: &Docker) -> Option<ContainerState> {
    match docker.status? {
        Status::EMPTY | Status::CREATED => Some(ContainerState::Created),
        Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => {
            Some(ContainerState::Running)
        }
        Status::EXITED => Some(ContainerState::Exited(facts(docker))),
        Status::REMOVING | Status::DEAD => {
            finished(docker).map(|_| ContainerState::Exited(facts(docker)))
        }
    }
}

/// Whether the kernel may have killed it for memory without Docker knowing yet: the two are
/// separate events, and the exit's may come first.
pub(super) fn may_be_out_of_memory(facts: &ExitFacts) -> bool {
    facts.code == 137 && !facts.out_of_memory
}

/// Whether init itself failed to run the program: it exits so, as a shell does.
pub(super) fn may_have_failed_to_run(facts: &ExitFacts) -> bool {
    matches!(facts.code, 126 | 127) && facts.message.is_none()
}

/// What init wrote when it could not run the program, without its name.
pub(super) fn failure_to_run(line: &str) -> Option<&str> {
    let (_, words) = line.strip_prefix("[FATAL tini (")?.split_once(")] ")?;
    Some(words.trim_end())
}

fn facts(docker: &Docker) -> ExitFacts {
    ExitFacts {
        code: docker.exit_code.unwrap_or_default(),
        out_of_memory: docker.oom_killed.unwrap_or_default(),
        at: finished(docker).unwrap_or_default(),
        message: docker.error.clone().filter(|words| !words.is_empty()),
    }
}

fn finished(docker: &Docker) -> Option<Timestamp> {
    let at: jiff::Timestamp = docker.finished_at.as_deref()?.parse().ok()?;
    let at = at.as_millisecond();
    // Docker's "never" is the year 1.
    (at > 0).then_some(Timestamp(at))
}

/// Whether a start failed for what the image or the command is, and will again.
pub(super) fn blames_the_image(words: &str) -> bool {
    const AT_FAULT: [&str; 6] = [
        "executable file not found",
        "exec format error",
        "exec: ",
        "chdir to cwd",
        "mkdir /",
        "not a directory",
    ];
    AT_FAULT.iter().any(|phrase| words.contains(phrase))
}
