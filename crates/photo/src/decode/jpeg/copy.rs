//! The file that the decoder gets: headers, and for each scan the tables that it names, its header and its data.
//!
//! zune-jpeg stops at markers that it does not know, looks at what follows the data too early where a row of blocks has
//! few bytes, and says nothing of either. So nothing else comes between the scans, and an end marker behind the last.

use super::headers::JpegFrame;
use super::tables::{Codes, Tables};
use crate::error::PhotoError;
use crate::limits::Limits;
use std::io::BufRead;

/// Bytes of 64 quantization steps.
const STEPS: usize = 128;

/// Bytes of a copy in addition to those of the scans: its headers, the tables that are defined before the scans, and
/// headers of segments with one table each.
const MORE: usize = 1 << 14;

/// Bytes that are copied between two checks for cancellation.
const AT_ONCE: usize = 1 << 20;

/// A file that is being written.
pub(super) struct JpegCopy<'a> {
    file: Vec<u8>,
    /// The tables that it has.
    written: Tables<'a>,
}

impl<'a> JpegCopy<'a> {
    /// The headers of a file, `progressive` or not, with space for `length` bytes. Each component has quantization
    /// steps of its own, which are zeros as yet: the decoder reads those before the first scan only.
    pub(super) fn new(frame: &JpegFrame, progressive: bool, length: usize) -> Result<Self, PhotoError> {
        let mut copy = JpegCopy { file: Vec::new(), written: Tables::default() };
        copy.file.try_reserve_exact(length + MORE).map_err(|_| PhotoError::OutOfMemory)?;
        copy.write(&[0xff, 0xd8])?;
        for index in 0..frame.components.len() as u8 {
            copy.write(&[0xff, 0xdb, 0, 131, 0x10 | index])?;
            copy.write(&[0; STEPS])?;
        }
        let ([h1, h0], [w1, w0]) = ((frame.height as u16).to_be_bytes(), (frame.width as u16).to_be_bytes());
        let count = frame.components.len() as u8;
        let code = if progressive { 0xc2 } else { 0xc0 };
        copy.write(&[0xff, code, 0, 8 + 3 * count, 8, h1, h0, w1, w0, count])?;
        for (index, component) in (0_u8..).zip(&frame.components) {
            copy.write(&[frame.id(index.into()), component.h << 4 | component.v, index])?;
        }
        if let Some(transform) = frame.transform {
            copy.write(&[0xff, 0xee, 0, 14])?;
            copy.write(b"Adobe\0\0\0\0\0\0")?;
            copy.write(&[transform])?;
        }
        Ok(copy)
    }

    /// Sets the quantization steps of a component: 64 of a byte or of two.
    pub(super) fn set_steps(&mut self, component: usize, steps: &[u8]) {
        let from = 2 + component * (5 + STEPS) + 5;
        let Some(place) = self.file.get_mut(from..from + STEPS) else { return };
        match steps.len() {
            STEPS => place.copy_from_slice(steps),
            _ => place.chunks_exact_mut(2).zip(steps).for_each(|(place, &step)| place[1] = step),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PhotoError> {
        self.file.try_reserve(bytes.len()).map_err(|_| PhotoError::OutOfMemory)?;
        self.file.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the Huffman tables of these classes and numbers and the restart interval, unless it has them.
    pub(super) fn tables(&mut self, tables: &Tables<'a>, ids: impl Iterator<Item = u8>) -> Result<(), PhotoError> {
        for id in ids {
            let Some(codes) = tables.get(id) else { continue };
            if self.written.get(id) == Some(codes) {
                continue;
            }
            let Codes { counts, symbols } = codes;
            let [high, low] = (19 + symbols.len() as u16).to_be_bytes();
            self.write(&[0xff, 0xc4, high, low, id])?;
            self.write(counts)?;
            self.write(symbols)?;
            self.written.set(id, codes);
        }
        self.restart(tables.restart)
    }

    /// Writes the restart interval, unless it is that.
    pub(super) fn restart(&mut self, interval: u16) -> Result<(), PhotoError> {
        if self.written.restart != interval {
            let [high, low] = interval.to_be_bytes();
            self.write(&[0xff, 0xdd, 0, 4, high, low])?;
            self.written.restart = interval;
        }
        Ok(())
    }

    /// Writes the header of a scan: components with the numbers of their tables, and the band (T.81, B.2.3).
    pub(super) fn header(&mut self, selectors: &[[u8; 2]], band: [u8; 3]) -> Result<(), PhotoError> {
        let count = selectors.len() as u8;
        self.write(&[0xff, 0xda, 0, 6 + 2 * count, count])?;
        self.write(selectors.as_flattened())?;
        self.write(&band)
    }

    /// Writes the data of a scan. Errors: [`PhotoError::Cancelled`], [`PhotoError::OutOfMemory`].
    pub(super) fn data(&mut self, data: &[u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
        data.chunks(AT_ONCE).try_for_each(|part| {
            limits.check()?;
            self.write(part)
        })
    }

    /// Writes what is behind damage, up to the end of the picture, without the metadata that may lie in it: the decoder
    /// keeps it. Errors: as [`JpegCopy::data`].
    pub(super) fn damaged(&mut self, scans: &[u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
        let (mut at, mut kept_from, mut check_at) = (0, 0, 0);
        let end = loop {
            if at >= check_at {
                limits.check()?;
                check_at = at + (1 << 16);
            }
            let mut ahead = scans.get(at..check_at.min(scans.len())).unwrap_or_default();
            at += ahead.skip_until(0xff).unwrap_or(0);
            if at >= scans.len() {
                break scans.len();
            }
            if scans[at - 1] != 0xff {
                continue; // as far as the next check
            }
            let length = match scans.get(at + 1..at + 3) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
                _ => break scans.len(),
            };
            let after = at + 1 + length;
            match scans[at] {
                0xff => {}
                0xd9 => break at + 1,
                0xc4 | 0xda | 0xdb | 0xdd => at = after,
                // The markers that the decoder knows: others may be damage.
                0xe0..=0xe2 | 0xed | 0xee | 0xfe if length >= 2 && after <= scans.len() => {
                    self.write(&scans[kept_from..at - 1])?;
                    (at, kept_from) = (after, after);
                }
                _ => at += 1,
            }
        };
        self.write(scans.get(kept_from..end).unwrap_or_default())
    }

    /// Writes the end marker.
    pub(super) fn end(&mut self) -> Result<(), PhotoError> {
        self.write(&[0xff, 0xd9])
    }

    /// The file.
    pub(super) fn into_file(self) -> Vec<u8> {
        self.file
    }
}
