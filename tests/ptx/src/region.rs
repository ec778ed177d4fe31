//! Bytes, with a flag for each whether it was written. Device allocations, shared and local memory are regions.
//!
//! Bytes are stored XOR-ed with [`STALE`], so that fresh memory is zeros, which take no memory until they are written:
//! a program may allocate far more than it uses.
//!
//! Accesses of a value are aligned to its size, at most 8 bytes, and inside the region: the callers check.

/// What a byte holds before anything is written to it.
pub const STALE: u8 = 0xA5;

/// Eight such bytes.
const STALE_WORD: u64 = u64::from_ne_bytes([STALE; 8]);

/// Some bytes of memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Region {
    /// XOR-ed with [`STALE`].
    bytes: Vec<u8>,
    /// A bit a byte.
    written: Vec<u8>,
}

impl Region {
    /// Of `length` bytes, none of them written.
    pub(crate) fn new(length: usize) -> Self {
        Self { bytes: vec![0; length], written: vec![0; length.div_ceil(8)] }
    }

    /// Resets it to its initial state.
    pub(crate) fn clear(&mut self) {
        self.bytes.fill(0);
        self.written.fill(0);
    }

    /// Makes bytes unwritten.
    pub(crate) fn forget(&mut self, range: std::ops::Range<usize>) {
        for at in range {
            self.bytes[at] = 0;
            self.written[at / 8] &= !(1 << (at % 8));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all of `size` (1, 2, 4 or 8) aligned bytes were written.
    #[inline(always)]
    pub(crate) fn is_written(&self, at: usize, size: usize) -> bool {
        let bits = ((1u16 << size) - 1) as u8;
        self.written[at / 8] >> (at % 8) & bits == bits
    }

    /// Whether all of a range was written.
    pub(crate) fn range_is_written(&self, range: std::ops::Range<usize>) -> bool {
        range.into_iter().all(|at| self.written[at / 8] >> (at % 8) & 1 == 1)
    }

    /// A little-endian value of `size` (1, 2, 4 or 8) bytes.
    #[inline(always)]
    pub(crate) fn load(&self, at: usize, size: usize) -> u64 {
        let bytes = &self.bytes[at..at + size];
        let value = match *bytes {
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            _ => bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        value ^ STALE_WORD >> (64 - 8 * size)
    }

    /// Writes the low `size` (1, 2, 4 or 8) bytes of `value`.
    #[inline(always)]
    pub(crate) fn store(&mut self, at: usize, size: usize, value: u64) {
        self.bytes[at..at + size].copy_from_slice(&(value ^ STALE_WORD).to_le_bytes()[..size]);
        self.written[at / 8] |= (((1u16 << size) - 1) as u8) << (at % 8);
    }

    pub(crate) fn bytes(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        self.bytes[range].iter().map(|byte| byte ^ STALE).collect()
    }

    /// Writes bytes.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.bytes[at..].iter_mut().zip(bytes) {
            *to = from ^ STALE;
        }
        self.mark(at..at + bytes.len());
    }

    /// Writes the same byte everywhere in a range.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, byte: u8) {
        self.bytes[range.clone()].fill(byte ^ STALE);
        self.mark(range);
    }

    fn mark(&mut self, range: std::ops::Range<usize>) {
        let (first, last) = (range.start.div_ceil(8), range.end / 8);
        if first >= last {
            range.into_iter().for_each(|at| self.written[at / 8] |= 1 << (at % 8));
            return;
        }
        self.written[first..last].fill(255);
        for at in (range.start..first * 8).chain(last * 8..range.end) {
            self.written[at / 8] |= 1 << (at % 8);
        }
    }

    /// Copies a range of another region, unwritten bytes as unwritten ones.
    pub(crate) fn copy_from(&mut self, at: usize, from: &Self, range: std::ops::Range<usize>) {
        let start = range.start;
        self.write(at, &from.bytes(range.clone()));
        for byte in range.filter(|byte| !from.range_is_written(*byte..byte + 1)) {
            let to = at + byte - start;
            self.written[to / 8] &= !(1 << (to % 8));
        }
    }
}
