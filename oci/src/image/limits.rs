//! How much an image may be. Generous: nobody who means well comes near, and who does not is stopped
//! long before the disk is full.

/// Bounds of what is unpacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one layer, before anybody compressed it.
    pub(super) layer_bytes: u64,
    /// Bytes of all layers of an image.
    pub(super) image_bytes: u64,
    /// A layer that unpacks to more than so many bytes, and to so many times of what it was, is made
    /// to fill a disk.
    pub(super) harmless_bytes: u64,
    pub(super) times: u64,
    /// Files, directories and the like in one layer.
    pub(super) entries: u64,
    /// Bytes of disk that stay free, whatever is unpacked.
    pub(super) keep_free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 32 << 30,
            image_bytes: 64 << 30,
            harmless_bytes: 1 << 30,
            times: 200,
            entries: 2_000_000,
            keep_free: 256 << 20,
        }
    }
}

/// How many directories within each other, so that removing them needs few descriptors.
pub(super) const MOST_DEPTH: usize = 128;
/// Bytes of a path.
pub(super) const MOST_PATH: usize = 4096;
/// Bytes of what a tar says about one entry beside its header: long names, attributes.
pub(super) const MOST_EXTENSION: u64 = 1 << 20;
/// How many names, times and attributes those are.
pub(super) const MOST_RECORDS: usize = 1000;
/// Bytes that all directories of one layer take in memory: they are kept until its end, for their
/// times.
pub(super) const MOST_DIRECTORIES: usize = 128 << 20;
/// Bytes of a manifest, an index or a config.
pub(super) const MOST_JSON: u64 = 8 << 20;
