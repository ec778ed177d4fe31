//! A JPEG decoder to coefficients, bit by bit as ITU-T T.81 describes it, and an encoder of sequential scans: an
//! oracle, and a maker of files.

use super::super::tables::{self, DEFAULTS};
use crate::picture::Damage;
use std::collections::{BTreeMap, HashMap};

pub(super) type Block = [i32; 64];

/// Symbols by length and code.
type Codes = HashMap<(u32, u32), u8>;

/// A component with its blocks, to whole units.
#[derive(Clone)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    /// Blocks across a row of whole units.
    pub(super) across: usize,
    pub(super) blocks: Vec<Block>,
    /// Blocks in a scan of its own, across and down.
    pub(super) own: (usize, usize),
}

#[derive(Default, Clone)]
pub(super) struct Jpeg {
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// Units across and down.
    pub(super) units: (usize, usize),
    /// All segments before the first scan but Huffman tables and restart intervals.
    pub(super) headers: Vec<u8>,
    /// `None` for one that cannot be.
    tables: BTreeMap<u8, Option<Codes>>,
    restart: usize,
    scanned: Vec<usize>,
    /// The lowest bit that is known of each frequency.
    known: Vec<[Option<u32>; 64]>,
}

struct Bits {
    bits: Vec<bool>,
    at: usize,
    /// What it is if there are too few.
    short: Damage,
}

impl Bits {
    fn bit(&mut self) -> Result<u32, Damage> {
        let bit = *self.bits.get(self.at).ok_or(self.short)?;
        self.at += 1;
        Ok(bit.into())
    }

    fn number(&mut self, count: u32) -> Result<u32, Damage> {
        (0..count).try_fold(0, |number, _| Ok(number << 1 | self.bit()?))
    }

    fn value(&mut self, size: u32) -> Result<i32, Damage> {
        let number = self.number(size)? as i32;
        Ok(if size > 0 && number < 1 << (size - 1) { number - (1 << size) + 1 } else { number })
    }

    fn symbol(&mut self, codes: &Codes) -> Result<u8, Damage> {
        let mut code = 0;
        for length in 1..=16 {
            code = code << 1 | self.bit()?;
            if let Some(&symbol) = codes.get(&(length, code)) {
                return Ok(symbol);
            }
        }
        Err(Damage::Data)
    }

    /// What is left must be padding.
    fn end(&self) -> Result<(), Damage> {
        let left: Vec<bool> = self.bits[self.at.next_multiple_of(8).min(self.bits.len())..].to_vec();
        let is_padding = left.len() <= 24 && left.windows(2).all(|pair| pair[0] == pair[1]);
        if is_padding { Ok(()) } else { Err(Damage::Data) }
    }
}

/// The bits up to the next marker, and where that is.
fn interval(bytes: &[u8], mut at: usize) -> (Bits, usize) {
    let mut data = Vec::new();
    let short = loop {
        let Some(&byte) = bytes.get(at) else { break Damage::Truncated };
        if byte != 0xff {
            data.push(byte);
            at += 1;
            continue;
        }
        let code = at + bytes[at..].iter().take_while(|&&byte| byte == 0xff).count();
        match bytes.get(code) {
            None => {
                at = code;
                break Damage::Truncated;
            }
            Some(0) => {
                data.push(0xff);
                at = code + 1;
            }
            Some(_) => {
                at = code - 1;
                break Damage::Data;
            }
        }
    };
    let bits = data.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    (Bits { bits, at: 0, short }, at)
}

