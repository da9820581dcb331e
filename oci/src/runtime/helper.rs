//! The helper: one container, from its start to its end, in a process of its own.
//!
//! It has one thread, because `libcontainer` forks it and allocates in the child. It knows of no
//! server: it reads what to run, says once that the program runs or why it does not, writes the log
//! and how it ended, and is gone. A server that dies does not disturb it, and nothing of the
//! container outlives it.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use libcontainer::{
    container::{Container, builder::ContainerBuilder},
    syscall::syscall::SyscallType,
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, setsid},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    pipe::{PipeFlags, pipe_with},
};

use super::{
    Cgroups, Exit, Identity, Network, Place, Refusal, Request, Running,
    init::Init,
    log::{Stream, Writer},
    rootfs, spec,
};
use crate::{
    causes::in_words,
    handles,
    netns::{self, Netns},
    userns,
};

/// What a helper has to say that is not its program's, in the container's directory.
pub const LOG: &str = "helper.log";
/// What is said on standard output once the program runs.
pub(super) const RUNNING: &str = "running";

/// Runs the container in this directory, unless it was started before. Returns when it has ended.
///
/// # Errors
/// When what is to be written can not be. That the container could not be started is none: that is
/// written down.
pub fn run(dir: &Path) -> io::Result<()> {
    let place = Place::at(dir);
    let _held = place.hold()?;
    if !place.begin()? {
        return Ok(());
    }
    // A Ctrl-C that is meant for the server does not reach it. Leading a group already is as good.
    match setsid() {
        Ok(_) | Err(Errno::EPERM) => {}
        Err(error) => return Err(error.into()),
    }
    let request = match place.request() {
        Ok(request) => request,
        // As of a server that was another version.
        Err(error) => return place.refuse(&ours("sense of what it was asked for", &error)),
    };
    let cgroups = Cgroups::of_this_machine()?;
    place.is_to_be_in(&cgroups)?;
    match Started::new(&place, &request, &cgroups) {
        Ok(started) => started.until_it_ends(&place, &request, &cgroups),
        Err(refusal) => {
            cgroups.remove(&request.name)?;
            place.refuse(&refusal)
        }
    }
}

/// A container whose program was started.
struct Started {
    init: Identity,
    streams: [OwnedFd; 2],
    /// Why the program could not be run after all.
    failure: OwnedFd,
    /// What the init lives by.
    _lifeline: OwnedFd,
}

impl Started {
    fn new(place: &Place, request: &Request, cgroups: &Cgroups) -> Result<Self, Refusal> {
        let network = own_network(request.network);
        network.map_err(|error| ours("namespaces of its own", &error))?;
        let root = rootfs::mounted(&place.file("root"), request);
        let root = root.map_err(|error| ours("its root", &error))?;
        let bundle = spec::spec(request, &root, cgroups);
        let written = fs::write(place.file("config.json"), bundle.to_string());
        written.map_err(|error| ours("its bundle", &error))?;
        Self::of_bundle(place, request, cgroups).map_err(|error| match error {
            Trouble::System(error) => ours("its streams", &error),
            Trouble::Runtime(words) => Refusal { for_good: blames_the_image(&words), words },
        })
    }

