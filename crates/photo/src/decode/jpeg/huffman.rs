//! Huffman codes of JPEG and the bits in which they come (ITU-T T.81, annexes C and F), read without their values.
//!
//! Called by [`scan`](super::scan), which asks only whether the data decode: of most codes it needs the length alone,
//! so that one look at a table passes several of them.

use crate::picture::Damage;

/// Bits of a look at a table.
const LOOK: u32 = 11;
/// Bits of the longest code.
const LONGEST: u32 = 16;
/// Frequencies of a block.
const BLOCK: u32 = 64;
/// What an end of block adds to the position in it.
const END: u32 = 128;
/// The most frequencies that all but the last code of an entry of [`Table::many`] pass.
const AHEAD: u32 = 16;
/// The most bits of an entry of [`Table::many`].
const ENTRY: u32 = 25;
/// In an entry of [`Table::many`]: the last code passes 16 zeros.
const ZEROS: u16 = 1 << 5;
/// Bytes between the last code and a marker that are padding, if all of their bits are equal: up to a word of 32 bits.
const PADDING: usize = 3;

/// A Huffman table.
pub(super) struct Table {
    /// By the next bits: the length of the code above its symbol; 0 where the code is longer or none.
    one: [u16; 1 << LOOK],
    /// By the next bits, of a table of other frequencies than the mean: the frequencies that the codes in them pass,
    /// above [`ZEROS`], above the length of the codes and the bits behind each; 0 where the first is longer or none.
    many: [u16; 1 << LOOK],
    /// By length: the first code of 16 bits that is longer, and what is added to a code of the length for its place.
    longer: [(u32, i32); LONGEST as usize + 1],
    symbols: [u8; 256],
}

