//! A processor: a named kind of work, as the config declares it and checked once.

use std::{collections::BTreeMap, time::Duration};

use fileyard_storage::{id::ProcessorName, job::ReasonCode};

use crate::engine::{Network, User};

/// The configured processors, by name.
#[derive(Debug, Clone, Default)]
pub struct Processors {
    /// All of them.
    pub all: BTreeMap<ProcessorName, Processor>,
    /// The one that works where nobody names one.
    pub default: Option<ProcessorName>,
}

/// One processor.
#[derive(Debug, Clone)]
pub struct Processor {
    /// Its name.
    pub name: ProcessorName,
    /// For a page.
    pub title: String,
    /// The OCI image.
    pub image: String,
    /// When the image is fetched.
    pub pull: Pull,
    /// Replaces the image's ENTRYPOINT, unless empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's CMD, unless empty; may hold placeholders.
    pub command: Vec<String>,
    /// MIME types (`video/*`) and extensions (`.mkv`); empty accepts everything.
    pub accepts: Vec<String>,
    /// From start to SIGTERM.
    pub timeout: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// In bytes; swap included.
    pub memory: u64,
    /// How many cores' worth of time.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// Of `/tmp`, in bytes.
    pub tmp: u64,
    /// Who the program is.
    pub user: User,
    /// Beside what the contract gives.
    pub env: BTreeMap<String, String>,
    /// Containers at once; 0 has no limit of its own.
    pub concurrency: usize,
    /// How often an attempt that asks for it is repeated.
    pub retries: u32,
    /// Endings that are retried beside exit 75.
    pub retry_on: Vec<ReasonCode>,
    /// How many files it may give back.
    pub max_outputs: usize,
    /// How many bytes, all of them together.
    pub max_output_size: u64,
    /// What it can reach.
    pub network: Network,
    /// Its declared params, by name.
    pub params: BTreeMap<String, ParamSpec>,
}

/// When an image is fetched from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Before every start.
    Always,
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Never: it is there, or the job fails.
    Never,
}

/// What a param may be.
#[derive(Debug, Clone)]
pub struct ParamSpec {
    /// Its type and bounds.
    pub kind: ParamKind,
    /// Where the job does not say. Without a default the param is required.
    pub default: Option<serde_json::Value>,
}

/// A param's type, with its bounds.
#[derive(Debug, Clone)]
pub enum ParamKind {
    /// One of a few words.
    Choice(Vec<String>),
    /// Text that a pattern matches as a whole.
    Text(regex::Regex),
    /// A whole number.
    Integer {
        /// At least.
        min: Option<i64>,
        /// At most.
        max: Option<i64>,
    },
    /// A number.
    Number {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// Yes or no.
    Boolean,
}
