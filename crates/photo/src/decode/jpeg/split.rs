//! Rewrites a sequential picture in several scans as a progressive one: zune-jpeg places the rows of components that
//! are sampled less often wrongly where each comes in a scan of its own, and reads progressive pictures rightly.
//!
//! No code changes. Each scan of all frequencies becomes one of the means of the same components, and for each
//! component one of all other frequencies, whose codes are those of a sequential scan as long as no run of blocks ends
//! at once (ITU-T T.81, F.1.2.2, G.1.2.2). Only blocks in the padding of a unit are left out there: scans of one
//! component have none (A.2.2, A.2.3). [`Scan::split`](super::scan::Scan::split) reads the codes.

use super::headers::{Headers, JpegFrame};
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
pub(super) struct Splitter {
    file: Vec<u8>,
    means: Codes,
    rests: Vec<Rest>,
    restart: u16,
}

impl Splitter {
    /// `length`: of the scans that will be read.
    pub(super) fn new(headers: &Headers<'_>, length: usize) -> Result<Self, PhotoError> {
        let mut file = Vec::new();
        file.try_reserve(headers.kept.len() + 2 * length).map_err(|_| PhotoError::OutOfMemory)?;
        file.extend_from_slice(&headers.kept);
        if let Some(code) = file.get_mut(headers.frame_at + 1) {
            *code = 0xc2;
        }
        Ok(Splitter { file, means: Codes::default(), rests: Vec::new(), restart: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PhotoError> {
        self.file.try_reserve(bytes.len()).map_err(|_| PhotoError::OutOfMemory)?;
        self.file.extend_from_slice(bytes);
        Ok(())
    }

    /// Copies a segment between scans.
    pub(super) fn segment(&mut self, bytes: &[u8]) -> Result<(), PhotoError> {
        self.write(bytes)
    }

    /// A scan of these components begins, each with its place in the frame and its selectors.
    pub(super) fn begin(
        &mut self,
        frame: &JpegFrame,
        parts: &[(usize, [u8; 2])],
        restart: u16,
    ) -> Result<(), PhotoError> {
        let alone = parts.len() == 1;
        self.restart = restart;
        self.rests.clear();
        for &(index, selectors) in parts {
            let rows = if alone { 1 } else { frame.components[index].v.into() };
            let rows = (0..rows).map(|_| Codes::default()).collect();
            self.rests.push(Rest { selectors, blocks: frame.blocks(index), rows, all: Codes::default() });
        }
        let selectors: Vec<[u8; 2]> = parts.iter().map(|part| part.1).collect();
        self.header(&selectors, (0, 0))
    }

    /// Header of a scan (T.81, B.2.3).
    fn header(&mut self, selectors: &[[u8; 2]], band: (u8, u8)) -> Result<(), PhotoError> {
        let count = selectors.len() as u8;
        self.write(&[0xff, 0xda, 0, 6 + 2 * count, count])?;
        self.write(selectors.as_flattened())?;
        self.write(&[band.0, band.1, 0])
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
        self.write(&[0xff, 0xd0 + number])
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
            self.write(if byte == 0xff { &[0xff, 0] } else { std::slice::from_ref(&byte) })?;
        }
        codes.clear();
        Ok(())
    }

    /// The scan ends, in the middle of a row where it is damaged.
    pub(super) fn end(&mut self) -> Result<(), PhotoError> {
        self.end_row()?;
        self.end_means()?;
        if self.restart > 0 {
            self.write(&[0xff, 0xdd, 0, 4, 0, 0])?;
        }
        for mut rest in std::mem::take(&mut self.rests) {
            self.header(&[rest.selectors], (1, 63))?;
            self.codes(&mut rest.all)?;
        }
        if let (1.., [high, low]) = (self.restart, self.restart.to_be_bytes()) {
            self.write(&[0xff, 0xdd, 0, 4, high, low])?;
        }
        Ok(())
    }

    /// The file.
    pub(super) fn into_file(mut self) -> Result<Vec<u8>, PhotoError> {
        self.write(&[0xff, 0xd9])?;
        Ok(self.file)
    }
}
