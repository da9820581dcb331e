//! Which process: a pid alone may be somebody else's by the time it is used.

use std::{fs, io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A process, so that no other is taken for it: a pid is used again, but not with the same start
/// time in one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: i32,
    /// In clock ticks since the boot.
    started: u64,
    boot: String,
}

impl Identity {
    /// Of the process that has this pid now.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, started: started(pid)?, boot: boot()? })
    }

    /// Its pid, which is its own only while it is known to live.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A handle on it; `None` when it is gone.
    ///
    /// # Errors
    /// When the system can not say.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at with the handle open: from here on it can not become another's.
        let same = self.boot == boot()? && started(self.pid).ok() == Some(self.started);
        Ok(same.then_some(handle))
    }
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the second field, a name, may hold anything.
fn started(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    let started = fields.and_then(|mut fields| fields.nth(19)?.parse().ok());
    started.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an unknown /proc/PID/stat"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use super::*;

    #[test]
    fn a_process_is_known_again_and_no_other_is_taken_for_it() {
        let me = Identity::of(i32::try_from(id()).expect("a pid")).expect("this one lives");
        assert!(me.open().expect("an answer").is_some());
        for other in [
            Identity { started: me.started + 1, ..me.clone() },
            Identity { boot: "another".into(), ..me },
        ] {
            assert!(other.open().expect("an answer").is_none(), "{other:?}");
        }

        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        let its = Identity::of(i32::try_from(child.id()).expect("a pid")).expect("it lives");
        assert!(its.open().expect("an answer").is_some());
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert!(its.open().expect("an answer").is_none());
    }
}
