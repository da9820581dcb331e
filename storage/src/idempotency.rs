//! The idempotency key: a client's own name for one request, so that the request may be repeated
//! until it is answered and yet makes its jobs once.
//!
//! `claimed -> done`. A claim is made in the row of its request's first upload, before the first
//! byte, and it is done in the transaction that makes the jobs. When any of its uploads is abandoned
//! the claim goes with it, by whoever does that: a request that came to nothing has used no key.
//! A key that is done goes with the first of its jobs that is pruned: without that there is no answer
//! to give again.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    blob::Digest,
    clock::Timestamp,
    error::StoreError,
    id::{BatchId, ClaimId, ClientKey, JobId, Tenant},
    upload::Arrival,
};

/// A key, and what it is a key of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// The same key of another route is another key.
    pub route: Route,
    /// As the client has it.
    pub key: ClientKey,
}

/// The ways in that take a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// A form.
    Form,
    /// A file as a bare body.
    Raw,
}

/// One request's claim on a key. It stands in the row of each of the request's uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The key.
    pub key: IdempotencyKey,
    /// The request.
    pub by: ClaimId,
}

/// One key's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The key.
    pub key: IdempotencyKey,
    /// Since when it stands as it does.
    pub at: Timestamp,
    /// Where it stands.
    pub state: KeyState,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum KeyState {
    /// A request uses it.
    Claimed {
        /// Which.
        by: ClaimId,
    },
    /// A request has made its jobs.
    Done {
        /// Of the request: see [`Settling`].
        fingerprint: Digest,
        /// Of the request as it stood on the wire: see [`Settling`].
        shortcut: Option<Digest>,
        /// Of its jobs, where there are several.
        batch: Option<BatchId>,
        /// Its jobs, in file order.
        jobs: Vec<JobId>,
    },
}

/// What is remembered of a request when its jobs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    /// Its claim.
    pub claim: Claim,
    /// Of what it asked for: processor, params, names and digests of its files.
    pub fingerprint: Digest,
    /// Of its query and its body's own digest, where the client named that beforehand: a repeated
    /// request that has the same need not be read.
    pub shortcut: Option<Digest>,
}

/// The rows of keys. Keys are claimed, freed and done by what happens to uploads: see
/// [`UploadStore`](crate::upload::UploadStore).
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// One key, if it is claimed or done.
    async fn key(&self, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError>;

    /// Forgets every key that was done before `before`.
    async fn forget_keys(&self, before: Timestamp) -> Result<(), StoreError>;
}

impl Route {
    /// As it stands in a row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Raw => "raw",
        }
    }
}

impl Claim {
    /// The row that this claim makes of the one that is there; none where it stands already.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] when another request has the key.
    pub fn on(
        &self,
        there: Option<&Idempotency>,
        at: Timestamp,
    ) -> Result<Option<Idempotency>, StoreError> {
        match there {
            None => {
                let state = KeyState::Claimed { by: self.by };
                Ok(Some(Idempotency { key: self.key.clone(), at, state }))
            }
            Some(there) if there.is_claimed_by(self.by) => Ok(None),
            Some(_) => Err(StoreError::KeyTaken),
        }
    }
}

impl Idempotency {
    /// Whether this request has it and has not made its jobs.
    #[must_use]
    pub fn is_claimed_by(&self, request: ClaimId) -> bool {
        matches!(self.state, KeyState::Claimed { by } if by == request)
    }

    /// Whether its request has made this job, perhaps among others.
    #[must_use]
    pub fn made(&self, job: JobId) -> bool {
        matches!(&self.state, KeyState::Done { jobs, .. } if jobs.contains(&job))
    }
}

impl Settling {
    /// The key's row once its request has made these jobs.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] when the claim does not stand any more.
    pub fn on(
        &self,
        there: Option<&Idempotency>,
        arrivals: &[Arrival],
        at: Timestamp,
    ) -> Result<Idempotency, StoreError> {
        if !there.is_some_and(|there| there.is_claimed_by(self.claim.by)) {
            return Err(StoreError::KeyTaken);
        }
        let state = KeyState::Done {
            fingerprint: self.fingerprint,
            shortcut: self.shortcut,
            batch: arrivals.first().and_then(|arrival| arrival.job.batch),
            jobs: arrivals.iter().map(|arrival| arrival.job.id).collect(),
        };
        Ok(Idempotency { key: self.claim.key.clone(), at, state })
    }
}
