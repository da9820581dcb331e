//! Phase `starting`: from a claim to a container that runs, whether this owner made it or one
//! before it.

use fileyard_storage::{
    failpoint,
    job::{OwnerEvent, Reason, ReasonCode},
};

use super::{Halt, Owner};
use crate::{
    contract::{self, StageError},
    engine::{ContainerSpec, EngineError},
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
        let Some(processor) = self.processor.clone() else {
            let detail = "its processor is no longer configured";
            return self.conclude(settle::infrastructure(&self.job, detail)).await;
        };
        let spec = contract::spec(self.id.install, &self.job, self.id.attempt, &processor);
        match self.ensure_started(&spec).await {
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

    async fn ensure_started(&self, spec: &ContainerSpec) -> Result<(), Trouble> {
        let engine = &self.inner.parts.engine;
        // Staging belongs to a container that is not there yet: one that is may be writing.
        if self.heard(engine.inspect(&spec.id).await)?.is_none() {
            contract::stage(&self.inner.dirs, spec, &self.inner.parts.blobs).await?;
        }
        let started = match engine.start(spec).await {
            Err(EngineError::NoImage(image)) => {
                self.fetch(&image).await?;
                engine.start(spec).await
            }
            answered => answered,
        };
        self.heard(started).map(drop)
    }

    /// The image was there when the job was claimed, or could not be had: this try says why.
    async fn fetch(&self, image: &str) -> Result<(), Trouble> {
        let (Some(images), Some(processor)) = (self.inner.parts.engine.images(), &self.processor)
        else {
            return Err(EngineError::NoImage(image.to_owned()).into());
        };
        self.inner.images.forget(image);
        let said = |words: String| tracing::debug!("{words}");
        self.heard(images.ensure(image, processor.pull, &said).await)
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

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Rejected(_) | EngineError::NoImage(_) => {
                Self::Final(ReasonCode::StartFailed, error.to_string())
            }
            EngineError::Unavailable(_) | EngineError::NoSpace(_) => {
                Self::Infrastructure(error.to_string())
            }
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
