//! One request, however often it is sent: its jobs are made once, and every repetition is answered
//! as the first was.

use fileyard_storage::{
    blob::Digest,
    id::{BatchId, ClaimId, JobId},
    idempotency::{Claim, IdempotencyKey, KeyState, Settling},
    job::Job,
};
use sha2::{Digest as _, Sha256};

use super::{Intake, IntakeError, Order, Submitted};

/// A request that brought a key of its client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    claim: Claim,
    shortcut: Option<Digest>,
}

/// An answered request of the same key.
#[derive(Debug, Clone)]
pub struct Earlier {
    fingerprint: Digest,
    shortcut: Option<Digest>,
    batch: Option<BatchId>,
    jobs: Vec<JobId>,
}

impl Once {
    /// A request that has not been answered yet. `shortcut` is a digest of all of it, where the
    /// client told one beforehand.
    #[must_use]
    pub fn new(key: IdempotencyKey, shortcut: Option<Digest>) -> Self {
        Self { claim: Claim { key, by: ClaimId::new() }, shortcut }
    }

    pub(super) fn claim(&self) -> Claim {
        self.claim.clone()
    }

    pub(super) fn settling(&self, fingerprint: Digest) -> Settling {
        Settling { claim: self.claim(), fingerprint, shortcut: self.shortcut }
    }
}

impl Order {
    /// What a request asked for: as its client wrote it, so that a later config makes no other
    /// request of it.
    #[must_use]
    pub fn fingerprint<'a>(&self, files: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
        let files: Vec<_> = files.into_iter().collect();
        let processor = self.processor.as_deref().filter(|name| !name.is_empty());
        let asked = serde_json::to_vec(&(processor, &self.params, files));
        Digest(Sha256::digest(asked.expect("text and digests are JSON")).into())
    }
}

impl Earlier {
    /// Whether the earlier request is known to be this one without reading it.
    #[must_use]
    pub fn is(&self, shortcut: Option<Digest>) -> bool {
        shortcut.is_some() && self.shortcut == shortcut
    }
}

impl Intake {
    /// The request that was answered for this key, if one was.
    ///
    /// # Errors
    /// [`IntakeError::KeyInProgress`] while it is not answered yet.
    pub async fn earlier(&self, key: &IdempotencyKey) -> Result<Option<Earlier>, IntakeError> {
        match self.0.store.key(key).await?.map(|row| row.state) {
            None => Ok(None),
            Some(KeyState::Claimed { .. }) => Err(IntakeError::KeyInProgress),
            Some(KeyState::Done { fingerprint, shortcut, batch, jobs }) => {
                Ok(Some(Earlier { fingerprint, shortcut, batch, jobs }))
            }
        }
    }

    /// The earlier request's answer, where this one has the same fingerprint.
    ///
    /// # Errors
    /// [`IntakeError::KeyMismatch`] where it has another.
    pub async fn repeat(
        &self,
        earlier: &Earlier,
        fingerprint: Digest,
    ) -> Result<Submitted, IntakeError> {
        if earlier.fingerprint != fingerprint {
            return Err(IntakeError::KeyMismatch);
        }
        self.answer_again(earlier).await
    }

    /// The earlier request's answer: its jobs as they were when they were made, for that is what
    /// their own words of then say.
    ///
    /// # Errors
    /// What the rows said.
    pub async fn answer_again(&self, earlier: &Earlier) -> Result<Submitted, IntakeError> {
        let mut jobs = Vec::with_capacity(earlier.jobs.len());
        for id in &earlier.jobs {
            let job = self.0.store.job(*id).await?;
            // Pruned since its key was read, and the key with it: asked again, this is a new request.
            let job = job.ok_or(IntakeError::KeyInProgress)?;
            jobs.push(Job::new(job.asked, job.created_at));
        }
        Ok(Submitted { batch: earlier.batch, jobs, repeated: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_everything_that_was_asked() {
        let digest = |n| Digest([n; 32]);
        let order = |processor: Option<&str>, params: &[(&str, &str)]| Order {
            processor: processor.map(str::to_owned),
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            once: None,
        };
        let plain = order(Some("mp4"), &[("a", "1")]);
        let one = plain.fingerprint([("a.txt", digest(1))]);
        let empty = order(Some(""), &[]).fingerprint([("a.txt", digest(1))]);
        assert_eq!(empty, order(None, &[]).fingerprint([("a.txt", digest(1))]));
        let others = [
            empty,
            order(Some("mp3"), &[("a", "1")]).fingerprint([("a.txt", digest(1))]),
            order(Some("mp4"), &[("a", "2")]).fingerprint([("a.txt", digest(1))]),
            order(Some("mp4"), &[("a", "1"), ("b", "")]).fingerprint([("a.txt", digest(1))]),
            plain.fingerprint([("b.txt", digest(1))]),
            plain.fingerprint([("a.txt", digest(2))]),
            plain.fingerprint([("a.txt", digest(1)), ("a.txt", digest(1))]),
        ];
        assert!(others.iter().all(|other| *other != one));
        assert_eq!(plain.fingerprint([("a.txt", digest(1))]), one);
    }
}
