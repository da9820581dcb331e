//! The room that is left on this machine's disk, and the reserve below which nothing new begins.

use std::path::PathBuf;

/// A directory's file system with its reserve.
#[derive(Debug, Clone)]
pub struct Disk {
    dir: PathBuf,
    reserve: u64,
}

impl Disk {
    /// The file system of `dir`, of which `reserve` bytes are to stay free.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, reserve: u64) -> Self {
        Self { dir: dir.into(), reserve }
    }

    /// What is wrong, for a person, while less than the reserve is free.
    ///
    /// A disk that can not be asked is one that can not be trusted with anything new.
    #[must_use]
    pub fn low(&self) -> Option<String> {
        let dir = self.dir.display();
        match self.free() {
            Ok(free) => {
                let (free_mib, reserve) = (free >> 20, self.reserve >> 20);
                (free < self.reserve).then(|| {
                    format!("{free_mib} MiB are free on the disk of {dir}, and {reserve} MiB are kept (min_free)")
                })
            }
            Err(error) => Some(format!("the disk of {dir} can not be asked for its room: {error}")),
        }
    }
}

impl Disk {
    /// Whether what runs has to make room: less than an eighth of the reserve is free.
    #[must_use]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.free().is_ok_and(|free| free < self.reserve / 8)
    }

    fn free(&self) -> Result<u64, rustix::io::Errno> {
        let disk = rustix::fs::statvfs(&self.dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_below_its_reserve_or_when_it_can_not_be_asked() {
        let dir = std::env::temp_dir();
        assert_eq!(Disk::new(&dir, 0).low(), None);
        let said = Disk::new(&dir, u64::MAX).low();
        assert!(said.is_some_and(|said| said.contains("are kept (min_free)")));
        let said = Disk::new("/nowhere/at/all", 0).low();
        assert!(said.is_some_and(|said| said.contains("can not be asked")));
    }
}
