//! What is left of a container is removed: processes, control groups, mounts and its directory.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, pidfd_send_signal};

use super::{Cgroups, Place, Status};
use crate::userns;

/// How long a helper may take to clean up behind an init that was killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is waited before it is looked at again, the longer the longer it takes.
const LOOK: Duration = Duration::from_micros(200);
const LOOK_AT_MOST: Duration = Duration::from_millis(5);

/// Kills it if it runs, and removes all of it. One that is gone is left alone; one that is half
/// removed is removed.
///
/// # Errors
/// When something of it does not go.
pub fn remove(place: &Place, name: &str) -> io::Result<()> {
    if !place.path().exists() {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    let mut look = LOOK;
    while place.is_held()? {
        let running = place.running()?;
        let late = Instant::now() > deadline;
        // Of a helper that died before it said who its init is, that holds the place, and is in its group.
        if late && running.is_none() {
            remove_groups(place, name)?;
        }
        // One that only just begins has not said who its init is.
        let target = running.map(|running| if late { running.helper } else { running.init });
        if let Some(process) = target.as_ref().map(super::Identity::open).transpose()?.flatten() {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if Instant::now() > deadline + PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its helper does not end"));
        }
        thread::sleep(look);
        look = LOOK_AT_MOST.min(look * 2);
    }
    // Of a helper that died: its mounts went with it, its groups did not.
    remove_groups(place, name)?;
    fs::remove_dir_all(place.path())
}

/// Those that its helper named, or before it named any (version 0.1.0) this machine's.
fn remove_groups(place: &Place, name: &str) -> io::Result<()> {
    match place.cgroups()? {
        Some(cgroups) => cgroups.remove(name),
        None if userns::is_root() && !matches!(place.status()?, Status::Created) => {
            Cgroups::of_this_machine()?.remove(name)
        }
        None => Ok(()),
    }
}
