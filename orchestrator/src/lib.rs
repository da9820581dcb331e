//! Decides: what is accepted, what runs, where, and what its ending means.

pub mod contract;
pub mod engine;
pub mod hint;
pub mod intake;
pub mod log;
pub mod processor;
pub mod template;
