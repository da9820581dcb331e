//! Containers on this kernel, without a daemon: images kept on disk, and the helper that runs one
//! container.
//!
//! It knows nothing of jobs, rows or HTTP: the orchestrator's engine `oci` stands on it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod causes;
pub mod credentials;
pub mod errand;
mod handles;
pub mod image;
mod lock;
mod mounts;
pub mod netns;
pub mod runtime;
mod sealed;
pub mod userns;
