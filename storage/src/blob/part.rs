//! How a blob is cut: pieces of 256 KiB on their way through a writer, and parts of a multipart
//! upload made of whole pieces.

/// One mebibyte, as sizes are counted here.
pub(super) const MIB: u64 = 1 << 20;

/// What a writer hands on at once, at most. Every piece of a part but its last is of this size.
pub(super) const PIECE: usize = 256 << 10;

/// S3 takes no more of them for one blob.
pub(super) const MAX_PARTS: u64 = 10_000;

/// S3 takes no smaller ones, but for the last.
pub(super) const MIN_PART: u64 = 5 * MIB;

/// The size of every part but the last of a blob of at most `max_size` bytes: `wanted`, or as much
/// more as lets [`MAX_PARTS`] hold the blob. It is chosen before the first byte and stays, because
/// R2 wants all parts but the last of one size.
pub(super) fn part_size(wanted: u64, max_size: u64) -> u64 {
    wanted.max(max_size.div_ceil(MAX_PARTS)).next_multiple_of(MIB)
}

/// How many pieces hold so many bytes.
pub(super) fn pieces(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(PIECE as u64)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_so_that_ten_thousand_hold_the_upload() {
        assert_eq!(part_size(8 * MIB, 10 << 30), 8 * MIB);
        assert_eq!(part_size(8 * MIB, 80_000 * MIB), 8 * MIB);
        assert_eq!(part_size(8 * MIB, 80_000 * MIB + 1), 9 * MIB);
        assert_eq!(part_size(8 * MIB, 5 << 40), 525 * MIB);
        for max in [1, 5 << 40, u64::from(u32::MAX) * 77] {
            let size = part_size(5 * MIB, max);
            assert!(size * MAX_PARTS >= max && size.is_multiple_of(MIB));
        }
    }
}
