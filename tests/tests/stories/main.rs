//! Stories that need no Docker, no S3 server and no browser: everything up to a job that waits.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cli;
mod crashes;
mod documents;
mod door;
mod files;
mod once;
mod refusals;
mod retention;
mod uploads;
mod waiting;
