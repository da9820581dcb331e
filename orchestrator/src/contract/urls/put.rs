//! One output on its way in: its place in the row first, then its bytes, then what they are.
//!
//! Dropped at any moment before its last byte, it leaves nothing. After its last byte it is seen
//! through by a task that nobody can hang up on: a row that might name a blob is never left to guess
//! whether the blob is there.

use std::sync::Arc;

use bytes::Bytes;
use fileyard_storage::{
    StoreError,
    attempt::{AttemptEvent, Gift, Stored},
    blob::{BlobError, BlobWriter, Digest, content_type},
    failpoint,
    job::Place,
};
use futures::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    desk::{CUT, Desk, DeskError, Sent},
    name,
};
use crate::contract::AttemptRows;

/// After how many bytes the disk's room is looked at again.
const LOOK_EVERY: u64 = 16 << 20;

/// What a request says of an output before its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Its path below the output address, decoded.
    pub name: &'a str,
    /// How many bytes will come, where that was said.
    pub size: Option<u64>,
    /// Their digest, where that was said.
    pub sha256: Option<Digest>,
}

impl Put<'_> {
    pub(super) async fn take<E>(
        self,
        desk: &Desk,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, Sent<E>> {
        let closed = desk.0.open.closed.clone();
        let coming = tokio::select! {
            biased;
            () = closed.cancelled() => return Err(DeskError::NotAdmitted(CUT).into()),
            coming = self.receive(desk, body) => coming?,
        };
        let stored = tokio::spawn(coming.finish(self.sha256)).await;
        let died = |_| Err(desk.unavailable("an output's task ended early".into()));
        Ok(stored.unwrap_or_else(died)?)
    }

    async fn receive<E>(
        self,
        desk: &Desk,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Coming, Sent<E>> {
        name::check(self.name).map_err(DeskError::BadName)?;
        let turn = Arc::clone(&desk.0.open.turns).acquire_owned().await.ok();
        let mut coming = Coming::begin(desk, self, turn).await?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = coming.listen(body.next()).await? {
            coming.write(bytes.map_err(Sent::Body)?).await?;
        }
        Ok(coming)
    }
}

/// An output of which bytes come.
struct Coming {
    desk: Desk,
    name: String,
    /// Its number in the tally.
    which: u64,
    size: u64,
    /// Until it is stored or taken back.
    at: Option<(Place, BlobWriter)>,
    /// Keeps the desk from being closed before that.
    at_work: TaskTrackerToken,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Coming {
    async fn begin(
        desk: &Desk,
        put: Put<'_>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, DeskError> {
        desk.must_have_room()?;
        let begun = desk.tally().begin(put.name, put.size.unwrap_or(0));
        let which = match begun {
            Ok(which) => which,
            Err(words) => return Err(desk.over(words).await),
        };
        let (desk, name, at_work) = (desk.clone(), put.name.to_owned(), desk.0.open.puts.token());
        let mut coming = Self { desk, name, which, size: 0, at: None, at_work, _turn: turn };
        let row = coming.desk.give(Gift::Begin { name: put.name.to_owned() }).await?;
        failpoint::hit("put-begun");
        let it = &coming.desk.0;
        let place = Place { fence: it.fence, index: row.given.begun.saturating_sub(1) };
        let key = row.output_key(place);
        let (store, job, attempt) = (Arc::clone(&it.store), it.id.job, it.id.attempt);
        let recorder = AttemptRows { store, job, attempt, key: key.clone() };
        // The size decides how large its parts are.
        let most = put.size.unwrap_or_else(|| coming.desk.tally().most());
        let writer = it.blobs.upload(key, most, Arc::new(recorder));
        coming.at = Some((place, writer));
        Ok(coming)
    }

    /// Waits for `next`, the program's bytes, once there is memory for them: for as long as that
    /// takes, as it has its turn. It has that of the uploads, because a program may stop sending as
    /// any client may, and what is collected from `/out` is not to wait for it.
    async fn listen<T>(&mut self, next: impl Future<Output = T>) -> Result<T, DeskError> {
        let Some((_, writer)) = &mut self.at else { return Ok(next.await) };
        writer.listen(next).await.map_err(|error| self.desk.store_failed(&error))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), DeskError> {
        let before = self.size;
        self.size += bytes.len() as u64;
        let more = self.desk.tally().more(self.which, bytes.len() as u64);
        if let Err(words) = more {
            return Err(self.desk.over(words).await);
        }
        if before / LOOK_EVERY != self.size / LOOK_EVERY {
            self.desk.must_have_room()?;
        }
        let Some((_, writer)) = &mut self.at else { return Ok(()) };
        writer.write(bytes).await.map_err(|error| self.desk.store_failed(&error))
    }

    async fn finish(mut self, announced: Option<Digest>) -> Result<Stored, DeskError> {
        let Some((place, writer)) = self.at.take() else {
            return Err(self.desk.unavailable("an output was finished before it began".into()));
        };
        let stored = match writer.finish().await {
            Ok(written) => Stored {
                content_type: content_type(written.sniffed.as_deref(), &self.name),
                size: written.size,
                sha256: written.sha256,
            },
            Err(error) => {
                self.desk.forget(place).await;
                return Err(self.desk.store_failed(&error));
            }
        };
        failpoint::hit("put-stored");
        if let Some(announced) = announced.filter(|announced| *announced != stored.sha256) {
            self.desk.remove(place).await;
            self.desk.forget(place).await;
            return Err(DeskError::OtherDigest { announced, got: stored.sha256 });
        }
        match self.desk.give(Gift::Store { index: place.index, stored: stored.clone() }).await {
            Ok(_) => {}
            Err(error @ DeskError::NotAdmitted(_)) => {
                self.desk.remove(place).await;
                return Err(error);
            }
            // The row may name it or not: if not, it goes with its attempt.
            Err(error) => return Err(error),
        }
        failpoint::hit("put-recorded");
        let unnamed = self.desk.tally().stored(self.which, place);
        if let Some(place) = unnamed {
            self.desk.remove(place).await;
        }
        Ok(stored)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.desk.tally().broke_off(self.which);
        let Some((place, writer)) = self.at.take() else { return };
        let (desk, at_work) = (self.desk.clone(), self.at_work.clone());
        tokio::spawn(async move {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%error, "an output that broke off could not be taken back yet");
            }
            desk.forget(place).await;
            drop(at_work);
        });
    }
}

