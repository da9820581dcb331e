//! `fileyard`: a file in over HTTP, one durable job, a container, its result at /status.

mod config;
fn main() {}
