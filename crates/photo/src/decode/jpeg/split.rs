//! Rewrites a sequential picture in several scans as a progressive one: zune-jpeg places the rows of components that
//! are sampled less often wrongly where each comes in a scan of its own, and reads progressive pictures rightly.
//!
//! No code changes. Each scan of all frequencies becomes one of the means of the same components, and for each
//! component one of all other frequencies, whose codes are those of a sequential scan as long as no run of blocks ends
//! at once (ITU-T T.81, F.1.2.2, G.1.2.2). Only blocks in the padding of a unit are left out there: scans of one
//! component have none (A.2.2, A.2.3). [`Scan::split`](super::scan::Scan::split) reads the codes.

use super::copy::JpegCopy;
use super::headers::JpegFrame;
use crate::error::PhotoError;

/// Bytes that a splitter allocates for each byte that it reads: codes in buffers that double, and the file, in which
/// each of its bytes may become two.
pub(super) const MEMORY: u64 = 6;

/// Codes without gaps.
#[derive(Default)]
struct Codes {
    bytes: Vec<u8>,
    /// Bits that are no byte yet, uppermost first; zeros below.
    buffer: u64,
    length: u32,
}

impl Codes {
    /// Adds the upper `length` bits of `code`, up to 32.
    fn push(&mut self, code: u64, length: u32) -> Result<(), PhotoError> {
        self.buffer |= (code & !(u64::MAX >> length)) >> self.length;
        self.length += length;
        while self.length >= 8 {
            self.bytes.try_reserve(1).map_err(|_| PhotoError::OutOfMemory)?;
            self.bytes.push((self.buffer >> 56) as u8);
            self.buffer <<= 8;
            self.length -= 8;
        }
        Ok(())
    }

    /// Moves all codes of `other` behind these.
    fn append(&mut self, other: &mut Codes) -> Result<(), PhotoError> {
        for &byte in &other.bytes {
            self.push(u64::from(byte) << 56, 8)?;
        }
        self.push(other.buffer, other.length)?;
        other.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.buffer, self.length) = (0, 0);
    }
}

/// The other frequencies of a component of the scan.
struct Rest {
    /// The component's identifier and tables, as the header has them.
    selectors: [u8; 2],
    /// Blocks across and down.
    blocks: (usize, usize),
    /// Of the rows of blocks in a row of units.
    rows: Vec<Codes>,
    all: Codes,
}

/// A progressive file that is being written.
pub(super) struct Splitter<'a> {
    pub(super) copy: JpegCopy<'a>,
    means: Codes,
    rests: Vec<Rest>,
}

impl<'a> Splitter<'a> {
    /// `length`: of the scans that will be read.
    pub(super) fn new(frame: &JpegFrame, length: usize) -> Result<Self, PhotoError> {
        let copy = JpegCopy::new(frame, true, 2 * length)?;
        Ok(Splitter { copy, means: Codes::default(), rests: Vec::new() })
    }

    /// A scan of these components begins, each with its place in the frame and its selectors.
    pub(super) fn begin(&mut self, frame: &JpegFrame, parts: &[(usize, [u8; 2])]) -> Result<(), PhotoError> {
        let alone = parts.len() == 1;
        self.rests.clear();
        for &(index, selectors) in parts {
            let rows = if alone { 1 } else { frame.components[index].v.into() };
            let rows = (0..rows).map(|_| Codes::default()).collect();
            self.rests.push(Rest { selectors, blocks: frame.blocks(index), rows, all: Codes::default() });
        }
        let selectors: Vec<[u8; 2]> = parts.iter().map(|part| part.1).collect();
        self.copy.header(&selectors, [0, 0, 0])
    }

    /// Whether a block of a component of the scan is one of the component.
    pub(super) fn is_inside(&self, part: usize, x: usize, y: usize) -> bool {
        self.rests.get(part).is_some_and(|rest| x < rest.blocks.0 && y < rest.blocks.1)
    }

    /// Adds the code of a mean: the upper `length` bits.
    pub(super) fn mean(&mut self, code: u64, length: u32) -> Result<(), PhotoError> {
        self.means.push(code, length)
    }

    /// Adds a code of the other frequencies of a component, in this row of the unit's blocks.
    #[inline(always)]
    pub(super) fn rest(&mut self, part: usize, row: usize, code: u64, length: u32) -> Result<(), PhotoError> {
        match self.rests.get_mut(part).and_then(|rest| rest.rows.get_mut(row)) {
            Some(codes) => codes.push(code, length),
            None => Ok(()),
        }
    }

    /// A restart marker: only means depend on what was before it.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), PhotoError> {
        self.end_means()?;
        self.copy.write(&[0xff, 0xd0 + number])
    }

    /// A row of units ends.
    pub(super) fn end_row(&mut self) -> Result<(), PhotoError> {
        for rest in &mut self.rests {
            for row in &mut rest.rows {
                rest.all.append(row)?;
            }
        }
        Ok(())
    }

    fn end_means(&mut self) -> Result<(), PhotoError> {
        let mut means = std::mem::take(&mut self.means);
        self.codes(&mut means)?;
        self.means = means; // its buffer
        Ok(())
    }

    /// Writes codes up to a byte, with ones behind them, and a zero behind each 0xff (T.81, F.1.2.3).
    fn codes(&mut self, codes: &mut Codes) -> Result<(), PhotoError> {
        codes.push(u64::MAX, (8 - codes.length) % 8)?;
        for &byte in &codes.bytes {
            self.copy.write(if byte == 0xff { &[0xff, 0] } else { std::slice::from_ref(&byte) })?;
        }
        codes.clear();
        Ok(())
    }

    /// The scan ends, in the middle of a row where it is damaged.
    pub(super) fn end(&mut self) -> Result<(), PhotoError> {
        self.end_row()?;
        self.end_means()?;
        self.copy.restart(0)?;
        for mut rest in std::mem::take(&mut self.rests) {
            self.copy.header(&[rest.selectors], [1, 63, 0])?;
            self.codes(&mut rest.all)?;
        }
        Ok(())
    }
}
