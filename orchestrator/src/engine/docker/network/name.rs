//! The names by which an attempt's bridge and the firewall's rules know each other.
//!
//! A bridge's name is at most 15 characters: `fy`, five that stand for the install, one for what it
//! lets through, seven for the attempt. Rules name all bridges of an install by how they begin, so
//! that they stand before the first of them does, and one that is forgotten is denied everything.

use std::fmt;

use fileyard_storage::id::InstallId;
use sha2::{Digest, Sha256};

use crate::engine::{ContainerId, Reach};

/// Stands for an install where there is no room for its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::engine::docker) struct Tag([u8; 5]);

/// What a network lets its container reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::docker) enum Kind {
    /// Nothing: the network is there all the same.
    Nothing,
    /// Our listener on the gateway.
    Listener,
    /// The internet.
    Egress,
    /// Both.
    Both,
}

impl Tag {
    pub(in crate::engine::docker) fn of(install: InstallId) -> Self {
        Self(short(&install.to_string()))
    }

    /// How the names of the install's own chains begin.
    pub(in crate::engine::docker) fn chain(self) -> String {
        format!("FILEYARD-{self}")
    }

    /// All of its bridges, as iptables writes it.
    pub(in crate::engine::docker) fn bridges(self) -> String {
        format!("fy{self}+")
    }

    /// Those of one kind.
    pub(in crate::engine::docker) fn bridges_of(self, kind: Kind) -> String {
        format!("fy{self}{}+", kind.letter())
    }
}

impl Kind {
    pub(in crate::engine::docker) fn of(reach: Reach) -> Self {
        match (reach.listener.is_some(), reach.internet) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Listener,
            (false, true) => Self::Egress,
            (true, true) => Self::Both,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Nothing => 'n',
            Self::Listener => 'l',
            Self::Egress => 'e',
            Self::Both => 'b',
        }
    }
}

/// The name of an attempt's bridge on this host.
pub(in crate::engine::docker) fn bridge(id: &ContainerId, reach: Reach) -> String {
    let attempt = short::<7>(&id.to_string());
    let attempt = String::from_utf8_lossy(&attempt);
    format!("fy{}{}{attempt}", Tag::of(id.install), Kind::of(reach).letter())
}

/// Letters and digits that tell texts from each other.
fn short<const N: usize>(text: &str) -> [u8; N] {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(text);
    std::array::from_fn(|at| LETTERS[usize::from(digest[at] % 32)])
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use fileyard_storage::id::{AttemptNo, JobId};

    use super::*;

    #[test]
    fn a_bridge_s_name_is_short_and_tells_install_reach_and_attempt() {
        let id = |install, job, attempt| ContainerId {
            install: InstallId::from_u128(install),
            job: JobId::from_u128(job),
            attempt: AttemptNo(attempt),
        };
        let listener = Reach { listener: Some(1), internet: false };
        let name = bridge(&id(1, 2, 3), listener);
        assert_eq!(name.len(), 15, "{name}");
        assert_eq!(name, bridge(&id(1, 2, 3), Reach { listener: Some(2), ..listener }));
        let of_its_kind = Tag::of(InstallId::from_u128(1)).bridges_of(Kind::Listener);
        assert!(name.starts_with(of_its_kind.trim_end_matches('+')), "{name} {of_its_kind}");
        let others = [
            bridge(&id(4, 2, 3), listener),
            bridge(&id(1, 4, 3), listener),
            bridge(&id(1, 2, 4), listener),
            bridge(&id(1, 2, 3), Reach { internet: true, ..listener }),
            bridge(&id(1, 2, 3), Reach { listener: None, internet: true }),
            bridge(&id(1, 2, 3), Reach::NOTHING),
        ];
        assert!(!others.contains(&name), "{name} {others:?}");
    }
}
