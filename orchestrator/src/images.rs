//! Images are fetched ahead of a claim: all of them when a server starts, and whatever is missing when
//! a job wants it. A job whose image is on its way waits in the queue and holds no slot.
//!
//! No other part of a server fetches any, so none is fetched twice at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Engine, EngineError, Pull},
    hint::{Hint, Hints},
    processor::{Processor, Processors},
    settle::{INFRASTRUCTURE_RETRIES, PAUSE, backoff},
};

/// How many are fetched at once.
const AT_ONCE: usize = 3;
/// How often it is said how far one is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How long a failure is told to whoever asks. Whoever asks later has it tried again: much may have
/// been put right.
const FRESH: Duration = Duration::from_secs(10);

/// Knows which images are there. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ImageGate {
    engine: Arc<dyn Engine>,
    hints: Hints,
    known: Arc<Mutex<HashMap<String, Fetch>>>,
    fetching: Arc<Semaphore>,
    stopping: CancellationToken,
}

#[derive(Debug, Clone)]
enum Fetch {
    UnderWay(For),
    There,
    /// A job is told why, by way of its claim.
    Failed(EngineError, Instant),
}

/// For whom an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// A job that waits for it.
    Job,
    /// Whichever job comes: should it fail, the first of them has it fetched again.
    Later,
}

/// A try to fetch an image, while it lasts. However it ends, that is said: nobody else would ever
/// fetch it.
struct Try {
    gate: ImageGate,
    image: String,
    pull: Pull,
    outcome: Result<(), EngineError>,
}

impl Try {
    /// Returns why it failed, if it did.
    async fn run(mut self) -> Option<EngineError> {
        let stopping = self.gate.stopping.clone();
        tokio::select! {
            fetched = self.gate.fetched(&self.image, self.pull) => self.outcome = fetched,
            () = stopping.cancelled() => return None,
        }
        let error = self.outcome.clone().err()?;
        tracing::warn!(image = self.image, %error, "could not fetch an image");
        Some(error)
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let mut known = self.gate.known();
        let awaited = matches!(known.remove(&self.image), Some(Fetch::UnderWay(For::Job)));
        let fetch = match &self.outcome {
            Ok(()) => Some(Fetch::There),
            Err(error) => awaited.then(|| Fetch::Failed(error.clone(), Instant::now())),
        };
        if let Some(fetch) = fetch {
            known.insert(self.image.clone(), fetch);
        }
        drop(known);
        self.gate.hints.send(Hint::Queued);
    }
}

impl ImageGate {
    pub(crate) fn new(engine: Arc<dyn Engine>, hints: Hints, stopping: CancellationToken) -> Self {
        let fetching = Arc::new(Semaphore::new(AT_ONCE));
        Self { engine, hints, known: Arc::default(), fetching, stopping }
    }

    /// Fetches the images of all of these in the background. What fails in passing is tried again,
    /// as often as a job would have it.
    pub(crate) fn fetch_all(&self, processors: &Processors) {
        for (image, pull) in processors.images() {
            tokio::spawn(self.clone().fetch_ahead(image.to_owned(), pull));
        }
    }

    async fn fetch_ahead(self, image: String, pull: Pull) {
        for failures in 0..=INFRASTRUCTURE_RETRIES {
            // There by now, or a job has it fetched: that one goes on with it.
            let Some(this) = self.begin(&image, pull, For::Later) else { return };
            if !this.run().await.is_some_and(|error| error.may_pass()) {
                return;
            }
            tokio::select! {
                () = sleep(backoff(failures).max(PAUSE)) => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Whether a job of this processor may be claimed: its image is there, or can not be had, which
    /// the claim is told. Starts fetching it if neither is known.
    pub(crate) fn open(&self, processor: &Processor) -> bool {
        if processor.pull == Pull::Never || self.engine.images().is_none() {
            return true;
        }
        match self.known().get_mut(&processor.image) {
            Some(Fetch::There) => return true,
            Some(Fetch::Failed(_, at)) if at.elapsed() < FRESH => return true,
            Some(Fetch::UnderWay(whom)) => {
                *whom = For::Job;
                return false;
            }
            Some(Fetch::Failed(..)) | None => {}
        }
        if let Some(this) = self.begin(&processor.image, processor.pull, For::Job) {
            tokio::spawn(this.run());
        }
        false
    }

    /// A try, unless there is one or no need of one.
    fn begin(&self, image: &str, pull: Pull, whom: For) -> Option<Try> {
        let mut known = self.known();
        match known.get(image) {
            Some(Fetch::UnderWay(_) | Fetch::There) => return None,
            // The job that waited for it is about to hear.
            Some(Fetch::Failed(..)) if whom == For::Later => return None,
            Some(Fetch::Failed(..)) | None => {}
        }
        known.insert(image.to_owned(), Fetch::UnderWay(whom));
        let broke_off = EngineError::Trouble(format!("fetching {image} broke off"));
        Some(Try { gate: self.clone(), image: image.to_owned(), pull, outcome: Err(broke_off) })
    }

    async fn fetched(&self, image: &str, pull: Pull) -> Result<(), EngineError> {
        let Some(images) = self.engine.images() else { return Ok(()) };
        let _turn = self.fetching.acquire().await;
        let from = Instant::now();
        // The first words at once: what is there already has none to say.
        let said = Mutex::new(None);
        let say = |words: String| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.is_none_or(|at: Instant| at.elapsed() >= SAY_EVERY) {
                *said = Some(Instant::now());
                tracing::info!(image, "fetching an image: {words}");
            }
        };
        images.ensure(image, pull, &say).await?;
        if said.into_inner().is_ok_and(|said| said.is_some()) {
            let seconds = from.elapsed().as_secs();
            tracing::info!(image, "fetched an image in {seconds} s");
        }
        Ok(())
    }

    /// The image that a container of this processor is to be made of, by its digest. What the engine
    /// can not say now, its start will.
    pub(crate) async fn resolve(&self, processor: &Processor) -> Option<String> {
        match self.engine.images()?.resolve(&processor.image).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(image = processor.image, %error, "could not look an image up");
                None
            }
        }
    }

    /// A claim was made. With `pull = "always"` the next one asks the registry again, and so it does
    /// after a failure, which this claim is told.
    pub(crate) fn used(&self, processor: &Processor) -> Option<EngineError> {
        let mut known = self.known();
        let failure = match known.get(&processor.image)? {
            Fetch::Failed(error, _) => Some(error.clone()),
            Fetch::There if processor.pull == Pull::Always => None,
            Fetch::There | Fetch::UnderWay(_) => return None,
        };
        known.remove(&processor.image);
        failure
    }

    /// It is not there after all. What has been tried since then is another's to hear.
    pub(crate) fn forget(&self, image: &str) {
        let mut known = self.known();
        if matches!(known.get(image), Some(Fetch::There)) {
            known.remove(image);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Fetch>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
