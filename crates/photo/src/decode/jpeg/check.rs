//! Reads all scans of a JPEG file to see whether its data decode to the last block.
//!
//! The decoder makes a picture of what it can and does not tell of damage: it takes codes for others, runs out of data
//! before a marker, passes bytes that belong to no block, or finds restart markers out of order. libjpeg-turbo warns of
//! all these, and so they are damage here; what it passes over in silence is none, but for values beyond a block and
//! most of the few bytes before a marker that it reads ahead. A file that lacks only its end marker is whole.

use super::copy::JpegCopy;
use super::headers::{Headers, JpegFrame};
use super::huffman::fill_bytes;
use super::scan::{Band, Scan};
use super::split::Splitter;
use super::tables::{ALL, Built, Tables};
use crate::decode::damaged;
use crate::error::PhotoError;
use crate::format::Format;
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

/// The file that the decoder gets, and what is wrong with the data: of a file whose `scans` follow its headers.
/// Errors: [`PhotoError::Cancelled`], [`PhotoError::OutOfMemory`]; [`PhotoError::Damaged`] where a component has no
/// quantization steps.
pub(super) fn check<'a>(
    headers: Headers<'a>,
    scans: &'a [u8],
    limits: &Limits<'_>,
) -> Result<(Vec<u8>, Option<Damage>), PhotoError> {
    let Headers { frame, tables, has_gaps, .. } = headers;
    let components = frame.components.len();
    let output = match frame.is_split() {
        true => Output::Split(Splitter::new(&frame, scans.len())?),
        false => Output::Copy(JpegCopy::new(&frame, frame.progressive, scans.len())?),
    };
    let mut checker = Checker {
        frame: &frame,
        tables,
        built: Built::default(),
        output,
        written: 0,
        is_whole: false,
        has_steps: vec![false; components],
        known: vec![[None; 64]; components],
        coefficients: vec![vec![]; components],
    };
    let damage = match checker.read(scans, limits) {
        Ok(()) => has_gaps.then_some(Damage::Data),
        Err(Stop::Damage(damage)) => {
            checker.write_damaged(scans, limits)?;
            Some(damage)
        }
        Err(Stop::Error(error)) => return Err(error),
    };
    Ok((checker.output.into_copy().into_file(), damage))
}

/// How the scans are written.
enum Output<'a> {
    /// As they are.
    Copy(JpegCopy<'a>),
    /// As progressive ones.
    Split(Splitter<'a>),
}

impl<'a> Output<'a> {
    fn copy(&mut self) -> &mut JpegCopy<'a> {
        match self {
            Self::Copy(copy) => copy,
            Self::Split(splitter) => &mut splitter.copy,
        }
    }

    fn into_copy(self) -> JpegCopy<'a> {
        match self {
            Self::Copy(copy) => copy,
            Self::Split(splitter) => splitter.copy,
        }
    }
}

struct Checker<'a, 'b> {
    frame: &'b JpegFrame,
    tables: Tables<'a>,
    built: Built<'a>,
    output: Output<'a>,
    /// How many bytes of the scans the output needs no more.
    written: usize,
    /// The output has all components of a sequential picture: it gets no other scan.
    is_whole: bool,
    /// Which components have their quantization steps: those in effect at the first scan of each.
    has_steps: Vec<bool>,
    /// The lowest bit that is known of each frequency, of each component.
    known: Vec<[Option<u8>; 64]>,
    /// Of each component of a progressive picture: the coefficients of each block that are not zero.
    coefficients: Vec<Vec<u64>>,
}

