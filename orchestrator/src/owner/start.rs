//! Phase `starting`: from a claim to a container that runs, whether this owner made it or one
//! before it.

use std::sync::Arc;

use fileyard_storage::{
    attempt::Contract,
    failpoint,
    job::{OwnerEvent, Reason, ReasonCode},
};

use tokio::time::sleep;

use super::{Halt, Owner, PAUSE, serve::NotServed};
use crate::{
    contract::{self, StageError, quota::Quota, urls::Addresses},
    engine::{ContainerSpec, EngineError, Gateway, Pull},
    processor::Processor,
    settle::{self, MAX_CRASHES, Verdict},
};

/// Why a container could not be started.
enum Trouble {
    /// The job will never start.
    Final(ReasonCode, String),
    /// Not the job's fault.
    Infrastructure(String),
}

impl Owner {
    pub(super) async fn start(&mut self) -> Result<(), Halt> {
        if self.job.crashes >= MAX_CRASHES {
            return self.conclude(Verdict::Bad(crash_loop(self.job.crashes))).await;
        }
        if !self.configured {
            let detail = "its processor is no longer configured";
            return self.conclude(settle::infrastructure(&self.job, detail)).await;
        }
        let processor = Arc::clone(&self.processor);
        if processor.contract != self.contract {
            let detail = "its processor has another contract now";
            return self.conclude(settle::infrastructure(&self.job, detail)).await;
        }
        match self.ensure_started().await {
            Ok(()) => {
                failpoint::hit("started");
                self.own(OwnerEvent::Started).await
            }
            Err(Trouble::Final(code, words)) => {
                let reason = Reason::new(code, words);
                self.conclude(settle::failed(&self.job, &processor, reason, false)).await
            }
            Err(Trouble::Infrastructure(words)) => {
                self.conclude(settle::infrastructure(&self.job, &words)).await
            }
        }
    }

    async fn ensure_started(&mut self) -> Result<(), Trouble> {
        let addresses = match self.contract {
            Contract::Files => None,
            // Bound before there is a container that could find nobody there.
            Contract::Urls => Some(self.serve_to_start().await?),
        };
        let (install, processor) = (self.id.install, Arc::clone(&self.processor));
        let spec = &contract::spec(
            install,
            &self.job,
            self.id.attempt,
            &processor,
            self.image.as_deref(),
            addresses.as_ref(),
        );
        let engine = Arc::clone(&self.inner.parts.engine);
        // Staging belongs to a container that is not there yet: one that is may be writing.
        if self.heard(engine.inspect(&spec.id).await)?.is_none() {
            self.stage(spec).await?;
        }
        // In this order: a container must not be there before what bounds its reach.
        let network = self.network_to_start_on().await;
        self.heard(network).map_err(Trouble::blameless)?;
        let started = match engine.start(spec).await {
            Err(error @ EngineError::NoImage(_)) => Err(self.no_image(error)),
            answered => self.heard(answered),
        };
        started.map(drop)
    }

    async fn serve_to_start(&mut self) -> Result<Addresses, Trouble> {
        let blameless = |error: NotServed| Trouble::Infrastructure(error.to_string());
        let network = self.network_to_start_on().await;
        let gateway = self.heard(network).map_err(Trouble::blameless)?;
        let Gateway { address } = gateway.ok_or(NotServed::NotOffered).map_err(blameless)?;
        self.serve(address).await.map_err(blameless)?;
        self.addresses().ok_or_else(|| blameless(NotServed::NotOffered))
    }

    /// A store that is away is waited for here, however long: no attempt is spent on it.
    async fn stage(&self, spec: &ContainerSpec) -> Result<(), Trouble> {
        let mut failures = 0;
        loop {
            match self.try_stage(spec).await {
                Err(error @ (StageError::Unavailable(_) | StageError::NoSpace(_))) => {
                    tracing::warn!(%error, failures, "could not stage the input; trying again");
                    sleep(settle::backoff(failures).max(PAUSE)).await;
                    failures += 1;
                }
                staged => return Ok(staged?),
            }
        }
    }

    async fn try_stage(&self, spec: &ContainerSpec) -> Result<(), StageError> {
        let blobs = &self.inner.parts.blobs;
        let quota = Quota::of(&self.processor);
        contract::stage(&self.inner.dirs, spec, quota, blobs).await?;
        match spec.input {
            Some(_) => Ok(()),
            None => contract::find(&self.job.asked.input, blobs).await,
        }
    }

    /// Nothing is fetched here, with a slot in hand: where that may help, the job waits for it in the
    /// queue.
    fn no_image(&self, error: EngineError) -> Trouble {
        let Processor { image, pull, .. } = &*self.processor;
        self.inner.images.forget(image);
        if let Some(why) = &self.unfetched {
            return why.clone().into();
        }
        let nobody_fetches = *pull == Pull::Never || self.inner.parts.engine.images().is_none();
        match &self.image {
            Some(digest) => Trouble::Infrastructure(format!(
                "the image {image} of this attempt ({digest}) was removed after the job was claimed"
            )),
            None if nobody_fetches => error.into(),
            None => Trouble::Infrastructure(error.to_string()),
        }
    }

    /// Notes whether the engine answers at all.
    fn heard<T>(&self, answer: Result<T, EngineError>) -> Result<T, Trouble> {
        match &answer {
            Err(EngineError::Unavailable(words)) => {
                self.inner.heard_from_engine(Some(words));
            }
            _ => self.inner.heard_from_engine(None),
        }
        answer.map_err(Trouble::from)
    }
}

pub(super) fn crash_loop(crashes: u32) -> Reason {
    let words = format!("the server died {crashes} times in a row while it worked on this job");
    Reason::new(ReasonCode::CrashLoop, words)
}

impl Trouble {
    /// In a step that the image and the command have no part in.
    fn blameless(self) -> Self {
        match self {
            Self::Final(_, words) | Self::Infrastructure(words) => Self::Infrastructure(words),
        }
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        let words = error.to_string();
        if error.may_pass() {
            Self::Infrastructure(words)
        } else {
            Self::Final(ReasonCode::StartFailed, words)
        }
    }
}

impl From<StageError> for Trouble {
    fn from(error: StageError) -> Self {
        match error {
            StageError::InputLost => Self::Final(ReasonCode::InputLost, error.to_string()),
            other => Self::Infrastructure(other.to_string()),
        }
    }
}
