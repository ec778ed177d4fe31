//! A writer of WebP files.

pub(crate) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = [kind, &(body.len() as u32).to_le_bytes()[..], body].concat();
    if body.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

pub(crate) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [b"RIFF", &(body.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &body].concat()
}

/// The canvas. Flags: 16 alpha, 2 animation.
pub(crate) fn canvas(width: u32, height: u32, flags: u8) -> Vec<u8> {
    let (width, height) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    chunk(b"VP8X", &[&[flags, 0, 0, 0], &width[..3], &height[..3]].concat())
}

/// A frame of an animation that fills its canvas.
pub(crate) fn frame(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let (width, height) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    let head = [&[0; 6], &width[..3], &height[..3], &[0; 4]].concat();
    chunk(b"ANMF", &[head, chunks.concat()].concat())
}

pub(crate) fn animation() -> Vec<u8> {
    chunk(b"ANIM", &[0; 6])
}

/// Bits, the lowest first.
#[derive(Default)]
pub(crate) struct Bits {
    pub(crate) bytes: Vec<u8>,
    held: u32,
}

impl Bits {
    pub(crate) fn put(&mut self, value: u32, width: u32) {
        for bit in 0..width {
            if self.held == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << self.held;
            self.held = (self.held + 1) % 8;
        }
    }

    /// Five codes of one symbol each: no bits a pixel.
    fn single(&mut self, green: u32) {
        self.put(0b101, 3); // simple, one symbol, of 8 bits
        self.put(green, 8);
        (0..4).for_each(|_| self.put(0b0001, 4));
    }
}

/// A lossless picture of one colour, of any size, in few bytes; with `filters`, all transforms of pixels.
pub(crate) fn flat(width: u32, height: u32, filters: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2f, 8);
    bits.put(width - 1, 14);
    bits.put(height - 1, 14);
    bits.put(0, 4);
    if filters {
        for transform in [0, 1] {
            bits.put(1, 1);
            bits.put(transform, 2);
            bits.put(0, 3); // blocks of 4 x 4
            bits.put(0, 1);
            bits.single(11); // the predictor that takes the most time
        }
        bits.put(0b101, 3); // green is subtracted
    }
    bits.put(0, 1); // no transform
    bits.put(0, 1); // no cache
    bits.put(0, 1); // one group
    bits.single(7);
    chunk(b"VP8L", &bits.bytes)
}

/// A lossless picture of one pixel and `groups` groups of codes, each with the largest tables.
pub(crate) fn groups(groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2f, 8);
    bits.put(0, 28);
    bits.put(0, 4);
    bits.put(0, 2); // no transform, no cache
    bits.put(1, 1);
    bits.put(0, 3);
    bits.put(0, 1); // the picture of groups: no cache
    let last = groups - 1;
    for symbol in [last & 255, last >> 8, 0, 0] {
        bits.put(0b101, 3);
        bits.put(symbol, 8);
    }
    bits.put(0b0001, 4);
    // Eleven symbols with lengths of 1 to 10 bits: the fewest that fill a table of 1,024 entries.
    let lengths: Vec<u32> = (1..=10).chain([10]).collect();
    let code = |length: u32| if length <= 6 { (length - 1, 3) } else { (12 + length - 7, 4) };
    for _ in 0..5 * groups {
        bits.put(0, 1);
        bits.put(10, 4); // lengths of the codes 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            bits.put(length, 3);
        }
        bits.put(1, 1);
        bits.put(1, 3);
        bits.put(9, 4); // eleven
        for &length in &lengths {
            let (code, width) = code(length);
            bits.put(code.reverse_bits() >> (32 - width), width);
        }
    }
    chunk(b"VP8L", &bits.bytes)
}

/// The header of a lossy picture, with nothing behind it.
pub(crate) fn lossy_header(width: u16, height: u16) -> Vec<u8> {
    let ([w0, w1], [h0, h1]) = (width.to_le_bytes(), height.to_le_bytes());
    chunk(b"VP8 ", &[0x10, 0, 0, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, 0, 0, 0, 0])
}
