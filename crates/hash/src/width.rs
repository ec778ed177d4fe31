//! The widths of a hash: the only place with the limits.

/// Narrowest hash, in bits.
pub const MIN_BITS: usize = 8;
/// Widest hash, in bits. pgvector's `bit` index stops at 64,000, FAISS has no limit; no perceptual hash in use is
/// wider than 1024, and 512 bytes stay far under the size at which Postgres would move a value out of its row.
pub const MAX_BITS: usize = 4096;
/// Widest hash, in bytes.
pub const MAX_BYTES: usize = MAX_BITS / 8;

/// A number of bits or bytes that no hash has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WidthError {
    /// Not a multiple of 8, or outside of [`MIN_BITS`]..=[`MAX_BITS`].
    #[error("a hash has 8 to 4096 bits, in steps of 8, not {0}")]
    Bits(i64),
    /// Not in 1..=[`MAX_BYTES`].
    #[error("a hash has 1 to 512 bytes, not {0}")]
    Bytes(usize),
}

/// Checks a width given in bits and returns it.
pub fn check_bits(bits: i64) -> Result<usize, WidthError> {
    match usize::try_from(bits) {
        Ok(width) if (MIN_BITS..=MAX_BITS).contains(&width) && width.is_multiple_of(8) => Ok(width),
        _ => Err(WidthError::Bits(bits)),
    }
}

/// Checks that `bytes` can be a hash and returns its width in bits.
pub fn check_bytes(bytes: &[u8]) -> Result<usize, WidthError> {
    if (1..=MAX_BYTES).contains(&bytes.len()) { Ok(bytes.len() * 8) } else { Err(WidthError::Bytes(bytes.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_no_other() {
        let accepted: Vec<i64> = (-16..5000).filter(|&bits| check_bits(bits).is_ok()).collect();
        assert_eq!(accepted, (8..=4096).step_by(8).collect::<Vec<i64>>());
        assert_eq!(check_bits(i64::MIN), Err(WidthError::Bits(i64::MIN)));
        assert_eq!(check_bytes(&[]), Err(WidthError::Bytes(0)));
        assert_eq!(check_bytes(&[0; 512]), Ok(4096));
        assert_eq!(check_bytes(&[0; 513]), Err(WidthError::Bytes(513)));
    }
}