/// The segment of the tables of K.3.
fn defaults() -> Vec<u8> {
    let table = |(id, codes): &(u8, tables::Codes<'_>)| [&[*id], &codes.counts[..], codes.symbols].concat();
    let body = DEFAULTS.iter().flat_map(table).collect::<Vec<_>>();
    let [high, low] = (2 + body.len() as u16).to_be_bytes();
    [&[0xff, 0xc4, high, low], body.as_slice()].concat()
}

fn codes(counts: &[u8], symbols: &[u8]) -> Option<Codes> {
    let mut codes = Codes::new();
    let (mut code, mut place) = (0, 0);
    for (length, &count) in (1..).zip(counts) {
        for _ in 0..count {
            codes.insert((length, code), *symbols.get(place)?);
            (code, place) = (code + 1, place + 1);
        }
        if count > 0 && code >= 1 << length {
            return None;
        }
        code <<= 1;
    }
    Some(codes)
}

impl Jpeg {
    /// Decodes a file, from its start marker.
    pub(super) fn read(bytes: &[u8]) -> Result<Jpeg, Damage> {
        let mut jpeg = Jpeg { headers: vec![0xff, 0xd8], ..Jpeg::default() };
        jpeg.table(&defaults()[4..]).unwrap();
        let mut at = 2;
        loop {
            let fill = bytes[at.min(bytes.len())..].iter().take_while(|&&byte| byte == 0xff).count();
            let Some(&marker) = bytes.get(at + fill) else { return jpeg.end(Damage::Truncated) };
            match marker {
                _ if fill == 0 => return Err(Damage::Data),
                0xd9 => return jpeg.end(Damage::Data),
                0x01 | 0xd0..=0xd7 => {
                    at += fill + 1;
                    continue;
                }
                0xc0..=0xc3 if jpeg.components.is_empty() => {}
                0x00..=0xc3 | 0xc5..=0xcf | 0xd8 | 0xde..=0xdf | 0xf0..=0xfd | 0xff => return Err(Damage::Data),
                _ => {}
            }
            let length = bytes.get(at + fill + 1..at + fill + 3).ok_or(Damage::Truncated)?;
            let length = usize::from(length[0]) << 8 | usize::from(length[1]);
            if length < 2 {
                return Err(Damage::Data);
            }
            let end = at + fill + 1 + length;
            let body = bytes.get(at + fill + 3..end).ok_or(Damage::Truncated)?;
            match marker {
                0xc4 => jpeg.table(body).ok_or(Damage::Data)?,
                0xdd if body.len() != 2 => return Err(Damage::Data),
                0xdd => jpeg.restart = usize::from(body[0]) << 8 | usize::from(body[1]),
                0xc0..=0xc2 => jpeg.frame(marker, body),
                _ => {}
            }
            if !matches!(marker, 0xc4 | 0xdd | 0xda) && jpeg.scanned.is_empty() {
                jpeg.headers.extend_from_slice(&bytes[at..end]);
            }
            at = if marker == 0xda { jpeg.scan(body, bytes, end)? } else { end };
        }
    }

    fn end(self, why: Damage) -> Result<Jpeg, Damage> {
        let is_all = (0..self.components.len()).all(|index| self.scanned.contains(&index));
        let is_whole = self.known.iter().flatten().all(|&low| low == Some(0));
        let is_enough = is_all && (!self.progressive || why == Damage::Data || is_whole);
        let has_means = self.known.iter().all(|known| known[0].is_some());
        if is_enough && has_means { Ok(self) } else { Err(why) }
    }

    fn frame(&mut self, marker: u8, body: &[u8]) {
        let side = |at: usize| usize::from(body[at]) << 8 | usize::from(body[at + 1]);
        let (height, width) = (side(1), side(3));
        let factors: Vec<(u8, usize, usize)> =
            body[6..].chunks(3).map(|c| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15))).collect();
        let (h, v) = (factors.iter().map(|c| c.1).max().unwrap(), factors.iter().map(|c| c.2).max().unwrap());
        self.progressive = marker == 0xc2;
        self.units = (width.div_ceil(8 * h), height.div_ceil(8 * v));
        for (id, ch, cv) in factors {
            let across = self.units.0 * ch;
            let blocks = vec![[0; 64]; across * self.units.1 * cv];
            let own = ((width * ch).div_ceil(h).div_ceil(8), (height * cv).div_ceil(v).div_ceil(8));
            self.components.push(Component { id, h: ch, v: cv, across, blocks, own });
        }
        self.known = vec![[None; 64]; self.components.len()];
    }

    fn table(&mut self, mut body: &[u8]) -> Option<()> {
        while !body.is_empty() {
            let counts = body.get(1..17)?;
            let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = body.get(17..17 + count)?;
            if body[0] & 0xec != 0 || count > 256 {
                return None;
            }
            self.tables.insert(body[0], codes(counts, symbols));
            body = &body[17 + count..];
        }
        Some(())
    }

    fn scan(&mut self, header: &[u8], bytes: &[u8], mut at: usize) -> Result<usize, Damage> {
        let count = usize::from(*header.first().ok_or(Damage::Data)?);
        if count == 0 || header.len() != 4 + 2 * count {
            return Err(Damage::Data);
        }
        let mut parts: Vec<(usize, u8)> = Vec::new();
        for pair in header[1..1 + 2 * count].chunks(2) {
            let fits =
                |&index: &usize| self.components[index].id == pair[0] && parts.iter().all(|part| part.0 != index);
            parts.push(((0..self.components.len()).find(fits).ok_or(Damage::Data)?, pair[1]));
        }
        let [first, last, bits] = [0, 1, 2].map(|place| u32::from(header[1 + 2 * count + place]));
        let (high, low) = (bits >> 4, bits & 15);
        let (first, last) = if self.progressive { (first as usize, last as usize) } else { (0, 63) };
        if last > 63 || first > last || self.progressive && ((first == 0) != (last == 0) || first > 0 && count > 1) {
            return Err(Damage::Data);
        }
        for &(index, _) in &parts {
            self.scanned.push(index);
            self.known[index][first..=last].fill(Some(if self.progressive { low } else { 0 }));
        }
        let (mut data, mut next) = interval(bytes, at);
        let units = if count == 1 { self.components[parts[0].0].own } else { self.units };
        let (mut means, mut run) = ([0; 4], 0);
        for unit in 0..units.0 * units.1 {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                data.end()?;
                let marker = 0xd0 + (unit / self.restart - 1) as u8 % 8;
                if bytes.get(next + 1) != Some(&marker) {
                    return Err(data.short);
                }
                (data, next) = interval(bytes, next + 2);
                (means, run) = ([0; 4], 0);
            }
            for &(index, selector) in &parts {
                let component = &mut self.components[index];
                let (h, v) = if count == 1 { (1, 1) } else { (component.h, component.v) };
                for place in 0..h * v {
                    let x = unit % units.0 * h + place % h;
                    let y = unit / units.0 * v + place / h;
                    let block = &mut component.blocks[y * component.across + x];
                    let table = |id: u8| self.tables.get(&id).and_then(Option::as_ref).ok_or(Damage::Data);
                    let (dc, ac) = (table(selector >> 4), table(0x10 | selector & 15));
                    if first == 0 {
                        if self.progressive && high > 0 {
                            block[0] |= (data.bit()? as i32) << low;
                        } else {
                            let size = data.symbol(dc?)?;
                            if size > 15 {
                                return Err(Damage::Data);
                            }
                            means[index] += data.value(size.into())?;
                            block[0] = if self.progressive { means[index] << low } else { means[index] };
                        }
                    }
                    if !self.progressive {
                        rest(&mut data, ac?, block)?;
                    } else if first > 0 && high == 0 {
                        first_bits(&mut data, ac?, block, (first, last, low), &mut run)?;
                    } else if first > 0 {
                        more_bits(&mut data, ac?, block, (first, last, low), &mut run)?;
                    }
                }
            }
        }
        data.end()?;
        at = next;
        Ok(at)
    }

    /// Writes a sequential file with the tables of K.3: scans of these components, by place.
    pub(super) fn write(&self, scans: &[&[usize]], restart: usize) -> Vec<u8> {
        let mut file = self.headers.clone();
        file.extend(defaults());
        file.extend([0xff, 0xdd, 0, 4, (restart >> 8) as u8, restart as u8]);
        for &scan in scans {
            file.extend([0xff, 0xda, 0, 6 + 2 * scan.len() as u8, scan.len() as u8]);
            let selector = |index: usize| if index == 0 { 0 } else { 0x11 };
            scan.iter().for_each(|&index| file.extend([self.components[index].id, selector(index)]));
            file.extend([0, 63, 0]);
            let alone = scan.len() == 1;
            let units = if alone { self.components[scan[0]].own } else { self.units };
            let (mut bits, mut means) = (Vec::new(), [0; 4]);
            for unit in 0..units.0 * units.1 {
                if restart > 0 && unit > 0 && unit % restart == 0 {
                    pack(&mut bits, &mut file);
                    file.extend([0xff, 0xd0 + ((unit / restart - 1) % 8) as u8]);
                    means = [0; 4];
                }
                for &index in scan {
                    let component = &self.components[index];
                    let (h, v) = if alone { (1, 1) } else { (component.h, component.v) };
                    for place in 0..h * v {
                        let (x, y) = (unit % units.0 * h + place % h, unit / units.0 * v + place / h);
                        let block = &component.blocks[y * component.across + x];
                        let number = selector(index) & 1;
                        let [dc, ac] = [number, 0x10 | number].map(|id| self.tables[&id].as_ref().unwrap());
                        encode(&mut bits, dc, ac, block, means[index]);
                        means[index] = block[0];
                    }
                }
            }
            pack(&mut bits, &mut file);
        }
        file.extend([0xff, 0xd9]);
        file
    }
}

