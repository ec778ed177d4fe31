//! Reads the entropy-coded data of one scan to see whether they decode, as the decoder itself does not tell
//! (ITU-T T.81, F.2 and G.2). Nothing is transformed: of the coefficients only those that are not zero are remembered,
//! and only for progressive scans, whose refinements depend on them.

use super::check::Stop;
use super::headers::JpegFrame;
use super::huffman::{Bits, Table};
use super::split::Splitter;
use crate::limits::Limits;
use crate::picture::Damage;

/// Blocks between two checks for cancellation: a millisecond or less.
const BLOCKS: usize = 1 << 13;

/// A component of a scan.
pub(super) struct Part<'a> {
    /// Blocks in a unit, across and down.
    pub(super) blocks: (usize, usize),
    pub(super) dc: Option<&'a Table>,
    pub(super) ac: Option<&'a Table>,
}

/// The band of frequencies and the bits of a scan (T.81, G.1.1.1).
#[derive(Clone, Copy)]
pub(super) struct Band {
    pub(super) first: u8,
    pub(super) last: u8,
    /// The bit that was sent before; 0 in the first scan of a band.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// A scan that begins.
pub(super) struct Scan<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Units across and down: blocks of the only component, or as many of each as its sampling factors say.
    pub(super) units: (usize, usize),
    /// Units between restart markers, or 0.
    pub(super) restart: usize,
    pub(super) bits: Bits<'a>,
}

/// Where the next restart marker is.
struct Restarts {
    every: usize,
    left: usize,
    number: u8,
}

impl Restarts {
    fn new(every: usize) -> Self {
        Restarts { every, left: every, number: 0 }
    }

    /// Called before each unit: whether the decoder has restarted, and with which marker.
    #[inline(always)]
    fn step(&mut self, bits: &mut Bits<'_>) -> Result<Option<u8>, Damage> {
        let mut restarted = None;
        if self.every > 0 {
            if self.left == 0 {
                bits.restart(self.number)?;
                restarted = Some(self.number);
                self.number = (self.number + 1) % 8;
                self.left = self.every;
            }
            self.left -= 1;
        }
        Ok(restarted)
    }
}

impl<'a> Scan<'a> {
    /// The scan of these components, whose tables and band are not known yet, from `at` in `bytes`.
    pub(super) fn new(frame: &JpegFrame, indices: &[usize], restart: usize, bytes: &'a [u8], at: usize) -> Self {
        let alone = indices.len() == 1;
        let part = |&index: &usize| {
            let component = &frame.components[index];
            let blocks = if alone { (1, 1) } else { (component.h.into(), component.v.into()) };
            Part { blocks, dc: None, ac: None }
        };
        let units = if alone { frame.blocks(indices[0]) } else { frame.units() };
        Scan { parts: indices.iter().map(part).collect(), units, restart, bits: Bits::new(bytes, at) }
    }

    /// Units between two checks for cancellation: a power of two.
    fn stride(&self) -> usize {
        let blocks: usize = self.parts.iter().map(|part| part.blocks.0 * part.blocks.1).sum();
        (BLOCKS / blocks.next_power_of_two()).max(1)
    }

    /// A scan of all frequencies: where its data end.
    pub(super) fn sequential(mut self, limits: &Limits<'_>) -> Result<usize, Stop> {
        let mut parts = Vec::new();
        for part in &self.parts {
            let (Some(dc), Some(ac)) = (part.dc, part.ac) else { return Err(Damage::Data.into()) };
            parts.push((part.blocks.0 * part.blocks.1, dc, ac));
        }
        let mut restarts = Restarts::new(self.restart);
        let mut bits = self.bits;
        let stride = self.stride();
        for unit in 0..self.units.0 * self.units.1 {
            if unit & (stride - 1) == 0 {
                limits.check()?;
            }
            restarts.step(&mut bits)?;
            for &(blocks, dc, ac) in &parts {
                for _ in 0..blocks {
                    mean(dc, &mut bits)?;
                    ac.pass::<false>(&mut bits, |_, _| ())?;
                    bits.check()?;
                }
            }
        }
        self.bits = bits;
        Ok(self.bits.finish()?)
    }

    /// The same, and copies the codes to `splitter`.
    pub(super) fn split(mut self, splitter: &mut Splitter<'_>, limits: &Limits<'_>) -> Result<usize, Stop> {
        let mut restarts = Restarts::new(self.restart);
        let stride = self.stride();
        for row in 0..self.units.1 {
            for unit in 0..self.units.0 {
                if unit & (stride - 1) == 0 {
                    limits.check()?;
                }
                if let Some(number) = restarts.step(&mut self.bits)? {
                    splitter.restart(number)?;
                }
                for (place, part) in self.parts.iter().enumerate() {
                    let (Some(dc), Some(ac)) = (part.dc, part.ac) else { return Err(Damage::Data.into()) };
                    for block in 0..part.blocks.0 * part.blocks.1 {
                        let (x, y) = (block % part.blocks.0, block / part.blocks.0);
                        let inside = splitter.is_inside(place, unit * part.blocks.0 + x, row * part.blocks.1 + y);
                        self.bits.fill();
                        let before = self.bits;
                        mean(dc, &mut self.bits)?;
                        let (code, length) = before.until(&self.bits);
                        splitter.mean(code, length)?;
                        let mut written = Ok(());
                        ac.pass::<true>(&mut self.bits, |code, length| {
                            if inside && written.is_ok() {
                                written = splitter.rest(place, y, code, length);
                            }
                        })?;
                        written?;
                        self.bits.check()?;
                    }
                }
            }
            splitter.end_row()?;
        }
        Ok(self.bits.finish()?)
    }