impl Table {
    /// `counts` of codes by length, then their `symbols`. `None` where there are more codes than the lengths allow.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Table {
            one: [0; 1 << LOOK],
            many: [0; 1 << LOOK],
            longer: [(0, 0); LONGEST as usize + 1],
            symbols: [0; 256],
        };
        table.symbols.get_mut(..values.len())?.copy_from_slice(values);
        let (mut code, mut place) = (0_u32, 0_u32);
        for (length, &count) in (1..).zip(counts) {
            let end = code + u32::from(count);
            // No code is all ones (C.2).
            if count > 0 && end >= 1 << length {
                return None;
            }
            table.longer[length as usize] = (end << (LONGEST - length), place as i32 - code as i32);
            if length <= LOOK {
                for (code, &symbol) in (code..end).zip(values.get(place as usize..)?) {
                    let from = (code << (LOOK - length)) as usize;
                    table.one[from..from + (1 << (LOOK - length))].fill((length as u16) << 8 | u16::from(symbol));
                }
            }
            (code, place) = (end << 1, place + u32::from(count));
        }
        if place as usize != values.len() {
            return None;
        }
        for look in 0..1 << LOOK {
            table.many[look] = table.codes(look as u32);
        }
        Some(table)
    }

    /// The entry of [`Table::many`] for these bits.
    fn codes(&self, look: u32) -> u16 {
        let (mut length, mut passed, mut entry) = (0, 0, 0);
        while length < LOOK && passed <= AHEAD {
            let one = self.one[(look << length & ((1 << LOOK) - 1)) as usize];
            if is_run(one as u8) {
                break;
            }
            let (code, behind, passes) = (u32::from(one >> 8), u32::from(one & 15), passes(one as u8));
            if one == 0 || length + code > LOOK || length + code + behind > ENTRY {
                break;
            }
            length += code + behind;
            passed += passes;
            let zeros = if one as u8 == 0xf0 { ZEROS } else { 0 };
            entry = (passed as u16) << 8 | zeros | length as u16;
            if passes == END {
                break;
            }
        }
        entry
    }

    /// The next symbol. Its 16 bits must be there.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Damage> {
        let one = self.one[bits.peek(LOOK) as usize];
        if one == 0 {
            return self.long(bits);
        }
        bits.skip(u32::from(one >> 8));
        Ok(one as u8)
    }

    #[cold]
    fn long(&self, bits: &mut Bits<'_>) -> Result<u8, Damage> {
        let code = bits.peek(LONGEST) as u32;
        let found = (LOOK + 1..).zip(&self.longer[LOOK as usize + 1..]).find(|(_, (end, _))| code < *end);
        let Some((length, &(_, place))) = found else { return Err(bits.bad_code()) };
        bits.skip(length);
        let place = (code >> (LONGEST - length)) as i32 + place;
        usize::try_from(place).ok().and_then(|place| self.symbols.get(place)).copied().ok_or_else(|| bits.bad_code())
    }

    /// Passes all frequencies of a block but its mean, as a scan of all of them has them (F.1.2.2), right behind it.
    /// `taken` gets the bits, uppermost first, and how many they are. `STRICT`: the end of a run of blocks is damage,
    /// which decoders take for the end of one.
    #[inline(always)]
    pub(super) fn pass<const STRICT: bool>(
        &self,
        bits: &mut Bits<'_>,
        mut taken: impl FnMut(u64, u32),
    ) -> Result<(), Damage> {
        let (mut at, mut last) = (1, 0);
        'codes: while at + AHEAD < BLOCK {
            // 56 bits hold a mean and an entry, of 31 and 25 bits at most, or two entries.
            for is_filled in [false, true] {
                if is_filled {
                    bits.fill();
                }
                let many = self.many[bits.peek(LOOK) as usize];
                if many == 0 {
                    last = self.pass_one::<STRICT>(bits, &mut taken)?;
                } else {
                    last = many;
                    taken(bits.buffer, u32::from(many) & 31);
                    bits.skip(u32::from(many) & 31);
                }
                at += u32::from(last >> 8);
                if at + AHEAD >= BLOCK {
                    break 'codes;
                }
            }
        }
        while at < BLOCK {
            last = self.pass_one::<STRICT>(bits, &mut taken)?;
            at += u32::from(last >> 8);
        }
        // Zeros may be passed beyond the block, as decoders allow; a value may not.
        if at > BLOCK && at < END && last & ZEROS == 0 { Err(bits.damage()) } else { Ok(()) }
    }

    /// Passes one code: as an entry of [`Table::many`]. Bits for another are there afterwards.
    fn pass_one<const STRICT: bool>(
        &self,
        bits: &mut Bits<'_>,
        taken: &mut impl FnMut(u64, u32),
    ) -> Result<u16, Damage> {
        bits.fill();
        let mut ahead = *bits;
        let symbol = self.symbol(&mut ahead)?;
        if STRICT && is_run(symbol) {
            return Err(ahead.damage());
        }
        let length = bits.until(&ahead).1 + u32::from(symbol & 15);
        taken(bits.buffer, length);
        bits.skip(length);
        bits.fill();
        let zeros = if symbol == 0xf0 { ZEROS } else { 0 };
        Ok((passes(symbol) as u16) << 8 | zeros)
    }
}

/// Frequencies that a code passes, with the value that follows it: 4 bits of zeros before 4 bits of the value's size.
fn passes(symbol: u8) -> u32 {
    match (u32::from(symbol >> 4), symbol & 15) {
        (15, 0) => 16,
        (_, 0) => END,
        (zeros, _) => zeros + 1,
    }
}

/// Whether a code ends a run of blocks, which there are in progressive pictures only.
fn is_run(symbol: u8) -> bool {
    symbol & 15 == 0 && (0x10..=0xe0).contains(&symbol)
}

/// What comes after the bits that were read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Data,
    Marker,
    End,
}