fn rest(data: &mut Bits, codes: &Codes, block: &mut Block) -> Result<(), Damage> {
    let mut at = 1;
    while at < 64 {
        let symbol = data.symbol(codes)?;
        let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        if size == 0 && zeros < 15 {
            break;
        }
        at += zeros;
        let value = data.value(size.into())?;
        if size > 0 {
            *block.get_mut(at).ok_or(Damage::Data)? = value;
        }
        at += 1;
    }
    Ok(())
}

type Band = (usize, usize, u32);

fn first_bits(
    data: &mut Bits,
    codes: &Codes,
    block: &mut Block,
    (first, last, low): Band,
    run: &mut u32,
) -> Result<(), Damage> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let mut at = first;
    while at <= last {
        let symbol = data.symbol(codes)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + data.number(zeros)? - 1;
            break;
        }
        at += zeros as usize;
        if size > 0 {
            if at > last {
                return Err(Damage::Data);
            }
            block[at] = data.value(size)? << low;
        }
        at += 1;
    }
    Ok(())
}

fn more_bits(
    data: &mut Bits,
    codes: &Codes,
    block: &mut Block,
    (first, last, low): Band,
    run: &mut u32,
) -> Result<(), Damage> {
    let mut at = first;
    while *run == 0 && at <= last {
        let symbol = data.symbol(codes)?;
        let (mut zeros, size) = (u32::from(symbol >> 4), symbol & 15);
        if size > 1 {
            return Err(Damage::Data);
        }
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + data.number(zeros)?;
            break;
        }
        let value = if size == 0 { 0 } else { (data.bit()? as i32 * 2 - 1) << low };
        while at <= last && (block[at] != 0 || zeros > 0) {
            if block[at] == 0 {
                zeros -= 1;
            } else {
                data.bit()?;
            }
            at += 1;
        }
        if size > 0 {
            if at > last {
                return Err(Damage::Data);
            }
            block[at] = value;
        }
        at += 1;
    }
    if *run > 0 {
        for _ in block[..=last].iter().skip(at).filter(|&&coefficient| coefficient != 0) {
            data.bit()?;
        }
        *run -= 1;
    }
    Ok(())
}