impl Desk {
    /// Frees a place in which nothing is. Refused once the attempt is over, and then it goes with it.
    async fn forget(&self, place: Place) {
        let event =
            AttemptEvent::Give { fence: self.0.fence, gift: Gift::Drop { index: place.index } };
        let id = self.0.id;
        match self.0.store.apply_to_attempt(id.job, id.attempt, event).await {
            Ok(_) | Err(StoreError::Refused(_) | StoreError::NotFound(_)) => {}
            Err(error) => tracing::warn!(%error, "an output that broke off is still in its row"),
        }
    }

    /// What stays because of an error is removed with the attempt: no row names it.
    async fn remove(&self, place: Place) {
        let it = &self.0;
        let key = place.key(&it.job.asked.tenant, it.id.job, it.id.attempt);
        if let Err(error) = it.blobs.delete(&key).await {
            tracing::warn!(%error, "an output that nobody needs is still there");
        }
    }

    fn store_failed(&self, error: &BlobError) -> DeskError {
        match error {
            BlobError::NoSpace(words) => self.disk_full(words.clone()),
            BlobError::Slow => self.slow(error.to_string()),
            // The row does not take it any more: an end, not a failure of the store.
            BlobError::Row(StoreError::Refused(_)) => DeskError::NotAdmitted(CUT),
            error => self.unavailable(error.to_string()),
        }
    }
}