/// The bits of entropy-coded data up to a marker, and zeros behind them.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be read: at the end of the data, that of a marker.
    at: usize,
    /// The bits that were read, uppermost first. Below them are zeros or the bits that come next.
    buffer: u64,
    /// How many bits were read and not skipped, with `zeros`.
    left: u32,
    /// Zeros that were read behind the data.
    zeros: u32,
    next: Next,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Bits { bytes, at, buffer: 0, left: 0, zeros: 0, next: Next::Data }
    }

    #[inline(always)]
    fn peek(&self, count: u32) -> u64 {
        self.buffer >> (64 - count)
    }

    /// Skips bits that are there.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.left -= count;
    }

    /// The next bits, up to 15, of those that are there.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = (self.buffer >> 1 >> (63 - count)) as u32;
        self.skip(count);
        value
    }

    /// The bits that were skipped from here to `later`, up to 32, uppermost first, and how many they are.
    pub(super) fn until(&self, later: &Self) -> (u64, u32) {
        (self.buffer, self.left - later.left)
    }

    /// Skips up to as many bits as a block has frequencies.
    #[inline(always)]
    pub(super) fn skip_any(&mut self, mut count: u32) {
        while count > 0 {
            self.fill();
            let now = count.min(32);
            self.skip(now);
            count -= now;
        }
    }

    /// Sees to it that there are at least 56 bits. It does not ask how many there are: the answer is hard to predict.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if let Some(&bytes) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_be_bytes(bytes);
            const LOW: u64 = u64::MAX / 255;
            // Whether none of the bytes is 0xff.
            if (!word).wrapping_sub(LOW) & word & LOW << 7 == 0 {
                self.buffer |= word >> self.left;
                let count = (63 - self.left) / 8;
                self.at += count as usize;
                self.left += 8 * count;
                return;
            }
        }
        self.fill_slowly();
    }

    fn fill_slowly(&mut self) {
        while self.left < 56 {
            if self.next == Next::Data {
                match self.bytes.get(self.at) {
                    Some(0xff) => {
                        let code = self.at + fill_bytes(&self.bytes[self.at..]);
                        match self.bytes.get(code) {
                            Some(0) => self.at = code + 1,
                            Some(_) => (self.at, self.next) = (code - 1, Next::Marker),
                            None => (self.at, self.next) = (code, Next::End),
                        }
                        if self.next == Next::Data {
                            self.buffer |= 0xff << (56 - self.left);
                            self.left += 8;
                        }
                        continue;
                    }
                    Some(&byte) => {
                        self.buffer |= u64::from(byte) << (56 - self.left);
                        self.at += 1;
                    }
                    None => {
                        self.next = Next::End;
                        continue;
                    }
                }
            } else {
                self.zeros += 8;
            }
            self.left += 8;
        }
    }

    /// Must be called once a block, at least. Errors: more bits were read than there are.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Damage> {
        if self.left < self.zeros { Err(self.ends_early()) } else { Ok(()) }
    }

    fn ends_early(&self) -> Damage {
        if self.next == Next::End { Damage::Truncated } else { Damage::Data }
    }

    /// The bits that were read mean nothing.
    pub(super) fn damage(&self) -> Damage {
        if self.left < self.zeros { self.ends_early() } else { Damage::Data }
    }

    /// No code begins with the next bits.
    fn bad_code(&self) -> Damage {
        if self.left < self.zeros + LONGEST { self.ends_early() } else { Damage::Data }
    }

    /// Goes to the marker behind the data, or to the end of the bytes: where it is. Errors: there is more between them
    /// than padding.
    pub(super) fn finish(&mut self) -> Result<usize, Damage> {
        self.check()?;
        self.skip((self.left - self.zeros) % 8);
        let mut first = None;
        for count in 0.. {
            self.fill();
            if self.left == self.zeros {
                break;
            }
            let byte = self.peek(8) as u8;
            if count == PADDING || !matches!(byte, 0 | 0xff) || *first.get_or_insert(byte) != byte {
                return Err(Damage::Data);
            }
            self.skip(8);
        }
        Ok(self.at)
    }

    /// Goes on behind the restart marker of this number, 0 to 7. Errors: there is another marker or none, or data are
    /// left.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Damage> {
        let at = self.finish()?;
        match self.bytes.get(at + 1) {
            Some(&code) if code == 0xd0 + number => {}
            _ => return Err(self.ends_early()),
        }
        *self = Bits::new(self.bytes, at + 2);
        Ok(())
    }
}

/// How many bytes 0xff there are first.
pub(super) fn fill_bytes(bytes: &[u8]) -> usize {
    const MANY: usize = 64;
    let many = bytes.chunks_exact(MANY).take_while(|chunk| **chunk == [0xff; MANY]).count() * MANY;
    many + bytes[many..].iter().take_while(|&&byte| byte == 0xff).count()
}
