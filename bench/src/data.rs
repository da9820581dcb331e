//! The bytes of every file: one block of noise, over and over, so that making them costs nothing.
//!
//! The block's length divides into no piece or part of anybody's, so that two of those which were
//! stored in each other's place have another digest.

use sha2::{Digest, Sha256};

/// How much is sent, received or hashed at once.
pub(crate) const CHUNK: usize = 250_000;

/// The block's length; it stays in a core's cache.
pub(crate) const BLOCK: usize = 5 * CHUNK;

/// The block, the same in every run.
pub(crate) fn block() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        block.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    block
}

/// A file's bytes, chunk by chunk.
pub(crate) fn chunks(block: &[u8], size: u64) -> impl Iterator<Item = &[u8]> {
    let mut left = size;
    block.chunks(CHUNK).cycle().map_while(move |chunk| {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= n as u64;
        (n > 0).then(|| &chunk[..n])
    })
}

/// The SHA-256 of a file of that size, in hex.
pub(crate) fn digest(block: &[u8], size: u64) -> String {
    let mut hash = Sha256::new();
    chunks(block, size).for_each(|chunk| hash.update(chunk));
    hex(&hash.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_size_and_goes_on_where_the_block_ends() {
        let block = block();
        for size in [0, 1, CHUNK as u64, BLOCK as u64 + 5] {
            let file: Vec<u8> = chunks(&block, size).flatten().copied().collect();
            assert_eq!(file.len() as u64, size);
            assert_eq!(digest(&block, size), hex(&Sha256::digest(&file)));
        }
        let file: Vec<u8> = chunks(&block, BLOCK as u64 + 5).flatten().copied().collect();
        assert_eq!(file[BLOCK..], block[..5]);
    }
}
