//! A container's name: install, job and attempt, and nothing else.

use std::{fmt, str::FromStr};

use fileyard_storage::id::{AttemptNo, InstallId, JobId};

/// Which container: the name is made of all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId {
    /// Whose.
    pub install: InstallId,
    /// For which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: AttemptNo,
}

/// A name that is not a container's of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a container of fileyard's")]
pub struct NotOurs;

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fileyard-{}-{}-{}", self.install, self.job, self.attempt)
    }
}

impl FromStr for ContainerId {
    type Err = NotOurs;
    fn from_str(name: &str) -> Result<Self, NotOurs> {
        const UUID: usize = 36;
        let rest = name.strip_prefix("fileyard-").ok_or(NotOurs)?;
        let install = rest.get(..UUID).ok_or(NotOurs)?;
        let job = rest.get(UUID + 1..2 * UUID + 1).ok_or(NotOurs)?;
        let attempt = rest.get(2 * UUID + 2..).ok_or(NotOurs)?;
        let id = Self {
            install: install.parse().map_err(|_| NotOurs)?,
            job: job.parse().map_err(|_| NotOurs)?,
            attempt: AttemptNo(attempt.parse().map_err(|_| NotOurs)?),
        };
        if id.to_string() == name { Ok(id) } else { Err(NotOurs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_s_name_reads_back_and_nothing_else_is_one() {
        let id = ContainerId {
            install: InstallId::from_u128(1),
            job: JobId::from_u128(2),
            attempt: AttemptNo(3),
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in ["", "fileyard-", "fileyard-x-y-1", &format!("{id}x"), &format!("x{id}")] {
            assert_eq!(other.parse::<ContainerId>(), Err(NotOurs), "{other}");
        }
    }
}
