//! The `urls` contract: a container finds four addresses in its environment, and nothing is mounted.
//!
//! | variable | what it is for |
//! | --- | --- |
//! | `FILEYARD_INPUT_URL` | GET, with Range: the input |
//! | `FILEYARD_OUTPUT_URL` | PUT below it: an output of that name |
//! | `FILEYARD_RESULT_URL` | PUT: the result, JSON |
//! | `FILEYARD_PROGRESS_URL` | POST: how far it is |
//!
//! Behind them is a [`Desk`], one an attempt. HTTP itself is not here: whoever implements
//! [`Listeners`] speaks it. Addresses hold the token, so they are never logged.

mod desk;
mod key;
mod name;
mod put;
mod tally;
mod token;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use fileyard_storage::clock::Timestamp;

pub(crate) use self::desk::{Counter, Limits, Open};
pub use self::{
    desk::{Desk, DeskError, Pass, Sent},
    key::{Key, KeyError},
    put::Put,
    token::Claims,
};
use crate::processor::Processor;

/// How much longer than its container may run a token lives. A container runs on while no server
/// does, and that time is not counted, so this is long: a token's real end is its attempt's.
const SLACK: Duration = Duration::from_secs(24 * 3600);

/// What the contract stands on.
#[derive(Clone)]
pub struct Urls {
    /// Of every listener.
    pub port: u16,
    /// Signs tokens.
    pub key: Key,
    /// Speaks HTTP.
    pub listeners: Arc<dyn Listeners>,
}

/// Serves desks over HTTP.
#[async_trait]
pub trait Listeners: Send + Sync {
    /// Serves this one desk on a socket that an engine made for it, until what is returned is
    /// dropped. Whoever connected by then is cut.
    ///
    /// # Errors
    /// When the system does not let this process wait for connections on it.
    async fn listen(&self, listener: TcpListener, desk: Desk) -> io::Result<Box<dyn Listening>>;
}

/// A listener; it ends when this is dropped.
pub trait Listening: Send + Sync {}

/// The four addresses of one attempt.
#[derive(Clone)]
pub struct Addresses {
    base: String,
    port: u16,
}

impl Addresses {
    /// With this token, at this listener.
    #[must_use]
    pub fn new(at: SocketAddr, claims: &Claims, key: &Key) -> Self {
        Self { base: format!("http://{at}/v1/{}", claims.sign(key)), port: at.port() }
    }

    /// Of the listener.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// As they stand in the environment, without the prefix that all of the contract's have.
    pub(super) fn env(&self) -> [(String, String); 4] {
        ["input", "output", "result", "progress"].map(|what| {
            (format!("{}_URL", what.to_ascii_uppercase()), format!("{}/{what}", self.base))
        })
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addresses(..)")
    }
}

/// When a token that is made now is nothing any more.
pub(crate) fn expiry(processor: &Processor, now: Timestamp) -> Timestamp {
    now.after(processor.timeout + processor.grace + SLACK)
}
