//! Deterministic random numbers and hashes for tests, so that a failure can be repeated.

/// A small generator with its seed in the source.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51afd7ed558ccd);
        mixed ^ mixed >> 33
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A hash of `bytes` bytes.
    pub fn hash(&mut self, bytes: usize) -> Vec<u8> {
        // Dark, bright and mixed ones: equal and nearly equal hashes must occur.
        match self.below(4) {
            0 => vec![0; bytes],
            1 => vec![255; bytes],
            _ => (0..bytes).map(|_| self.next() as u8).collect(),
        }
    }

    /// A copy with some bits flipped.
    pub fn near(&mut self, hash: &[u8]) -> Vec<u8> {
        let mut copy = hash.to_vec();
        for _ in 0..self.below(12) {
            let bit = self.below(hash.len() as u64 * 8) as usize;
            copy[bit / 8] ^= 0x80 >> (bit % 8);
        }
        copy
    }
}