fn push(bits: &mut Vec<bool>, value: u32, count: u32) {
    bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
}

fn symbol(bits: &mut Vec<bool>, codes: &Codes, symbol: u8) {
    let (&(length, code), _) = codes.iter().find(|entry| *entry.1 == symbol).expect("a symbol of K.3");
    push(bits, code, length);
}

fn value(bits: &mut Vec<bool>, value: i32, size: u32) {
    push(bits, (if value < 0 { value - 1 } else { value }) as u32 & ((1 << size) - 1), size);
}

fn encode(bits: &mut Vec<bool>, dc: &Codes, ac: &Codes, block: &Block, mean: i32) {
    let size = |value: i32| 32 - value.unsigned_abs().leading_zeros();
    let difference = block[0] - mean;
    symbol(bits, dc, size(difference) as u8);
    value(bits, difference, size(difference));
    let mut zeros = 0;
    for &coefficient in &block[1..] {
        if coefficient == 0 {
            zeros += 1;
            continue;
        }
        for _ in 0..zeros / 16 {
            symbol(bits, ac, 0xf0);
        }
        symbol(bits, ac, ((zeros % 16) << 4) as u8 | size(coefficient) as u8);
        value(bits, coefficient, size(coefficient));
        zeros = 0;
    }
    if zeros > 0 {
        symbol(bits, ac, 0);
    }
}

pub(super) fn pack(bits: &mut Vec<bool>, file: &mut Vec<u8>) {
    while !bits.len().is_multiple_of(8) {
        bits.push(true);
    }
    for byte in bits.chunks(8) {
        let byte = byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    bits.clear();
}
