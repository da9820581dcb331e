//! Uploads in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    StoreError,
    clock::Timestamp,
    id::UploadId,
    idempotency::Settling,
    job::Job,
    upload::{Arrival, Upload, UploadEvent, UploadState, UploadStore},
};

#[async_trait]
impl UploadStore for MemoryStore {
    async fn begin(&self, upload: Upload) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if tables.uploads.contains_key(&upload.id) {
            return Err(StoreError::Conflict(format!("upload {}", upload.id)));
        }
        let reserved = tables.uploads.values().any(|other| other.job == upload.job);
        if reserved || tables.jobs.contains_key(&upload.job) {
            return Err(StoreError::Conflict(format!("job {}", upload.job)));
        }
        if let Some(claim) = &upload.claim
            && let Some(row) = claim.on(tables.keys.get(&claim.key), upload.created_at)?
        {
            tables.keys.insert(claim.key.clone(), row);
        }
        tables.uploads.insert(upload.id, upload);
        Ok(())
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        Ok(self.tables().uploads.get(&id).cloned())
    }

    async fn apply_to_upload(
        &self,
        id: UploadId,
        event: UploadEvent,
        now: Timestamp,
    ) -> Result<Upload, StoreError> {
        let mut tables = self.tables();
        let upload = tables.uploads.get(&id).ok_or_else(|| unknown(id))?;
        let upload = upload.apply_alone(&event, now)?;
        if let (UploadEvent::Abandon, Some(claim)) = (&event, &upload.claim)
            && tables.keys.get(&claim.key).is_some_and(|row| row.is_claimed_by(claim.by))
        {
            tables.keys.remove(&claim.key);
        }
        tables.uploads.insert(id, upload.clone());
        Ok(upload)
    }

    async fn complete(
        &self,
        arrivals: Vec<Arrival>,
        settling: Option<Settling>,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        let mut tables = self.tables();
        let key = match &settling {
            Some(it) => Some(it.on(tables.keys.get(&it.claim.key), &arrivals, now)?),
            None => None,
        };
        // Beside the table, so that a late refusal leaves nothing behind; first, so that an upload
        // that is named twice is complete the second time.
        let mut landed = BTreeMap::new();
        let mut jobs = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let id = arrival.upload;
            let upload = landed.get(&id).or_else(|| tables.uploads.get(&id));
            let (upload, job) = arrival.land(upload.ok_or_else(|| unknown(id))?, now)?;
            landed.insert(id, upload);
            jobs.push(job);
        }
        tables.keys.extend(key.map(|row| (row.key.clone(), row)));
        tables.uploads.extend(landed);
        tables.jobs.extend(jobs.iter().map(|job| (job.id(), job.clone())));
        Ok(jobs)
    }

    async fn receiving(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        let tables = self.tables();
        let receiving = tables
            .uploads
            .values()
            .filter(|upload| matches!(upload.state, UploadState::Receiving { .. }));
        Ok(receiving.take(limit).cloned().collect())
    }

    async fn abandoned(&self, limit: usize) -> Result<Vec<Upload>, StoreError> {
        let mut abandoned: Vec<_> = self
            .tables()
            .uploads
            .values()
            .filter_map(|upload| match upload.state {
                UploadState::Abandoned { at, .. } => Some((at, upload.clone())),
                _ => None,
            })
            .collect();
        abandoned.sort_by_key(|(at, _)| *at);
        abandoned.truncate(limit);
        Ok(abandoned.into_iter().map(|(_, upload)| upload).collect())
    }

    async fn forget_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let abandoned = |upload: &Upload| matches!(upload.state, UploadState::Abandoned { .. });
        if tables.uploads.get(&id).is_some_and(abandoned) {
            tables.uploads.remove(&id);
        }
        Ok(())
    }
}

fn unknown(id: UploadId) -> StoreError {
    StoreError::NotFound(format!("upload {id}"))
}
