//! Images are fetched ahead of a claim: all of them when a server starts, and whatever is missing when
//! a job wants it. A job whose image is on its way waits in the queue and holds no slot.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::{
    engine::{Engine, EngineError, Pull},
    hint::{Hint, Hints},
    processor::Processor,
};

/// How many are fetched at once.
const AT_ONCE: usize = 3;
/// How often it is said how far one is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Knows which images are there. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ImageGate {
    engine: Arc<dyn Engine>,
    hints: Hints,
    known: Arc<Mutex<HashMap<String, Fetch>>>,
    fetching: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    UnderWay,
    /// Also when it failed: then the claim's own try tells the job why.
    Done,
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
    then: Option<Fetch>,
}

impl Try {
    fn it_is_there(&mut self) {
        self.then = Some(Fetch::Done);
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        match self.then {
            Some(fetch) => drop(self.gate.known().insert(self.image.clone(), fetch)),
            None => self.gate.forget(&self.image),
        }
        self.gate.hints.send(Hint::Queued);
    }
}

impl ImageGate {
    pub(crate) fn new(engine: Arc<dyn Engine>, hints: Hints) -> Self {
        let fetching = Arc::new(Semaphore::new(AT_ONCE));
        Self { engine, hints, known: Arc::default(), fetching }
    }

    /// Fetches the images of all of these, as they want it, in the background.
    pub(crate) fn fetch_all<'a>(&self, processors: impl Iterator<Item = &'a Processor>) {
        let images: BTreeMap<_, _> =
            processors.map(|processor| (&processor.image, processor.pull)).collect();
        for (image, pull) in images {
            self.fetch(image, pull, For::Later);
        }
    }

    /// Whether a job of this processor may be claimed; starts fetching its image if not.
    pub(crate) fn open(&self, processor: &Processor) -> bool {
        processor.pull == Pull::Never || self.fetch(&processor.image, processor.pull, For::Job)
    }

    /// Whether it is known to be there; has it fetched if not.
    fn fetch(&self, image: &str, pull: Pull, whom: For) -> bool {
        if self.engine.images().is_none() {
            return true;
        }
        match self.known().get(image) {
            Some(Fetch::Done) => return true,
            Some(Fetch::UnderWay) => return false,
            None => {}
        }
        self.known().insert(image.to_owned(), Fetch::UnderWay);
        let then = (whom == For::Job).then_some(Fetch::Done);
        let mut this = Try { gate: self.clone(), image: image.to_owned(), then };
        tokio::spawn(async move {
            let _turn = Arc::clone(&this.gate.fetching).acquire_owned().await;
            match this.gate.fetched(&this.image, pull).await {
                Ok(()) => this.it_is_there(),
                Err(error) => {
                    tracing::warn!(image = this.image, %error, "could not fetch an image");
                }
            }
        });
        false
    }

    async fn fetched(&self, image: &str, pull: Pull) -> Result<(), EngineError> {
        let Some(images) = self.engine.images() else { return Ok(()) };
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

    /// The claim was made: with `pull = "always"` the next one asks the registry again.
    pub(crate) fn used(&self, processor: &Processor) {
        if processor.pull == Pull::Always {
            self.forget(&processor.image);
        }
    }

    /// It is not there after all.
    pub(crate) fn forget(&self, image: &str) {
        self.known().remove(image);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Fetch>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
