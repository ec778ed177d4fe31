//! Hashes as rows of `u64`: how the kernels, the bulk search and the index hold many of them.
//!
//! Word 0 holds the first eight bytes as a big-endian number, and so on; a last word that is not full is padded
//! with zero bits on its right. The order of rows is then the order of hashes, and padding never adds distance.

/// Words that a hash of `bits` bits takes.
pub const fn words_for(bits: usize) -> usize {
    bits.div_ceil(64)
}

/// Writes a hash into `row`, which must have [`words_for`] its width.
pub fn pack(hash: &[u8], row: &mut [u64]) {
    debug_assert_eq!(row.len(), words_for(hash.len() * 8));
    for (word, chunk) in row.iter_mut().zip(hash.chunks(8)) {
        *word = word_of(chunk);
    }
}

/// Writes the first `hash.len()` bytes of a row back.
pub fn unpack(row: &[u64], hash: &mut [u8]) {
    for (word, chunk) in row.iter().zip(hash.chunks_mut(8)) {
        chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
    }
}

/// At most eight bytes as a word, padded on the right.
#[inline]
pub fn word_of(chunk: &[u8]) -> u64 {
    match <[u8; 8]>::try_from(chunk) {
        Ok(bytes) => u64::from_be_bytes(bytes),
        Err(_) => {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_keep_bytes_and_order(a in prop::collection::vec(any::<u8>(), 1..=40), seed in any::<u8>()) {
            let b: Vec<u8> = a.iter().map(|byte| byte ^ (seed & byte)).collect();
            let row = |hash: &[u8]| {
                let mut row = vec![0; words_for(hash.len() * 8)];
                pack(hash, &mut row);
                row
            };
            let mut back = vec![0; a.len()];
            unpack(&row(&a), &mut back);
            prop_assert_eq!(&back, &a);
            prop_assert_eq!(row(&a).cmp(&row(&b)), a.cmp(&b));
        }
    }
}
