//! Work that blocks (hashing, writing a file), one step after the other, off the async threads.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::spawn_blocking};

use super::BlobError;

/// How many steps wait behind the one that runs.
const AHEAD: usize = 4;
/// So few of them are left when whoever waits to put one behind them is woken. A wake-up for each
/// would cost a tenth of hashing the step's piece.
const FEW: usize = 1;

/// A value whose steps run on the blocking pool, on one thread for as long as there are any: a
/// thread for each step would cost as much as the step, and one that waits for steps would be kept
/// by a client that sends none. Dropping a lane lets the step that runs end and drops the value.
pub(super) struct Lane<T>(Arc<Shared<T>>);

type Step<T> = Box<dyn FnOnce(&mut T) -> Result<(), BlobError> + Send>;

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Few steps are left, or the last one ended.
    moved: Notify,
}

struct State<T> {
    steps: VecDeque<Step<T>>,
    place: Place<T>,
}

enum Place<T> {
    Here(T),
    /// On a thread.
    Away,
    Failed(BlobError),
    /// It was taken, or a step failed and that was said once.
    Gone,
}

impl<T: Send + 'static> Lane<T> {
    pub(super) fn new(value: T) -> Self {
        let state = State { steps: VecDeque::new(), place: Place::Here(value) };
        Self(Arc::new(Shared { state: Mutex::new(state), moved: Notify::new() }))
    }

    /// Puts a step behind those before, waiting while there are enough of them.
    pub(super) async fn run(
        &mut self,
        step: impl FnOnce(&mut T) -> Result<(), BlobError> + Send + 'static,
    ) -> Result<(), BlobError> {
        let mut step: Option<Step<T>> = Some(Box::new(step));
        self.when(|state| {
            match mem::replace(&mut state.place, Place::Gone) {
                Place::Here(value) => {
                    state.steps.extend(step.take());
                    state.place = Place::Away;
                    return Some(Ok(Some(value)));
                }
                Place::Away => state.place = Place::Away,
                Place::Failed(error) => return Some(Err(error)),
                Place::Gone => return Some(Err(failed_before())),
            }
            (state.steps.len() < AHEAD).then(|| {
                state.steps.extend(step.take());
                Ok(None)
            })
        })
        .await
        .map(|idle| {
            if let Some(value) = idle {
                let shared = Arc::clone(&self.0);
                spawn_blocking(move || shared.work(value));
            }
        })
    }

    /// Waits for the steps before and gives the value back.
    pub(super) async fn take(&mut self) -> Result<T, BlobError> {
        self.when(|state| match mem::replace(&mut state.place, Place::Gone) {
            Place::Here(value) => Some(Ok(value)),
            Place::Failed(error) => Some(Err(error)),
            Place::Gone => Some(Err(failed_before())),
            Place::Away => {
                state.place = Place::Away;
                None
            }
        })
        .await
    }

    /// What `look` finds, as soon as it finds something. There is one caller at a time, which may
    /// be dropped while it waits.
    async fn when<R>(&self, mut look: impl FnMut(&mut State<T>) -> Option<R>) -> R {
        loop {
            if let Some(found) = look(&mut self.0.state()) {
                return found;
            }
            // A change between the look and this is kept by it.
            self.0.moved.notified().await;
        }
    }
}

impl<T> Shared<T> {
    /// Takes steps until there are none left. On a thread of the blocking pool.
    fn work(&self, mut value: T) {
        let mut end = End { shared: self, place: Some(Place::Failed(panicked())) };
        loop {
            let (step, left) = {
                let mut state = self.state();
                match state.steps.pop_front() {
                    Some(step) => (step, state.steps.len()),
                    None => {
                        end.place = None;
                        state.place = Place::Here(value);
                        drop(state);
                        self.moved.notify_one();
                        return;
                    }
                }
            };
            if left <= FEW {
                self.moved.notify_one();
            }
            if let Err(error) = step(&mut value) {
                end.place = Some(Place::Failed(error));
                // Before anybody hears of it: what the value holds is gone by then.
                drop(value);
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says how a thread's work ended, also when a step panicked.
struct End<'a, T> {
    shared: &'a Shared<T>,
    place: Option<Place<T>>,
}

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let mut state = self.shared.state();
            let steps = mem::take(&mut state.steps);
            state.place = place;
            drop(state);
            drop(steps);
            self.shared.moved.notify_one();
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        let steps = mem::take(&mut self.0.state().steps);
        drop(steps);
    }
}

fn failed_before() -> BlobError {
    BlobError::Unavailable("an earlier step of this blob failed".into())
}

fn panicked() -> BlobError {
    BlobError::Unavailable("a task of the store ended early".into())
}
