//! Reads all scans of a JPEG file to see whether its data decode to the last block.
//!
//! The decoder makes a picture of what it can and does not tell of damage: it takes codes for others, runs out of data
//! before a marker, passes bytes that belong to no block, or finds restart markers out of order. libjpeg-turbo warns of
//! all these, and so they are damage here; what it passes over in silence is none, but for values beyond a block and
//! most of the few bytes before a marker that it reads ahead. A file that lacks only its end marker is whole.

use super::headers::{Headers, JpegFrame};
use super::huffman::fill_bytes;
use super::scan::{Band, Scan};
use super::split::Splitter;
use super::tables::{Built, Tables};
use crate::error::PhotoError;
use crate::limits::Limits;
use crate::picture::Damage;

/// Scans that are read: as many as the decoder accepts.
const SCANS: u32 = 100;

/// Why reading ends before the end of the picture.
pub(super) enum Stop {
    Damage(Damage),
    Error(PhotoError),
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<PhotoError> for Stop {
    fn from(error: PhotoError) -> Self {
        Self::Error(error)
    }
}

/// What is wrong with the data of a file whose `scans` follow its headers; with a `splitter`, the scans are rewritten.
/// Errors: [`PhotoError::Cancelled`], [`PhotoError::OutOfMemory`].
pub(super) fn check<'a>(
    headers: &Headers<'a>,
    scans: &'a [u8],
    splitter: Option<&mut Splitter>,
    limits: &Limits<'_>,
) -> Result<Option<Damage>, PhotoError> {
    let Headers { frame, tables, .. } = headers;
    let components = frame.components.len();
    let mut checker = Checker {
        frame,
        tables: tables.clone(),
        built: Built::default(),
        splitter,
        known: vec![[None; 64]; components],
        coefficients: vec![vec![]; components],
    };
    match checker.read(scans, limits) {
        Ok(()) if headers.has_gaps => Ok(Some(Damage::Data)),
        Ok(()) => Ok(None),
        Err(Stop::Damage(damage)) => Ok(Some(damage)),
        Err(Stop::Error(error)) => Err(error),
    }
}

struct Checker<'a, 'b> {
    frame: &'b JpegFrame,
    tables: Tables<'a>,
    built: Built<'a>,
    splitter: Option<&'b mut Splitter>,
    /// The lowest bit that is known of each frequency, of each component.
    known: Vec<[Option<u8>; 64]>,
    /// Of each component of a progressive picture: the coefficients of each block that are not zero.
    coefficients: Vec<Vec<u64>>,
}

