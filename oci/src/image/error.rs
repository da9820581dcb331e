//! Why an image could not be had, and whether asking again may help.

use std::{fmt::Display, io};

use rustix::io::Errno;

/// Why something with an image did not work. Each says what was wrong with which input, and what to
/// do where that is not plain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The image or the request for it is at fault, and will be the next time.
    #[error("{0}")]
    Image(String),
    /// There is no such image, here or in its registry.
    #[error("{0}")]
    NotFound(String),
    /// The disk has no room for it.
    #[error("{0}")]
    NoSpace(String),
    /// The machine, the network or a registry is in trouble, which may pass.
    #[error("{0}")]
    Passing(String),
}

/// What an [`ImageError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The image or the request, for good.
    Image,
    /// There is no such image.
    NotFound,
    /// The disk.
    NoSpace,
    /// Something that may pass.
    Passing,
}

impl ImageError {
    /// What it is about.
    pub fn kind(&self) -> Fault {
        match self {
            Self::Image(_) => Fault::Image,
            Self::NotFound(_) => Fault::NotFound,
            Self::NoSpace(_) => Fault::NoSpace,
            Self::Passing(_) => Fault::Passing,
        }
    }

    /// The same, with what it happened to before it.
    pub(super) fn of(self, what: impl Display) -> Self {
        match self {
            Self::Image(why) => Self::Image(format!("{what}: {why}")),
            Self::NotFound(why) => Self::NotFound(format!("{what}: {why}")),
            Self::NoSpace(why) => Self::NoSpace(format!("{what}: {why}")),
            Self::Passing(why) => Self::Passing(format!("{what}: {why}")),
        }
    }
}

impl From<io::Error> for ImageError {
    fn from(error: io::Error) -> Self {
        // What a reader of ours found out travels through others' readers.
        if let Some(inner) = error.get_ref().and_then(|it| it.downcast_ref::<Self>()) {
            return inner.clone();
        }
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT) => {
                let way_out = "the disk is full: make room, for instance with fileyard image prune";
                Self::NoSpace(way_out.into())
            }
            // What was asked of the file system can not be, on this machine or another.
            Some(Errno::NAMETOOLONG | Errno::MLINK) => Self::Image(error.to_string()),
            Some(Errno::PERM) => Self::Passing(format!("{error}: unpacking an image needs root")),
            Some(_) => Self::Passing(error.to_string()),
            // Not the machine's: who decoded it did not like what it read.
            None => Self::Image(error.to_string()),
        }
    }
}

/// Says what an error happened to.
pub(super) trait Context<T> {
    fn context<D: Display>(self, what: impl FnOnce() -> D) -> Result<T, ImageError>;
}

impl<T, E: Into<ImageError>> Context<T> for Result<T, E> {
    fn context<D: Display>(self, what: impl FnOnce() -> D) -> Result<T, ImageError> {
        self.map_err(|error| error.into().of(what()))
    }
}