impl<'a> Checker<'a, '_> {
    fn read(&mut self, bytes: &'a [u8], limits: &Limits<'_>) -> Result<(), Stop> {
        let (mut at, mut scans, mut check_at) = (0, 0, 0);
        loop {
            self.written = at;
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
                0xc4 | 0xdb | 0xdd => self.tables.read(marker, segment).ok_or(Damage::Data)?,
                _ => {} // metadata
            }
        }
    }

    /// At an end marker, or at the end of the bytes without one. `why`: the damage if something is missing.
    fn end(&mut self, why: Damage) -> Result<(), Stop> {
        // A progressive picture may end with less than all bits, as libjpeg-turbo allows, but not without a marker.
        let needed = if why == Damage::Truncated { 64 } else { 1 };
        let is_known = |bits: &[Option<u8>; 64]| {
            bits.iter().take(needed).all(|&low| low == Some(0)) || needed == 1 && bits[0].is_some()
        };
        if !self.known.iter().all(is_known) {
            return Err(why.into());
        }
        Ok(self.output.copy().end()?)
    }

    /// Writes what is behind damage as it is: the decoder makes of it what it can.
    fn write_damaged(&mut self, bytes: &[u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
        match &mut self.output {
            Output::Copy(copy) if !self.is_whole => {
                for (index, component) in self.frame.components.iter().enumerate() {
                    if let (false, Some(steps)) = (self.has_steps[index], self.tables.steps(component.steps)) {
                        copy.set_steps(index, steps);
                    }
                }
                copy.tables(&self.tables, ALL.into_iter())?;
                copy.damaged(bytes.get(self.written..).unwrap_or_default(), limits)
            }
            output => output.copy().end(),
        }
    }

    /// Reads the scan with this header, whose data begin at `at`: where they end.
    fn scan(&mut self, header: &[u8], bytes: &'a [u8], at: usize, limits: &Limits<'_>) -> Result<usize, Stop> {
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
            parts.push((index, [frame.id(index), selector[1]]));
        }
        if parts.is_empty() {
            return Err(Damage::Data.into());
        }
        let indices: Vec<usize> = parts.iter().map(|part| part.0).collect();
        let is_first = band.first == 0 && band.high == 0;
        if frame.progressive {
            let of_means = band.first == 0;
            let is_right = band.last < 64 && band.first <= band.last && of_means == (band.last == 0);
            if !is_right || !of_means && indices.len() > 1 {
                return Err(Damage::Data.into());
            }
        }
        for &index in &indices {
            if !self.has_steps[index] {
                let steps = self.tables.steps(frame.components[index].steps);
                let steps = steps.ok_or_else(|| damaged(Format::Jpeg, "it lacks quantization steps"))?;
                self.output.copy().set_steps(index, steps);
                self.has_steps[index] = true;
            }
        }
        let mut scan = Scan::new(frame, &indices, self.tables.restart.into(), bytes, at);
        let mut named = Vec::new();
        for &(_, [_, selector]) in &parts {
            if !frame.progressive || is_first {
                named.push(selector >> 4);
            }
            if !frame.progressive || band.first > 0 {
                named.push(0x10 | selector & 15);
            }
        }
        for &id in &named {
            self.built.build(&self.tables, id).ok_or(Damage::Data)?;
        }
        for (part, (_, [_, selector])) in scan.parts.iter_mut().zip(&parts) {
            (part.dc, part.ac) = (self.built.get(selector >> 4), self.built.get(0x10 | selector & 15));
        }
        let (range, low) = if frame.progressive { (first..=last, band.low) } else { (0..=63, 0) };
        for &index in &indices {
            self.known[index][usize::from(*range.start())..=usize::from(*range.end())].fill(Some(low));
        }
        let result = match &mut self.output {
            Output::Split(splitter) => {
                splitter.copy.tables(&self.tables, named.into_iter())?;
                splitter.begin(frame, &parts)?;
                let result = scan.split(splitter, limits);
                splitter.end()?;
                return result;
            }
            Output::Copy(_) if !frame.progressive => scan.sequential(limits),
            Output::Copy(_) if band.first == 0 => scan.means(band, limits),
            Output::Copy(_) => {
                let index = indices[0];
                let (across, down) = frame.blocks(index);
                if self.coefficients[index].is_empty() {
                    self.coefficients[index] = limits.zeros(across * down)?;
                }
                scan.band(band, &mut self.coefficients[index], limits)
            }
        };
        if let (false, Ok(_) | Err(Stop::Damage(_))) = (self.is_whole, &result) {
            let mut tables = self.tables.clone();
            if named.is_empty() {
                // One bit for each mean, and no table; but the decoder wants one.
                tables.add_defaults();
                named.push(0);
                parts.iter_mut().for_each(|(_, [_, selector])| *selector = 0);
            }
            let selectors: Vec<[u8; 2]> = parts.iter().map(|part| part.1).collect();
            let copy = self.output.copy();
            match result {
                Ok(_) => copy.tables(&tables, named.into_iter())?,
                Err(_) => copy.tables(&tables, ALL.into_iter())?,
            }
            copy.header(&selectors, if frame.progressive { [first, last, bits] } else { [0, 63, 0] })?;
            self.written = at;
        }
        let end = result?;
        if !self.is_whole {
            self.output.copy().data(bytes.get(at..end).unwrap_or_default(), limits)?;
            self.is_whole = !frame.progressive;
        }
        Ok(end)
    }
}