impl<'a> Checker<'a, '_> {
    fn read(&mut self, bytes: &'a [u8], limits: &Limits<'_>) -> Result<(), Stop> {
        let (mut at, mut scans, mut check_at) = (0, 0, 0);
        loop {
            if at >= check_at {
                limits.check()?;
                check_at = at + (1 << 16);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let fill = fill_bytes(rest);
            let (marker, length) = match rest[fill..] {
                [] => return self.end(Damage::Truncated),
                [0, ..] => return Err(Damage::Data.into()),
                _ if fill == 0 => return Err(Damage::Data.into()),
                [0xd9, ..] => return self.end(Damage::Data),
                // Of a restart interval that ends with the scan.
                [0x01 | 0xd0..=0xd7, ..] => {
                    at += fill + 1;
                    continue;
                }
                [0x02..=0xc3 | 0xc5..=0xcf | 0xd8 | 0xde | 0xdf | 0xf0..=0xfd, ..] => return Err(Damage::Data.into()),
                [marker, high, low, ..] => (marker, usize::from(u16::from_be_bytes([high, low]))),
                _ => return Err(Damage::Truncated.into()),
            };
            let (start, end) = (at + fill + 3, at + fill + 1 + length);
            if length < 2 {
                return Err(Damage::Data.into());
            }
            let segment = bytes.get(start..end).ok_or(Damage::Truncated)?;
            at = end;
            match marker {
                0xda => {
                    scans += 1;
                    if scans > SCANS {
                        return Err(Damage::Data.into());
                    }
                    at = self.scan(segment, bytes, at, limits)?;
                }
                0xc4 | 0xdb | 0xdd => {
                    self.tables.read(marker, segment).ok_or(Damage::Data)?;
                    if let Some(splitter) = &mut self.splitter {
                        splitter.segment(&bytes[start - 4..end])?;
                    }
                }
                _ => {} // metadata
            }
        }
    }

    /// At an end marker, or at the end of the bytes without one. `why`: the damage if something is missing.
    fn end(&self, why: Damage) -> Result<(), Stop> {
        // A progressive picture may end with less than all bits, as libjpeg-turbo allows, but not without a marker.
        let needed = if why == Damage::Truncated { 64 } else { 1 };
        let is_known = |bits: &[Option<u8>; 64]| {
            bits.iter().take(needed).all(|&low| low == Some(0)) || needed == 1 && bits[0].is_some()
        };
        if self.known.iter().all(is_known) { Ok(()) } else { Err(why.into()) }
    }

    /// Reads the scan with this header, whose data begin at `at`: where they end.
    fn scan(&mut self, header: &[u8], bytes: &[u8], at: usize, limits: &Limits<'_>) -> Result<usize, Stop> {
        let frame = self.frame;
        let (&count, header) = header.split_first().ok_or(Damage::Data)?;
        let (selectors, band) = header.split_at_checked(2 * usize::from(count)).ok_or(Damage::Data)?;
        let &[first, last, bits] = band else { return Err(Damage::Data.into()) };
        let band = Band { first, last, high: bits >> 4, low: bits & 15 };
        let mut parts: Vec<(usize, [u8; 2])> = Vec::new();
        for selector in selectors.as_chunks::<2>().0 {
            let is_new = |&(index, _): &(usize, &super::headers::Component)| parts.iter().all(|part| part.0 != index);
            let mut found = frame.components.iter().enumerate().filter(is_new);
            let (index, _) = found.find(|(_, component)| component.id == selector[0]).ok_or(Damage::Data)?;
            parts.push((index, *selector));
        }
        if parts.is_empty() {
            return Err(Damage::Data.into());
        }
        let indices: Vec<usize> = parts.iter().map(|part| part.0).collect();
        let mut scan = Scan::new(frame, &indices, self.tables.restart.into(), bytes, at);
        let needs_means = !frame.progressive || band.first == 0 && band.high == 0;
        let needs_others = !frame.progressive || band.first > 0;
        let selected = |&(_, [_, selector]): &(usize, [u8; 2])| (selector >> 4, 0x10 | selector & 15);
        for (dc, ac) in parts.iter().map(selected) {
            if needs_means {
                self.built.build(&self.tables, dc).ok_or(Damage::Data)?;
            }
            if needs_others {
                self.built.build(&self.tables, ac).ok_or(Damage::Data)?;
            }
        }
        for (part, (dc, ac)) in scan.parts.iter_mut().zip(parts.iter().map(selected)) {
            (part.dc, part.ac) = (self.built.get(dc), self.built.get(ac));
        }
        if !frame.progressive {
            indices.iter().for_each(|&index| self.known[index] = [Some(0); 64]);
            return match &mut self.splitter {
                Some(splitter) => {
                    splitter.begin(frame, &parts, self.tables.restart)?;
                    let result = scan.split(splitter, limits);
                    splitter.end()?;
                    result
                }
                None => scan.sequential(limits),
            };
        }
        let of_means = band.first == 0;
        if band.last >= 64 || band.last < band.first || of_means != (band.last == 0) || !of_means && indices.len() > 1 {
            return Err(Damage::Data.into());
        }
        for &index in &indices {
            self.known[index][usize::from(band.first)..=usize::from(band.last)].fill(Some(band.low));
        }
        if of_means {
            return scan.means(band, limits);
        }
        let index = indices[0];
        let (across, down) = frame.blocks(index);
        if self.coefficients[index].is_empty() {
            self.coefficients[index] = limits.zeros(across * down)?;
        }
        scan.band(band, &mut self.coefficients[index], limits)
    }
}
