//! Computes the memory for the Huffman codes of a lossless WebP picture.
//!
//! A picture may have up to 65,536 groups of five codes, each with tables of up to 100 kB, for some 60 bytes of input:
//! 4 MB become gigabytes. The number of groups is given by a small picture in the file (VP8L's "entropy image"), which
//! follows others of its kind. So those are decoded here as far as needed to find their ends, and the greatest group
//! number in them; their pixels are not kept. Errors in a picture are left to the decoder: if one cannot be read here,
//! the decoder stops at the same place.

use crate::error::PhotoError;
use crate::limits::Limits;

/// Symbols of the five codes of a group: green with the lengths of copies, red, blue, alpha, distances.
const SYMBOLS: [u16; 5] = [256 + 24, 256, 256, 256, 40];
/// The order in which the lengths of the code of code lengths are stored.
const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Bits of a code that the decoder looks up in a table; longer ones have a tree beside it.
const TABLE_BITS: usize = 10;
/// Bytes of a group without its tables, in a vector that doubles.
const GROUP: u64 = 3 * 280;
/// Bytes of tree nodes per long code: two nodes, and some in between.
const NODES: u64 = 4 * 16;
/// Pixels between two checks.
const STRIDE: u32 = 1 << 14;

/// Bytes that the decoder allocates for the codes of a picture of `width` times `height`, whose transforms begin at
/// `bytes`; stops early once that exceeds the limits. Errors: [`PhotoError::Cancelled`].
pub(super) fn memory(bytes: &[u8], (width, height): (u32, u32), limits: &Limits<'_>) -> Result<u64, PhotoError> {
    let mut reader = BitReader { bytes, position: 0, memory: 0, limits, cancelled: false };
    let read = reader.picture(width, height);
    if read.is_none() && reader.cancelled {
        return Err(PhotoError::Cancelled);
    }
    Ok(reader.memory)
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
    memory: u64,
    limits: &'a Limits<'a>,
    cancelled: bool,
}

/// A Huffman code: how many symbols have a length, and the symbols in the order of their codes.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[usize::from(length)] += 1);
        counts[0] = 0;
        let of = |wanted: u8| lengths.iter().enumerate().filter(move |(_, length)| **length == wanted);
        let symbols = (1..16).flat_map(|length| of(length).map(|(symbol, _)| symbol as u16)).collect();
        Code { counts, symbols }
    }

    /// What the decoder allocates for the code.
    fn memory(counts: &[u16; 16]) -> u64 {
        let longest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let long: u64 = counts[TABLE_BITS + 1..].iter().map(|&count| u64::from(count)).sum();
        (4 << longest.min(TABLE_BITS)) + NODES * long
    }
}

