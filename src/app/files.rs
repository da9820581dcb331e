//! How many files the process may have open, and how many of them connections may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not for connections: the database, files that are stored and read, the engine.
const OWN: u64 = 512;
/// No limit of the system's is no reason to have none.
const MOST: u64 = 100_000;

/// Raises this process's limit as far as it may, and says how many connections fit below it.
pub(super) fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    let connections = of(files);
    tracing::debug!(?files, connections, "connections at once");
    connections
}

fn of(files: Option<u64>) -> usize {
    let connections =
        files.map_or(MOST, |files| files.saturating_sub(OWN).max(files / 4).min(MOST));
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn some_files_are_kept_for_other_things_than_connections() {
        assert_eq!(of(Some(1024)), 512);
        assert_eq!(of(Some(20_000)), 19_488);
        // Too few for both: most of them are for the other things.
        assert_eq!(of(Some(256)), 64);
        assert_eq!(of(Some(u64::MAX)), 100_000);
        assert_eq!(of(None), 100_000);
    }
}
