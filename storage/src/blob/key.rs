//! The key of a blob: an enum whose variants own their paths.

use serde::{Deserialize, Serialize};

use crate::id::{AttemptNo, Fence, JobId, Tenant, UploadId};

/// Which blob.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "blob", rename_all = "snake_case")]
pub enum BlobKey {
    /// Names the install whose store this is.
    Marker,
    /// Written and removed when a store is probed.
    Probe,
    /// An upload's bytes.
    Input {
        /// Whose.
        tenant: Tenant,
        /// Which.
        upload: UploadId,
    },
    /// A file that a container gave back. Attempt and fence are in the key, so that an owner that
    /// lost its job can not overwrite what its successor stored.
    Output {
        /// Whose.
        tenant: Tenant,
        /// Of which job.
        job: JobId,
        /// Of which attempt.
        attempt: AttemptNo,
        /// Stored by which owner.
        fence: Fence,
        /// Its place in the manifest.
        index: u32,
    },
    /// An attempt's log.
    Log {
        /// Whose.
        tenant: Tenant,
        /// Of which job.
        job: JobId,
        /// Of which attempt.
        attempt: AttemptNo,
        /// Stored by which owner.
        fence: Fence,
    },
}

impl BlobKey {
    /// Its path below the store's prefix: ASCII, without a leading slash.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Marker => "fileyard-install.json".into(),
            Self::Probe => "fileyard-probe".into(),
            Self::Input { tenant, upload } => format!("{tenant}/uploads/{upload}"),
            Self::Output { tenant, job, attempt, fence, index } => {
                format!("{tenant}/jobs/{job}/{attempt}-{fence}/out/{index}")
            }
            Self::Log { tenant, job, attempt, fence } => {
                format!("{tenant}/jobs/{job}/{attempt}-{fence}/log")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_own_ascii_path() {
        let (tenant, job) = (Tenant::default(), JobId::from_u128(7));
        let (attempt, fence) = (AttemptNo(2), Fence(3));
        let keys = [
            BlobKey::Marker,
            BlobKey::Probe,
            BlobKey::Input { tenant: tenant.clone(), upload: UploadId::from_u128(7) },
            BlobKey::Output { tenant: tenant.clone(), job, attempt, fence, index: 4 },
            BlobKey::Log { tenant, job, attempt, fence },
        ];
        let paths: Vec<_> = keys.iter().map(BlobKey::path).collect();
        insta::assert_snapshot!(paths.join("\n"));
        assert!(paths.iter().all(|path| path.is_ascii() && !path.starts_with('/')));
    }
}