impl BitReader<'_> {
    fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for bit in 0..count {
            let byte = *self.bytes.get(self.position / 8)?;
            value |= u32::from(byte >> (self.position % 8) & 1) << bit;
            self.position += 1;
        }
        Some(value)
    }

    fn symbol(&mut self, code: &Code) -> Option<u16> {
        if let [only] = code.symbols[..] {
            return Some(only); // no bits
        }
        let (mut value, mut first, mut index) = (0i32, 0i32, 0usize);
        for &count in &code.counts[1..] {
            value |= self.bits(1)? as i32;
            if value - first < i32::from(count) {
                return code.symbols.get(index + (value - first) as usize).copied();
            }
            index += usize::from(count);
            first = (first + i32::from(count)) << 1;
            value <<= 1;
        }
        None
    }

    /// The lengths of a code's symbols.
    fn lengths(&mut self, symbols: u16) -> Option<Vec<u8>> {
        let mut lengths = vec![0; symbols.into()];
        if self.bits(1)? == 1 {
            let two = self.bits(1)? == 1;
            let width = if self.bits(1)? == 1 { 8 } else { 1 };
            *lengths.get_mut(self.bits(width)? as usize)? = 1;
            if two {
                *lengths.get_mut(self.bits(8)? as usize)? = 1;
            }
            return Some(lengths);
        }
        let mut stored = [0; 19];
        for &symbol in &ORDER[..4 + self.bits(4)? as usize] {
            stored[symbol] = self.bits(3)? as u8;
        }
        let code = Code::new(&stored);
        let count = match self.bits(1)? {
            0 => u32::from(symbols),
            _ => {
                let width = 2 + 2 * self.bits(3)?;
                2 + self.bits(width)?
            }
        };
        let (mut at, mut previous) = (0, 8);
        for _ in 0..count {
            if at >= lengths.len() {
                break;
            }
            let (length, repeat) = match self.symbol(&code)? {
                16 => (previous, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length as u8, 1),
            };
            if length != 0 {
                previous = length;
            }
            let end = at + repeat as usize;
            lengths.get_mut(at..end)?.fill(length);
            at = end;
        }
        Some(lengths)
    }

    /// Decodes a picture with one group of codes and `pixels` pixels: the greatest number that red and green make in
    /// one of them.
    fn inner(&mut self, pixels: u64) -> Option<u32> {
        let cache = self.cache()?;
        let mut codes = Vec::with_capacity(5);
        for symbols in SYMBOLS {
            let cached = if codes.is_empty() { cache } else { 0 };
            codes.push(Code::new(&self.lengths(symbols + cached)?));
        }
        let [green, red, blue, alpha, distance] = &codes[..] else { return None };
        let flat = codes[..4].iter().all(|code| code.symbols.len() == 1);
        let (mut left, mut greatest, mut check_in) = (pixels, 0, 0);
        while left > 0 {
            if check_in == 0 {
                self.check()?;
                check_in = STRIDE;
            }
            check_in -= 1;
            match self.symbol(green)? {
                value @ 0..=255 => {
                    let red = self.symbol(red)?;
                    self.symbol(blue)?;
                    self.symbol(alpha)?;
                    greatest = greatest.max(u32::from(red) << 8 | u32::from(value));
                    left = if flat { 0 } else { left - 1 }; // all others are the same, and take no bits
                }
                length @ 256..280 => {
                    let length = self.number(length - 256)?;
                    let prefix = self.symbol(distance)?;
                    self.number(prefix)?;
                    left = left.saturating_sub(length.into());
                }
                _ => left -= 1, // one that has been before
            }
        }
        Some(greatest)
    }

    /// Decodes a length or a distance by its prefix.
    fn number(&mut self, prefix: u16) -> Option<u32> {
        let prefix = u32::from(prefix);
        if prefix < 4 {
            return Some(prefix + 1);
        }
        let width = (prefix - 2) >> 1;
        Some(((2 + (prefix & 1)) << width) + self.bits(width)? + 1)
    }

    /// Entries of the cache of colours.
    fn cache(&mut self) -> Option<u16> {
        match self.bits(1)? {
            0 => Some(0),
            _ => self.bits(4).filter(|bits| (1..=11).contains(bits)).map(|bits| 1 << bits),
        }
    }

    fn check(&mut self) -> Option<()> {
        self.cancelled = self.limits.caller.is_cancelled();
        (!self.cancelled).then_some(())
    }

    fn picture(&mut self, width: u32, height: u32) -> Option<()> {
        let (mut across, blocks) = (width, |side: u32, bits: u32| u64::from(side.div_ceil(1 << bits)));
        for _ in 0..4 {
            if self.bits(1)? == 0 {
                return self.groups(across, height);
            }
            match self.bits(2)? {
                0 | 1 => {
                    let bits = 2 + self.bits(3)?;
                    self.inner(blocks(across, bits) * blocks(height, bits))?;
                }
                2 => {}
                _ => {
                    let colours = self.bits(8)? + 1;
                    self.inner(colours.into())?;
                    let bits = [(2, 3), (4, 2), (16, 1)].iter().find(|(most, _)| colours <= *most);
                    across = across.div_ceil(1 << bits.map_or(0, |(_, bits)| *bits));
                }
            }
        }
        if self.bits(1)? == 0 { self.groups(across, height) } else { None }
    }

    /// The codes of the picture itself.
    fn groups(&mut self, width: u32, height: u32) -> Option<()> {
        let cache = self.cache()?;
        let mut groups = 1;
        if self.bits(1)? == 1 {
            let bits = 2 + self.bits(3)?;
            let blocks = |side: u32| u64::from(side.div_ceil(1 << bits));
            groups += self.inner(blocks(width) * blocks(height))?;
        }
        for group in 0..groups {
            if group.is_multiple_of(64) {
                self.check()?;
            }
            self.memory += GROUP;
            for (index, symbols) in SYMBOLS.into_iter().enumerate() {
                let lengths = self.lengths(symbols + if index == 0 { cache } else { 0 })?;
                let mut counts = [0; 16];
                lengths.iter().filter(|length| **length > 0).for_each(|&length| counts[usize::from(length)] += 1);
                self.memory += Code::memory(&counts);
            }
            if self.memory > self.limits.memory {
                return None;
            }
        }
        Some(())
    }
}