    /// A progressive scan of means: where its data end.
    pub(super) fn means(mut self, band: Band, limits: &Limits<'_>) -> Result<usize, Stop> {
        let mut restarts = Restarts::new(self.restart);
        let stride = self.stride();
        for unit in 0..self.units.0 * self.units.1 {
            if unit & (stride - 1) == 0 {
                limits.check()?;
            }
            restarts.step(&mut self.bits)?;
            for part in &self.parts {
                for _ in 0..part.blocks.0 * part.blocks.1 {
                    if band.high > 0 {
                        self.bits.skip_any(1);
                    } else {
                        mean(part.dc.ok_or(Damage::Data)?, &mut self.bits)?;
                    }
                    self.bits.check()?;
                }
            }
        }
        Ok(self.bits.finish()?)
    }

    /// A progressive scan of a band of the other frequencies of its only component: where its data end. `coefficients`
    /// has a bit for each of a block that is not zero.
    pub(super) fn band(mut self, band: Band, coefficients: &mut [u64], limits: &Limits<'_>) -> Result<usize, Stop> {
        let table = self.parts.first().and_then(|part| part.ac).ok_or(Damage::Data)?;
        let mut restarts = Restarts::new(self.restart);
        let mut run = 0;
        for (block, coefficients) in coefficients.iter_mut().enumerate() {
            if block % BLOCKS == 0 {
                limits.check()?;
            }
            if restarts.step(&mut self.bits)?.is_some() {
                run = 0;
            }
            if band.high > 0 {
                refine(table, band, &mut self.bits, coefficients, &mut run)?;
            } else if run > 0 {
                run -= 1;
            } else {
                run = first(table, band, &mut self.bits, coefficients)?;
            }
            self.bits.check()?;
        }
        Ok(self.bits.finish()?)
    }
}

/// Passes the mean of a block.
#[inline(always)]
fn mean(table: &Table, bits: &mut Bits<'_>) -> Result<(), Damage> {
    bits.fill();
    let size = table.symbol(bits)?;
    if size > 15 {
        return Err(bits.damage());
    }
    bits.skip(size.into());
    Ok(())
}

/// The bits of frequencies `first` to `last`.
fn mask(first: u32, last: u32) -> u64 {
    if first > last { 0 } else { u64::MAX << first & u64::MAX >> (63 - last) }
}

/// How many blocks end with the band of this one, by the rest of the code: 15 or fewer bits.
fn run_of(zeros: u32, bits: &mut Bits<'_>) -> u32 {
    (1 << zeros) + bits.take(zeros)
}

/// The first scan of a band in a block (T.81, G.1.2.2): how many blocks after it have nothing in the band.
fn first(table: &Table, band: Band, bits: &mut Bits<'_>, coefficients: &mut u64) -> Result<u32, Damage> {
    let (mut at, last) = (u32::from(band.first), u32::from(band.last));
    while at <= last {
        bits.fill();
        let symbol = table.symbol(bits)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size > 0 {
            at += zeros;
            if at > last {
                return Err(bits.damage());
            }
            *coefficients |= 1 << at;
            bits.skip(size);
        } else if zeros < 15 {
            return Ok(run_of(zeros, bits) - 1);
        } else {
            at += 15;
        }
        at += 1;
    }
    Ok(0)
}

/// A later scan of a band in a block (T.81, G.1.2.3): one bit for each coefficient that was not zero, and new ones.
/// `run`: how many blocks have nothing new, from this one on.
fn refine(table: &Table, band: Band, bits: &mut Bits<'_>, coefficients: &mut u64, run: &mut u32) -> Result<(), Damage> {
    let (mut at, last) = (u32::from(band.first), u32::from(band.last));
    while *run == 0 && at <= last {
        bits.fill();
        let symbol = table.symbol(bits)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size > 1 {
            return Err(bits.damage());
        }
        if size == 0 && zeros < 15 {
            *run = run_of(zeros, bits);
            break;
        }
        bits.skip(size); // the sign
        // The first place for a new coefficient behind `zeros` others.
        let mut places = !*coefficients & mask(at, last);
        for _ in 0..zeros {
            places &= places.wrapping_sub(1);
        }
        let place = if places == 0 { last + 1 } else { places.trailing_zeros() };
        bits.skip_any((*coefficients & mask(at, place.min(last))).count_ones());
        if size > 0 {
            if place > last {
                return Err(bits.damage());
            }
            *coefficients |= 1 << place;
        }
        at = place + 1;
    }
    if *run > 0 {
        bits.skip_any((*coefficients & mask(at, last)).count_ones());
        *run -= 1;
    }
    Ok(())
}
