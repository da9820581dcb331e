//! A job as the server's JSON has it, as far as the client commands read it.
//!
//! Nothing is refused for being new: `--json` shows what came, not what is understood.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) job_id: String,
    pub(crate) state: String,
    pub(crate) phase: Option<String>,
    pub(crate) processor: Option<String>,
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    pub(crate) waiting_for: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) progress: Option<Progress>,
    pub(crate) reason: Option<Reason>,
    pub(crate) input: File,
    pub(crate) result: Option<Value>,
    #[serde(default)]
    pub(crate) outputs: Vec<File>,
}

/// What its program last said of itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Progress {
    pub(crate) fraction: Option<f64>,
    pub(crate) message: Option<String>,
}

/// Why it failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// An input or an output.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// A page of jobs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Page {
    pub(crate) jobs: Vec<Job>,
    pub(crate) next: Option<String>,
}

impl Job {
    /// Whether nothing of it will change any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled")
    }

    /// Whether it ended well.
    pub(crate) fn succeeded(&self) -> bool {
        self.state == "succeeded"
    }
}
