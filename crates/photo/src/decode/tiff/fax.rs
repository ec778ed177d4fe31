//! Rows of black and white in the codings of fax machines: Group 3 and its variants (ITU-T T.4), Group 4 (T.6).
//!
//! The tables of codes are those of the crate `fax`. Its decoders are not used: they have 16 bits for a width, read
//! Group 3 in one dimension alone, and only with an end-of-line code before each row.
//!
//! As in libtiff, an end-of-line code may be missing, or have fill bits before it. Rows after the code that ends a page
//! are white. A row that has more or less pixels than the page is damage.

use super::damage;
use crate::error::PhotoError;
use crate::limits::CancelCheck;
use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, Bits};

/// End-of-line codes in a row that end a page.
const END_OF_PAGE: u32 = 6;

/// TIFF's variants of the codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaxCoding {
    /// Rows of runs that begin at a multiple of this number of bits (compression 2: 8; compression 32771: 16).
    Aligned(usize),
    /// Rows of runs (compression 3).
    Group3,
    /// The same, where a bit before each row tells whether it is coded as the difference to the row above.
    Group3TwoDimensional,
    /// All rows are differences to the row above (compression 4).
    Group4,
}

/// Decodes one strip or tile.
pub(super) struct FaxRows<'a> {
    coding: FaxCoding,
    bits: FaxBits<'a>,
    width: u32,
    /// Where the colour changes in the row above, and in this one; the first change is to black. Ascending.
    above: Vec<u32>,
    changes: Vec<u32>,
    ended: bool,
}

impl<'a> FaxRows<'a> {
    /// Bytes that it allocates for rows of a width.
    pub(super) fn memory(width: u64) -> u64 {
        2 * 4 * (width + 2)
    }

    /// Errors: [`PhotoError::OutOfMemory`].
    pub(super) fn new(coding: FaxCoding, width: u32) -> Result<Self, PhotoError> {
        let list = || {
            let mut list = Vec::new();
            list.try_reserve_exact(width as usize + 2).map_err(|_| PhotoError::OutOfMemory)?;
            Ok(list)
        };
        let bits = FaxBits { bytes: &[], at: 0, reversed: false };
        Ok(FaxRows { coding, bits, width, above: list()?, changes: list()?, ended: false })
    }

    /// Begins with the bytes of a strip or tile; `reversed`: each with its lowest bit first.
    pub(super) fn begin(&mut self, bytes: &'a [u8], reversed: bool) {
        self.bits = FaxBits { bytes, at: 0, reversed };
        self.above.clear();
        self.ended = false;
    }

    /// The next row, with black as 1. Errors: [`PhotoError::Damaged`], [`PhotoError::Cancelled`].
    pub(super) fn read(&mut self, row: &mut [u8], check: &mut CancelCheck<'_>) -> Result<(), PhotoError> {
        self.changes.clear();
        if !self.ended {
            self.decode(check)?;
        }
        row.fill(0);
        for run in self.changes.chunks(2) {
            blacken(row, run[0] as usize, run.get(1).map_or(self.width, |&end| end) as usize);
        }
        std::mem::swap(&mut self.above, &mut self.changes);
        Ok(())
    }

    fn decode(&mut self, check: &mut CancelCheck<'_>) -> Result<(), PhotoError> {
        match self.coding {
            FaxCoding::Aligned(bits) => {
                self.bits.at = self.bits.at.next_multiple_of(bits);
                self.runs(check)
            }
            FaxCoding::Group3 | FaxCoding::Group3TwoDimensional => {
                let tagged = self.coding == FaxCoding::Group3TwoDimensional;
                let (mut ends, mut alone) = (0, true);
                while self.bits.skip_end_of_line(check)? {
                    ends += 1;
                    alone = !tagged || self.bits.bit();
                }
                match ends {
                    0 if tagged => alone = self.bits.bit(),
                    END_OF_PAGE.. => {
                        self.ended = true;
                        return Ok(());
                    }
                    _ => {}
                }
                if alone { self.runs(check) } else { self.differences(check) }
            }
            FaxCoding::Group4 => self.differences(check),
        }
    }

    /// A row of runs, white and black in turn.
    fn runs(&mut self, check: &mut CancelCheck<'_>) -> Result<(), PhotoError> {
        let mut at = 0;
        while at < self.width {
            at = self.run(at, check)?;
        }
        Ok(())
    }

    /// A run from a position to the returned one, in the colour that is next.
    fn run(&mut self, at: u32, check: &mut CancelCheck<'_>) -> Result<u32, PhotoError> {
        let mut end = at;
        loop {
            check.advance(1)?;
            let code = match self.changes.len() % 2 {
                0 => white::decode(&mut self.bits),
                _ => black::decode(&mut self.bits),
            };
            let length = code.ok_or_else(|| self.broken())?;
            end += u32::from(length); // below the width before, and a run has less than 2^12
            if end > self.width {
                return Err(damage("a row is longer than the page is wide"));
            }
            if length < 64 {
                self.change(end);
                return Ok(end);
            }
        }
    }

