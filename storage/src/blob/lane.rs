//! Work that blocks (hashing, writing a file), one step after the other, off the async threads.

use tokio::task::{JoinHandle, spawn_blocking};

use super::BlobError;

/// A value whose steps run on the blocking pool. One step runs while the caller prepares the next:
/// that is all that is ever in flight. Dropping a lane lets its step end and drops the value.
pub(super) struct Lane<T> {
    place: Place<T>,
}

enum Place<T> {
    Here(T),
    Away(JoinHandle<(T, Result<(), BlobError>)>),
    /// A step failed: it was said once, and the value is gone.
    Gone,
}

impl<T: Send + 'static> Lane<T> {
    pub(super) fn new(value: T) -> Self {
        Self { place: Place::Here(value) }
    }

    /// Waits for the step before, then begins this one.
    pub(super) async fn run(
        &mut self,
        step: impl FnOnce(&mut T) -> Result<(), BlobError> + Send + 'static,
    ) -> Result<(), BlobError> {
        let mut value = self.take().await?;
        self.place = Place::Away(spawn_blocking(move || {
            let done = step(&mut value);
            (value, done)
        }));
        Ok(())
    }

    /// Waits for the step before and gives the value back.
    pub(super) async fn take(&mut self) -> Result<T, BlobError> {
        if let Place::Away(step) = &mut self.place {
            // By reference, so that a caller that is dropped here loses nothing.
            let (value, done) = step.await.map_err(|error| BlobError::died(&error))?;
            self.place = Place::Gone;
            done.map(|()| value)
        } else {
            match std::mem::replace(&mut self.place, Place::Gone) {
                Place::Here(value) => Ok(value),
                _ => Err(BlobError::Unavailable("an earlier step of this blob failed".into())),
            }
        }
    }
}
