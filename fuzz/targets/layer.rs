//! Fuzzes the reading and unpacking of layers: whatever a tar says, the store takes it whole or has
//! nothing of it, nothing beside the store changes, and nothing panics.
//!
//! Headers get the checksum that they want: otherwise hardly any input would come further than that.
#![no_main]
#![allow(missing_docs)]

mod yard;

use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 512;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;

fuzz_target!(|data: &[u8]| {
    yard::yard().imports(&with_checksums(data), Some("fuzz:layer"), |image| {
        assert_eq!(image.references, ["fuzz:layer"]);
    });
});

fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut tar = data.to_vec();
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = header[SIZE].iter().take_while(|byte| matches!(byte, b'0'..=b'7'));
        let size = digits.fold(0_usize, |size, digit| (size << 3) | usize::from(digit - b'0'));
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
    tar
}
