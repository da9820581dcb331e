//! Stories of the HTTP side: what a client sees, and what is left behind.
#![allow(clippy::unwrap_used)]

mod asking;
mod attempts;
mod counting;
mod crowd;
mod door;
mod downloads;
mod form;
mod hostile;
mod key;
mod once;
mod pages;
mod processors;
mod retry;
mod room;
mod uploads;
mod waiting;
mod who;
mod wire;
mod yard;
