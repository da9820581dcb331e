//! Everything that is on a fake engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use fileyard_storage::blob::Digest;
use sha2::{Digest as _, Sha256};

use crate::engine::{
    ContainerId, ContainerState, EngineError, LogChunk, LogPosition, LogStream, Reach, Signal,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) down: bool,
    pub(super) lost_replies: u32,
    pub(super) refusals: VecDeque<EngineError>,
    pub(super) pull_refusals: VecDeque<EngineError>,
    /// By name: what it means now.
    pub(super) images: BTreeMap<String, String>,
    /// All that are there, also those that lost their name.
    pub(super) digests: BTreeSet<String>,
    pub(super) registry: BTreeSet<String>,
    pub(super) slow: BTreeSet<String>,
    pub(super) pulls: Vec<String>,
    pub(super) gates: BTreeSet<String>,
    pub(super) containers: BTreeMap<ContainerId, Container>,
    pub(super) networks: BTreeMap<ContainerId, Reach>,
    pub(super) network_asks: BTreeMap<ContainerId, u32>,
    pub(super) network_refusals: VecDeque<EngineError>,
    pub(super) starts: BTreeMap<ContainerId, u32>,
    pub(super) made: u64,
}

pub(super) struct Container {
    /// Tells a container from an earlier one of the same name.
    pub(super) serial: u64,
    pub(super) state: ContainerState,
    pub(super) signal: Option<Signal>,
    pub(super) image: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) at_gate: Option<String>,
    pub(super) log: Vec<LogChunk>,
}

pub(super) enum Read {
    Chunk(LogChunk),
    Later,
    End,
}

impl State {
    /// From now on the name means the `version`th image that had it.
    pub(super) fn add_image(&mut self, name: &str, version: u32) {
        let content = format!("{name} {version}");
        let digest = format!("sha256:{}", Digest(Sha256::digest(content).into()));
        self.images.insert(name.to_owned(), digest.clone());
        self.digests.insert(digest);
    }

    /// The digest of the image that this name or digest means.
    pub(super) fn image(&self, name: &str) -> Option<&String> {
        self.images.get(name).or_else(|| self.digests.get(name))
    }

    pub(super) fn read(&self, id: &ContainerId, from: LogPosition) -> Read {
        let Some(container) = self.containers.get(id) else { return Read::End };
        let first = container.log.partition_point(|chunk| chunk.at < from.at);
        let skipped = container.log[first..]
            .iter()
            .take_while(|chunk| chunk.at == from.at)
            .count()
            .min(from.skip as usize);
        match (container.log.get(first + skipped), &container.state) {
            (Some(chunk), _) => Read::Chunk(chunk.clone()),
            (None, ContainerState::Exited(_)) => Read::End,
            (None, _) => Read::Later,
        }
    }

    /// A container that still is the one that was started.
    pub(super) fn container(&mut self, id: &ContainerId, serial: u64) -> Option<&mut Container> {
        self.containers.get_mut(id).filter(|container| container.serial == serial)
    }
}

impl Container {
    pub(super) fn write(&mut self, now: i64, stream: LogStream, bytes: Bytes) {
        let at = self.log.last().map_or(now, |last| last.at.max(now));
        self.log.push(LogChunk { at, stream, bytes });
    }
}
