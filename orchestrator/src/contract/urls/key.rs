//! The key that tokens are signed with: made once, in the data directory, for nobody else to read.
//!
//! It is kept because a container outlives a server: the addresses in its environment are good
//! after a restart. It is never logged, and never leaves this process in any other form than a
//! signature.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rand::RngCore;

const FILE: &str = "urls.key";
const SIZE: usize = 32;

/// Signs tokens.
#[derive(Clone)]
pub struct Key([u8; SIZE]);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Others may read or change it.
    #[error(
        "{} can be read by other users (its mode is {mode:03o}), and whoever has it can speak for \
         every container: run `chmod 600` on it, or remove it, and a new one is made", path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's, or no key.
    #[error("{} is not a key of this user's fileyard ({what}); remove it, and a new one is made", path.display())]
    Strange {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It can not be read or made.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Key {
    /// The key in this data directory, made where there is none. The directory's lock must be held.
    ///
    /// # Errors
    /// [`KeyError`], with what to do.
    pub fn load(data: &Path) -> Result<Self, KeyError> {
        let path = data.join(FILE);
        let io = |error| KeyError::Io { path: path.clone(), error };
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = match OpenOptions::new().read(true).custom_flags(no_follow).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return make(data, &path).map_err(io);
            }
            opened => opened.map_err(io)?,
        };
        let found = file.metadata().map_err(io)?;
        let strange = |what| KeyError::Strange { path: path.clone(), what };
        if !found.is_file() {
            return Err(strange("it is not a file"));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(strange("it belongs to another user"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(KeyError::Open { path, mode: found.mode() & 0o777 });
        }
        let mut key = [0; SIZE];
        if found.len() != SIZE as u64 || file.read_exact(&mut key).is_err() {
            return Err(strange("it is not 32 bytes long"));
        }
        Ok(Self(key))
    }

    /// A key that nobody has.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; SIZE];
        rand::rng().fill_bytes(&mut key);
        Self(key)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// It has its name only once it is whole and durable.
fn make(data: &Path, path: &Path) -> io::Result<Key> {
    let (key, part) = (Key::new(), path.with_extension("key.part"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&key.0)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(data)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_nobody_else() {
        let data = tempfile::tempdir().unwrap();
        let key = Key::load(data.path()).unwrap();
        assert_eq!(Key::load(data.path()).unwrap().0, key.0);
        let path = data.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Key::load(other.path()).unwrap().0, key.0);
        assert_eq!(format!("{key:?}"), "Key(..)");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused_with_the_fix() {
        let data = tempfile::tempdir().unwrap();
        Key::load(data.path()).unwrap();
        let path = data.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let told = Key::load(data.path()).unwrap_err().to_string();
        assert!(told.contains("mode is 640") && told.contains("chmod 600"), "{told}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        let told = Key::load(data.path()).unwrap_err().to_string();
        assert!(told.contains("32 bytes") && told.contains("remove it"), "{told}");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(matches!(Key::load(data.path()), Err(KeyError::Io { .. })));
    }
}