    fn of_bundle(place: &Place, request: &Request, cgroups: &Cgroups) -> Result<Self, Trouble> {
        let (stdout, its_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, its_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let (failure, its_failure) = pipe_with(PipeFlags::CLOEXEC)?;
        let (its_lifeline, lifeline) = pipe_with(PipeFlags::CLOEXEC)?;
        let runtime = place.file("runtime");
        fs::create_dir_all(&runtime)?;
        let init = Init {
            failure: Arc::new(its_failure),
            lifeline: Arc::new(its_lifeline),
            request: Arc::new(request.clone()),
        };
        let mut container = ContainerBuilder::new(request.name.clone(), SyscallType::default())
            .with_executor(init)
            .with_stdout(its_stdout)
            .with_stderr(its_stderr)
            .with_root_path(runtime)
            .and_then(|builder| builder.as_init(place.path()).with_systemd(false).build())
            .map_err(|error| Trouble::Runtime(in_words(&error)))?;
        let pid = container.pid().ok_or_else(|| Trouble::Runtime("it has no process".into()))?;
        let init = Identity::of(pid.as_raw())?;
        let begun = Self::begin(&mut container, &init, place, request, cgroups);
        if begun.is_err() {
            // It waits for a start that does not come.
            kill(pid, Signal::SIGKILL).map_err(io::Error::from)?;
        }
        begun?;
        Ok(Self { init, streams: [stdout, stderr], failure, _lifeline: lifeline })
    }

    /// Starts what was made, if it is where it should be.
    fn begin(
        container: &mut Container,
        init: &Identity,
        place: &Place,
        request: &Request,
        cgroups: &Cgroups,
    ) -> Result<(), Trouble> {
        // Where it may not move processes, the runtime leaves them where they are.
        match cgroups.hold(&request.name, init.pid()) {
            Ok(true) => {}
            Ok(false) => {
                return Err(Trouble::Runtime("its processes are not in its control group".into()));
            }
            Err(error) => return Err(Trouble::Runtime(format!("its control group: {error}"))),
        }
        // A server that adopts it looks for its namespaces here, and is no more than this process is.
        if !userns::is_root() {
            prctl::set_dumpable(true).map_err(io::Error::from)?;
        }
        place.has(&Running {
            helper: Identity::of(std::process::id().cast_signed())?,
            init: init.clone(),
        })?;
        container.start().map_err(|error| Trouble::Runtime(in_words(&error)))
    }

    fn until_it_ends(self, place: &Place, request: &Request, cgroups: &Cgroups) -> io::Result<()> {
        let mut message = String::new();
        io::Read::read_to_string(&mut fs::File::from(self.failure), &mut message)?;
        let mut said = io::stdout();
        // Nobody may be there to hear it.
        let _ = writeln!(said, "{RUNNING}").and_then(|()| said.flush());
        if let Err(error) = pump(&place.log(), &self.streams) {
            tracing::warn!(%error, "some of the log is lost");
        }
        let code = wait(self.init.pid())?;
        // Counted by the group, which is still there: a program that was killed for memory and one
        // that killed itself have the same code.
        let out_of_memory = cgroups.killed_for_memory(&request.name)? > 0;
        let message = Some(message).filter(|words| !words.is_empty());
        place.ended(&Exit { code, out_of_memory, at: now(), message })?;
        // What was said on standard output ends here for who listens: the rest is cleaning.
        let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        // Nothing of the runtime's is left then: its own files are in the place, and go with that.
        cgroups.remove(&request.name)
    }
}

enum Trouble {
    System(io::Error),
    Runtime(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<rustix::io::Errno> for Trouble {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

/// The container is made in whatever namespaces of user and network the helper is in.
fn own_network(network: Network) -> io::Result<()> {
    match network {
        Network::Given => {
            let (handles, _) = handles::receive(io::stdin())?;
            let netns = Netns::of_handles(handles)?;
            netns.enter_its_user()?;
            setns(netns, CloneFlags::CLONE_NEWNET)?;
        }
        Network::Loopback => {
            if !userns::is_root() {
                userns::enter()?;
            }
            unshare(CloneFlags::CLONE_NEWNET)?;
            netns::raise_loopback()?;
        }
    }
    Ok(())
}

/// Writes down what comes by both streams until both have ended. A log that can not be written is
/// no reason to leave a program waiting for somebody to read: the rest of it is lost.
fn pump(dir: &Path, streams: &[OwnedFd; 2]) -> io::Result<()> {
    let mut log = Writer::open(dir);
    let mut open = vec![(Stream::Stdout, &streams[0]), (Stream::Stderr, &streams[1])];
    let mut block = vec![0; 64 << 10];
    while !open.is_empty() {
        let mut polled: Vec<_> =
            open.iter().map(|(_, fd)| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let mut ended = Vec::new();
        for (stream, fd) in open.iter().filter(|_| ready.next().unwrap_or_default()) {
            match rustix::io::read(fd, &mut block[..]) {
                Ok(0) => ended.push(*stream),
                Ok(read) => {
                    let taken = log.as_mut().map(|log| log.take(*stream, &block[..read]));
                    if let Ok(Err(error)) = taken {
                        tracing::warn!(%error, "the log can not be written any more");
                        log = Err(error);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        open.retain(|(stream, _)| !ended.contains(stream));
    }
    log.and_then(|mut log| log.end())
}

fn wait(pid: i32) -> io::Result<i32> {
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn ours(what: &str, error: &io::Error) -> Refusal {
    let for_good = error.kind() == ErrorKind::InvalidInput;
    Refusal { for_good, words: format!("could not make {what}: {error}") }
}

/// Whether a start failed for what the image is, and will again.
fn blames_the_image(words: &str) -> bool {
    ["failed to chdir", "ENOTDIR", "Not a directory", "ELOOP"].iter().any(|it| words.contains(it))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
