//! The first process of a container: it starts the program, hands signals on, reaps, and ends as
//! the program does.
//!
//! It is the helper's own memory, forked: nothing of the host's is executed to make a container. (An
//! image whose program is `/proc/self/exe` has ours executed, which [`sealed`](crate::sealed) is for.)
//! Before the program runs, this process has closed all that it does not need, can not be looked into
//! or traced, and has seen in `/proc` that what should be denied is denied. It ends when the helper
//! does, and with it all that is in the container.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, ErrorKind},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::{Command, exit},
    sync::Arc,
};

use libcontainer::{
    oci_spec::runtime::Spec,
    workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError},
};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{self, Pid},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Request;

/// What an init exits with when it could not see to it that what should be denied is denied.
const NOT_DENIED: i32 = 125;

/// Runs the program of a container as its first process's child.
#[derive(Clone)]
pub(super) struct Init {
    /// Where it says why the program could not be run; closed unwritten, it runs.
    pub(super) failure: Arc<OwnedFd>,
    /// Ends when the helper does.
    pub(super) lifeline: Arc<OwnedFd>,
    /// Whose program it runs. Of its environment the runtime knows nothing.
    pub(super) request: Arc<Request>,
}

impl Executor for Init {
    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        exit(self.run().unwrap_or_else(|(code, words)| {
            // Whoever reads it may be gone; the exit code is what is left then.
            let _ = rustix::io::write(&*self.failure, words.as_bytes());
            code
        }))
    }

    /// Asked once all is made, by the first process, which may still be refused: from here on it makes the calls that
    /// its program may make, and no other.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.request.filter.put_on().map_err(|error| {
            let words = format!("the filter of system calls: {error}");
            ExecutorValidationError::ArgValidationError(words)
        })
    }

    /// The program's environment is given to the program alone.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

impl Init {
    fn run(&self) -> Result<i32, (i32, String)> {
        let denied =
            |error: io::Error| (NOT_DENIED, format!("the container is not closed: {error}"));
        self.prepare().map_err(denied)?;
        let Request { args, env, .. } = &*self.request;
        let Some((program, args)) = args.split_first() else {
            // A container that is only to show that one can be made.
            return Ok(0);
        };
        let env = env.iter().filter_map(|variable| variable.split_once('='));
        let child = Command::new(program).args(args).env_clear().envs(env).process_group(0).spawn();
        let child = child.map_err(|error| {
            let code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
            (code, format!("could not run {program}: {}", in_words(&error)))
        })?;
        // Not before, or the program would inherit it: from here on signals wait until they are asked
        // for, also those that a first process is spared.
        SigSet::all().thread_block().map_err(|error| denied(error.into()))?;
        // Nobody writes to it any more: the program runs.
        let _ = unistd::close(self.failure.as_raw_fd());
        let child = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        Ok(until_it_ends(child))
    }

    /// Cut off from the host, bound to the helper, and sure of it.
    fn prepare(&self) -> io::Result<()> {
        prctl::set_name(c"fileyard-init")?;
        SigSet::all().thread_unblock()?;
        prctl::set_dumpable(false)?;
        let kept = [self.failure.as_raw_fd(), self.lifeline.as_raw_fd()];
        close_all_but(&kept)?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A helper that was gone before that is not waited for.
        let mut lifeline = [PollFd::new(&*self.lifeline, PollFlags::IN)];
        if poll(&mut lifeline, Some(&Timespec::default()))? > 0 {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "the helper is gone"));
        }
        unistd::close(self.lifeline.as_raw_fd())?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        for (name, value) in [
            ("Seccomp", "2"),
            ("NoNewPrivs", "1"),
            ("CapInh", "0000000000000000"),
            ("CapPrm", "0000000000000000"),
            ("CapEff", "0000000000000000"),
            ("CapBnd", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
        ] {
            let is = status.lines().filter_map(|line| line.split_once(':'));
            let is = is.filter(|(key, _)| *key == name).map(|(_, is)| is.trim()).next();
            if is != Some(value) {
                let words = format!("{name} is {}, not {value}", is.unwrap_or("nothing"));
                return Err(io::Error::other(words));
            }
        }
        Ok(())
    }
}

/// The helper's files are this process's too, since nothing was executed in between.
fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let open = open.map(|fd| fd.map(|fd| fd.file_name())).collect::<io::Result<Vec<_>>>()?;
    let open: Vec<RawFd> = open.iter().filter_map(|fd| fd.to_str()?.parse().ok()).collect();
    if !kept.iter().all(|fd| open.contains(fd)) {
        return Err(io::Error::other("/proc/self/fd is not what is open"));
    }
    for fd in open {
        // The one that was the list is closed already.
        if fd > 2 && !kept.contains(&fd) {
            match unistd::close(fd) {
                Ok(()) | Err(Errno::EBADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // What the runtime left as standard input is not the program's business.
    let null = File::open("/dev/null")?;
    unistd::dup2(null.as_raw_fd(), 0)?;
    Ok(())
}

/// The program's exit code, 128+n where signal n ended it.
fn until_it_ends(child: Pid) -> i32 {
    let all = SigSet::all();
    loop {
        // First of all: it may have ended before signals waited.
        if let Some(code) = reap(child) {
            return code;
        }
        match all.wait() {
            // It may have ended just now.
            Ok(signal) if signal != Signal::SIGCHLD => drop(kill(child, signal)),
            Ok(_) | Err(_) => {}
        }
    }
}

/// All that has ended; the code, if the program was among it.
fn reap(child: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such program in the image".into(),
        ErrorKind::PermissionDenied => "it may not be executed".into(),
        _ => match error.raw_os_error() {
            Some(code) if code == Errno::ENOEXEC as i32 => {
                "it is no program for this machine".into()
            }
            _ => error.to_string(),
        },
    }
}
