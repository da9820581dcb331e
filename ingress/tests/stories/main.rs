//! Stories of the HTTP side: what a client sees, and what is left behind.
#![allow(clippy::unwrap_used)]

mod asking;
mod door;
mod downloads;
mod hostile;
mod pages;
mod uploads;
mod wire;
mod yard;
