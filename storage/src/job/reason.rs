//! How a container exited, and why a job failed: facts and words, no decisions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What an engine knows of a container that exited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitFacts {
    /// The exit code of its init.
    pub code: i64,
    /// Whether the kernel killed something in it for memory.
    pub out_of_memory: bool,
    /// When, by the engine's clock.
    pub at: Timestamp,
    /// The engine's own words, where it had any.
    pub message: Option<String>,
}

impl ExitFacts {
    /// Whether the program itself never ran: an engine's init could not, exited as a shell does
    /// then, and said why.
    #[must_use]
    pub fn never_ran(&self) -> bool {
        matches!(self.code, 126 | 127) && self.message.is_some()
    }
}

/// Why a container is stopped by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// It ran longer than its processor's `timeout`.
    TimedOut,
    /// Its `/out` grew over its limit.
    OutputLimit,
    /// The disk is nearly full.
    DiskFull,
}

/// Whose budget a retry spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The processor's `retries`.
    Processor,
    /// The infrastructure's own.
    Infrastructure,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable.
    pub code: ReasonCode,
    /// With `exit` alone.
    pub exit_code: Option<i64>,
    /// For a person.
    pub message: String,
}

/// The closed set of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// A non-zero exit code.
    Exit,
    /// Ended by a signal that was not ours.
    Signal,
    /// Killed for memory.
    OutOfMemory,
    /// Ran longer than its `timeout`.
    TimedOut,
    /// Something in `/out` of a kind, name or depth that is not taken, or an invalid result.
    BadOutput,
    /// Too many outputs, or too large.
    OutputLimit,
    /// No room left.
    DiskFull,
    /// The image or the command could not be started.
    StartFailed,
    /// The input is gone from the store.
    InputLost,
    /// The infrastructure failed more often than it may.
    Infrastructure,
    /// Its owners died, one after the other, while they worked on it.
    CrashLoop,
    /// Waited longer than `queue_timeout`.
    Expired,
}

impl ReasonCode {
    /// As it stands in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::OutOfMemory => "out_of_memory",
            Self::TimedOut => "timed_out",
            Self::BadOutput => "bad_output",
            Self::OutputLimit => "output_limit",
            Self::DiskFull => "disk_full",
            Self::StartFailed => "start_failed",
            Self::InputLost => "input_lost",
            Self::Infrastructure => "infrastructure",
            Self::CrashLoop => "crash_loop",
            Self::Expired => "expired",
        }
    }
}

impl Reason {
    /// A reason that is not an exit code.
    #[must_use]
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, exit_code: None, message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
