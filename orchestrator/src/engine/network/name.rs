//! The names by which an attempt's device on this host and the firewall's rules know each other.
//!
//! It is a bridge of Docker's or one end of a pair. Its name is at most 15 characters: `fy`, five
//! that stand for the install, one for what it lets through, seven for the attempt. Rules name all
//! devices of an install by how they begin, so that they stand before the first of them does, and one
//! that is forgotten is denied everything.
//! What is a bridge and what is a pair have different letters for the same install: where an earlier
//! server had another engine, both are there for a while, each with rules of its own.

use std::fmt;

use fileyard_storage::id::InstallId;
use sha2::{Digest, Sha256};

use crate::engine::{ContainerId, Reach};

/// Stands for an install where there is no room for its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Tag([u8; 5]);

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Make {
    /// A bridge of Docker's.
    Bridge,
    /// One end of a pair.
    Pair,
}

/// What a network lets its container reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Kind {
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
    pub(in crate::engine) fn of(install: InstallId, make: Make) -> Self {
        Self(match make {
            Make::Bridge => short(&install.to_string()),
            Make::Pair => short(&format!("pair {install}")),
        })
    }

    /// How the names of the install's own chains begin.
    pub(in crate::engine) fn chain(self) -> String {
        format!("FILEYARD-{self}")
    }

    /// How the names of all its devices begin.
    pub(in crate::engine) fn prefix(self) -> String {
        format!("fy{self}")
    }

    /// All of its devices, as iptables writes it.
    pub(in crate::engine) fn devices(self) -> String {
        format!("{}+", self.prefix())
    }

    /// Those of one kind.
    pub(in crate::engine) fn devices_of(self, kind: Kind) -> String {
        format!("{}{}+", self.prefix(), kind.letter())
    }
}

impl Kind {
    pub(in crate::engine) fn of(reach: Reach) -> Self {
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

/// The name of an attempt's device on this host.
pub(in crate::engine) fn device(id: &ContainerId, make: Make, reach: Reach) -> String {
    let attempt = short::<7>(&id.to_string());
    let attempt = String::from_utf8_lossy(&attempt);
    format!("{}{}{attempt}", Tag::of(id.install, make).prefix(), Kind::of(reach).letter())
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
    fn a_device_s_name_is_short_and_tells_install_reach_and_attempt() {
        let id = |install, job, attempt| ContainerId {
            install: InstallId::from_u128(install),
            job: JobId::from_u128(job),
            attempt: AttemptNo(attempt),
        };
        let listener = Reach { listener: Some(1), internet: false };
        let bridge = |id: ContainerId, reach| device(&id, Make::Bridge, reach);
        let name = bridge(id(1, 2, 3), listener);
        assert_eq!(name.len(), 15, "{name}");
        assert_eq!(name, bridge(id(1, 2, 3), Reach { listener: Some(2), ..listener }));
        let of_its_kind = Tag::of(InstallId::from_u128(1), Make::Bridge).devices_of(Kind::Listener);
        assert!(name.starts_with(of_its_kind.trim_end_matches('+')), "{name} {of_its_kind}");
        let others = [
            bridge(id(4, 2, 3), listener),
            bridge(id(1, 4, 3), listener),
            bridge(id(1, 2, 4), listener),
            bridge(id(1, 2, 3), Reach { internet: true, ..listener }),
            bridge(id(1, 2, 3), Reach { listener: None, internet: true }),
            bridge(id(1, 2, 3), Reach::NOTHING),
            device(&id(1, 2, 3), Make::Pair, listener),
        ];
        assert!(!others.contains(&name), "{name} {others:?}");
    }
}