    /// The colour changes; twice at the same position is not at all. A change behind the last pixel is none.
    fn change(&mut self, at: u32) {
        if self.changes.last() == Some(&at) {
            self.changes.pop();
        } else {
            self.changes.push(at);
        }
    }

    /// A row as the differences to the row above (T.4, 4.2.1.3; a0, b1 and b2 are names of this text).
    fn differences(&mut self, check: &mut CancelCheck<'_>) -> Result<(), PhotoError> {
        let (mut a0, mut first, mut next) = (0_u32, true, 0_usize);
        while a0 < self.width {
            check.advance(1)?;
            // The table of `fax` takes seven zeros for the code that ends a page, which is longer.
            if self.coding == FaxCoding::Group4 && first && self.bits.peek(12) == Some(1) {
                self.ended = true;
                return Ok(());
            }
            let mode = mode::decode(&mut self.bits).ok_or_else(|| self.broken())?;
            // b1: the first change of the row above to the right of a0, to the colour that is next.
            let colour = self.changes.len() % 2;
            next = next.saturating_sub(2);
            next += (next % 2) ^ colour;
            while self.above.get(next).is_some_and(|&change| change < a0 || change == a0 && !first) {
                next += 2;
                check.advance(1)?;
            }
            let above = |index: usize| self.above.get(index).copied().unwrap_or(self.width);
            match mode {
                Mode::Pass => a0 = above(next + 1),
                Mode::Vertical(by) => {
                    let a1 = above(next).checked_add_signed(by.into()).filter(|a1| (a0..=self.width).contains(a1));
                    a0 = a1.ok_or_else(|| damage("a row is longer than the page is wide"))?;
                    self.change(a0);
                }
                Mode::Horizontal => {
                    a0 = self.run(a0, check)?;
                    a0 = self.run(a0, check)?;
                }
                Mode::Extension => return Err(super::unsupported("uncompressed parts in a fax")),
                Mode::EOF => return Err(self.broken()),
            }
            first = false;
        }
        Ok(())
    }

    fn broken(&self) -> PhotoError {
        damage(if self.bits.at_end() { "a strip ends before its last row" } else { "a row has an unknown code" })
    }
}

/// Sets the bits from `start` to `end`.
fn blacken(row: &mut [u8], start: usize, end: usize) {
    let (first, last) = (start / 8, end / 8);
    let (head, tail) = (0xff >> (start % 8), !(0xff >> (end % 8)));
    if first == last {
        row[first..].iter_mut().take(1).for_each(|byte| *byte |= head & tail);
        return;
    }
    row[first] |= head;
    row[first + 1..last].fill(0xff);
    row[last..].iter_mut().take(1).for_each(|byte| *byte |= tail);
}

/// Bits of a strip; zeros after its end.
struct FaxBits<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
    reversed: bool,
}

impl FaxBits<'_> {
    fn at_end(&self) -> bool {
        self.at >= 8 * self.bytes.len()
    }

    fn bit(&mut self) -> bool {
        let bit = self.peek(1) == Some(1);
        self.at += 1;
        bit
    }

    /// Goes behind an end-of-line code, if one is next: eleven zeros or more, and a one.
    fn skip_end_of_line(&mut self, check: &mut CancelCheck<'_>) -> Result<bool, PhotoError> {
        if self.peek(11) != Some(0) {
            return Ok(false);
        }
        while !self.at_end() {
            check.advance(1)?;
            let zeros = self.peek(16).map_or(16, u16::leading_zeros);
            self.at += zeros as usize;
            if zeros < 16 {
                self.at += 1;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl BitReader for FaxBits<'_> {
    type Error = std::convert::Infallible;

    fn peek(&self, bits: u8) -> Option<u16> {
        let first = self.at / 8;
        let byte = |index| {
            let byte: u8 = self.bytes.get(first + index).copied().unwrap_or(0);
            u32::from(if self.reversed { byte.reverse_bits() } else { byte })
        };
        let three = byte(0) << 16 | byte(1) << 8 | byte(2);
        let shifted = three << (8 + self.at % 8); // the next bits are the highest
        (1..=16).contains(&bits).then(|| (shifted >> (32 - u32::from(bits))) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Self::Error> {
        self.at += usize::from(bits);
        Ok(())
    }

    fn expect(&mut self, bits: Bits) -> Result<(), Option<Bits>> {
        let found = self.peek(bits.len);
        if found == Some(bits.data) { Ok(()) } else { Err(found.map(|data| Bits { data, len: bits.len })) }
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        ((8 - self.at % 8) % 8) as u8
    }
}
