//! The file that the decoder gets: the headers, and for each scan the tables that it names, its header and its data.
//!
//! zune-jpeg stops at markers that it does not know, looks at what follows the data too early where a row of blocks has
//! few bytes, and says nothing of either. So nothing else comes between the scans, and behind the last is an end marker.

use super::tables::{Codes, Tables};
use crate::error::PhotoError;
use crate::limits::Limits;
use std::io::BufRead;

/// Bytes of a copy that its original may lack: headers of segments with one table each, which are defined before the
/// scans, and the tables of K.3.
pub(super) const MORE: usize = 1 << 13;

/// Bytes that are copied between two checks for cancellation.
const AT_ONCE: usize = 1 << 20;

/// A file that is being written.
pub(super) struct JpegCopy<'a> {
    file: Vec<u8>,
    /// The tables that it has.
    written: Tables<'a>,
}

impl<'a> JpegCopy<'a> {
    /// `headers`: all segments before the scans but Huffman tables and restart intervals.
    pub(super) fn new(headers: Vec<u8>) -> Self {
        JpegCopy { file: headers, written: Tables::default() }
    }

    /// Makes space for `length` more bytes.
    pub(super) fn reserve(&mut self, length: usize) -> Result<(), PhotoError> {
        self.file.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)
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
