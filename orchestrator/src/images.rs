//! Images are fetched ahead of a claim: a job whose image is on its way waits in the queue and
//! holds no slot.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    engine::{Engine, Pull},
    hint::{Hint, Hints},
    processor::Processor,
};

/// Knows which images are there.
pub(crate) struct ImageGate {
    engine: Arc<dyn Engine>,
    hints: Hints,
    known: Arc<Mutex<HashMap<String, Fetch>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetch {
    UnderWay,
    /// Also when it failed: then the claim's own try tells the job why.
    Done,
}

/// A try to fetch an image, while it lasts.
struct SaysDone {
    image: String,
    known: Arc<Mutex<HashMap<String, Fetch>>>,
    hints: Hints,
}

impl Drop for SaysDone {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(self.image.clone(), Fetch::Done);
        drop(known);
        self.hints.send(Hint::Queued);
    }
}

impl ImageGate {
    pub(crate) fn new(engine: Arc<dyn Engine>, hints: Hints) -> Self {
        Self { engine, hints, known: Arc::default() }
    }

    /// Whether a job of this processor may be claimed; starts fetching its image if not.
    pub(crate) fn open(&self, processor: &Processor) -> bool {
        if self.engine.images().is_none() || processor.pull == Pull::Never {
            return true;
        }
        let image = processor.image.clone();
        match self.known().get(&image) {
            Some(Fetch::Done) => return true,
            Some(Fetch::UnderWay) => return false,
            None => {}
        }
        self.known().insert(image.clone(), Fetch::UnderWay);
        let (engine, hints, known) =
            (Arc::clone(&self.engine), self.hints.clone(), Arc::clone(&self.known));
        let (pull, name) = (processor.pull, image.clone());
        tokio::spawn(async move {
            // Done is said however the try ends: nobody else would ever fetch it.
            let _done = SaysDone { image: name, known, hints };
            let said = |words: String| tracing::debug!("{words}");
            if let Some(images) = engine.images()
                && let Err(error) = images.ensure(&image, pull, &said).await
            {
                tracing::warn!(image, %error, "could not fetch an image");
            }
        });
        false
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
