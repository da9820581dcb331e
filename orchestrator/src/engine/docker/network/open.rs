//! What stays open where no rules can be written: a person needs to be told once.

use std::sync::atomic::{AtomicBool, Ordering};

/// Why none are written where they would have no effect.
pub(super) const ELSEWHERE: &str = "the daemon's networks are not on this host";

/// Whether it was said.
#[derive(Debug, Default)]
pub(in crate::engine::docker) struct Open {
    said: AtomicBool,
}

impl Open {
    /// Into the log, unless it was said before.
    pub(super) fn say_once(&self, why: &str) {
        if !self.said.load(Ordering::Relaxed) {
            tracing::warn!("{}", self.in_words(why));
        }
    }

    /// What a container can reach beside what it is meant to.
    pub(super) fn in_words(&self, why: &str) -> String {
        self.said.store(true, Ordering::Relaxed);
        format!(
            "no firewall rules for attempts' networks ({why}): a container with a network reaches \
             every port of this host that listens on 0.0.0.0 or on an address of the host's, and one \
             with egress also the host's private networks, its neighbours and 169.254.169.254. Run \
             fileyard as root on the Docker host, with iptables installed, to close them"
        )
    }
}
