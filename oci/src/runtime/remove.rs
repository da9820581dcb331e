//! What is left of a container is removed: processes, control groups, mounts and its directory.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, pidfd_send_signal};

use super::Place;

/// How long a helper may take to clean up behind an init that was killed.
const PATIENCE: Duration = Duration::from_secs(10);

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
    while place.is_held()? {
        let running = place.running()?;
        let late = Instant::now() > deadline;
        // One that only just begins has not said who its init is.
        let target = running.map(|running| if late { running.helper } else { running.init });
        if let Some(process) = target.as_ref().map(super::Identity::open).transpose()?.flatten() {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if Instant::now() > deadline + PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its helper does not end"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    // Of a helper that died: its mounts went with it, its groups did not.
    if let Some(cgroups) = place.cgroups()? {
        cgroups.remove(name)?;
    }
    fs::remove_dir_all(place.path())
}
