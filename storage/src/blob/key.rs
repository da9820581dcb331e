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
                format!("{}/{attempt}-{fence}/out/{index}", Self::job_dir(tenant, *job))
            }
            Self::Log { tenant, job, attempt, fence } => {
                format!("{}/{attempt}-{fence}/log", Self::job_dir(tenant, *job))
            }
        }
    }

    /// The key that has this path, if there is one.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let owner = |text: &str| {
            let (attempt, fence) = text.split_once('-')?;
            Some((AttemptNo(attempt.parse().ok()?), Fence(fence.parse().ok()?)))
        };
        let tenant = |text: &str| text.parse::<Tenant>().ok();
        let parts: Vec<_> = path.split('/').collect();
        let key = match parts[..] {
            ["fileyard-install.json"] => Self::Marker,
            ["fileyard-probe"] => Self::Probe,
            [whose, "uploads", upload] => {
                Self::Input { tenant: tenant(whose)?, upload: upload.parse().ok()? }
            }
            [whose, "jobs", job, by, "log"] => {
                let (attempt, fence) = owner(by)?;
                Self::Log { tenant: tenant(whose)?, job: job.parse().ok()?, attempt, fence }
            }
            [whose, "jobs", job, by, "out", index] => {
                let ((attempt, fence), index) = (owner(by)?, index.parse().ok()?);
                let (tenant, job) = (tenant(whose)?, job.parse().ok()?);
                Self::Output { tenant, job, attempt, fence, index }
            }
            _ => return None,
        };
        // A number has many spellings, a key one path.
        (key.path() == path).then_some(key)
    }

    /// The directory of everything that is stored for a job.
    pub(super) fn job_dir(tenant: &Tenant, job: JobId) -> String {
        format!("{tenant}/jobs/{job}")
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
        for (key, path) in keys.iter().zip(&paths) {
            assert_eq!(BlobKey::parse(path).as_ref(), Some(key));
            assert_eq!(BlobKey::parse(&format!("{path}0x")), None);
            assert_eq!(BlobKey::parse(&format!("x/{path}")), None);
        }
        assert_eq!(BlobKey::parse(&paths[3].replace("2-3", "02-3")), None);
    }
}
