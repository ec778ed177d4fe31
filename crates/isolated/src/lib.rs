//! How to speak to `lumina-decoder`, the program that decodes pictures of formats without a decoder in safe Rust.
//!
//! Such a decoder does not run inside a server. The program gets bytes by its standard input, returns samples by its
//! standard output, and has no right to anything else: see `decoder/sandbox.rs`. It decodes the items of one file, one
//! after the other, and ends with its input.
//!
//! All numbers are little-endian. Input: [`Start`]; then for each item its length (8 bytes) and bytes. Output:
//! [`Reply::Ready`]; then for each item a [`Reply`], and the samples of a frame in strips from the top: of a strip the
//! rows of the first plane, [`Layout::rows`] or what is left of them, and a row of each chroma plane. Rows have no
//! gaps; a sample is a byte, or two where it has more than 8 bits. [`client`] speaks to it.

#[cfg(feature = "client")]
pub mod client;

/// What the program is called.
pub const PROGRAM: &str = "lumina-decoder";

/// The statuses with which the program ends where it can answer no more.
pub mod exit {
    /// The memory that it may use is spent.
    pub const MEMORY: i32 = 12;
    /// What it was told makes no sense to it.
    pub const LANGUAGE: i32 = 22;
}

/// The first bytes of the input: this form of it.
const MAGIC: [u8; 4] = *b"LD2\n";

/// Processor time of any file, and pixels that take a second more: the slowest decode some ten times as many.
const SECONDS: u64 = 10;
const PIXELS_A_SECOND: u64 = 250_000;

/// What the items are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// AV1: temporal units in the low-overhead format, of which the first frame that is shown is the picture.
    Av1,
    /// JPEG XL: a codestream, or a file of it.
    JpegXl,
}

impl Codec {
    const ALL: [Self; 2] = [Self::Av1, Self::JpegXl];
}

/// What the program is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Of all items.
    pub codec: Codec,
    /// The most pixels of all frames together: width times height.
    pub pixels: u32,
    /// The most memory that the program may use, beside its own code, in bytes.
    pub memory: u64,
}

impl Start {
    /// In bytes.
    pub const LENGTH: usize = 24;

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.pixels.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.memory.to_le_bytes());
        bytes[16] = number(&Codec::ALL, self.codec);
        bytes
    }

    /// The processor time that the program may use, in seconds.
    pub fn seconds(&self) -> u64 {
        SECONDS + u64::from(self.pixels) / PIXELS_A_SECOND
    }

    /// `None` if it is of another version.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let [m0, m1, m2, m3, p0, p1, p2, p3, rest @ ..] = bytes;
        let [memory @ .., codec, 0, 0, 0, 0, 0, 0, 0] = rest else { return None };
        let codec = *Codec::ALL.get(usize::from(codec))?;
        let pixels = u32::from_le_bytes([p0, p1, p2, p3]);
        ([m0, m1, m2, m3] == MAGIC).then(|| Start { codec, pixels, memory: u64::from_le_bytes(memory) })
    }
}

/// The number of a value: its place in the list of all.
fn number<T: PartialEq>(all: &[T], value: T) -> u8 {
    all.iter().position(|one| *one == value).unwrap_or_default() as u8
}

/// How the planes of a frame lie over each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Luma only.
    Monochrome,
    /// Chroma at half the width and half the height.
    Yuv420,
    /// Chroma at half the width.
    Yuv422,
    /// Chroma for each pixel.
    Yuv444,
    /// One plane of red, green and blue, 8 bits each, pixel after pixel.
    Rgb,
}

impl Layout {
    /// All: those of AV1 in the order of their numbers in its decoders.
    pub const ALL: [Self; 5] = [Self::Monochrome, Self::Yuv420, Self::Yuv422, Self::Yuv444, Self::Rgb];

    /// Samples of a pixel in the first plane.
    pub fn channels(self) -> usize {
        if self == Self::Rgb { 3 } else { 1 }
    }

    /// Rows of the first plane in a strip, in which there is one of each chroma plane.
    pub fn rows(self) -> u32 {
        if self == Self::Yuv420 { 2 } else { 1 }
    }

    /// Width and height of a chroma plane, in samples; `None` where there is none.
    pub fn chroma(self, width: u32, height: u32) -> Option<(u32, u32)> {
        match self {
            Self::Monochrome | Self::Rgb => None,
            Self::Yuv420 => Some((width.div_ceil(2), height.div_ceil(2))),
            Self::Yuv422 => Some((width.div_ceil(2), height)),
            Self::Yuv444 => Some((width, height)),
        }
    }
}

/// A decoded frame, without its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// In pixels, at least 1.
    pub width: u32,
    /// In pixels, at least 1.
    pub height: u32,
    /// Of a sample: 8, 10 or 12; 8 of colours.
    pub bits: u8,
    /// Which planes there are.
    pub layout: Layout,
    /// Primaries (ISO/IEC 23091-2, 8.1), as the stream says; 2 where it does not.
    pub primaries: u8,
    /// Transfer characteristics (ISO/IEC 23091-2, 8.2).
    pub transfer: u8,
    /// Matrix coefficients (ISO/IEC 23091-2, 8.3).
    pub matrix: u8,
    /// Whether samples use all of their values.
    pub full_range: bool,
}

impl Frame {
    /// Bytes of a sample: 1 or 2.
    pub fn sample(&self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }
}

/// Why an item yields no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are none of the codec, or end early.
    Damaged,
    /// It has more pixels than allowed.
    TooLarge,
    /// It needs more memory than allowed.
    Memory,
    /// The kernel does not offer what keeps the program from anything else.
    NoSandbox,
    /// The program is built without a decoder of the codec.
    NotBuilt,
    /// It is of a kind that the decoder does not know.
    Unsupported,
}

impl Refusal {
    const ALL: [Self; 6] =
        [Self::Damaged, Self::TooLarge, Self::Memory, Self::NoSandbox, Self::NotBuilt, Self::Unsupported];
}

/// What the program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It has given up its rights, and waits for items.
    Ready,
    /// The first frame of an item; the samples follow.
    Frame(Frame),
    /// There is none, or there will be none.
    Refused(Refusal),
}

impl Reply {
    /// In bytes.
    pub const LENGTH: usize = 16;

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        match self {
            Self::Ready => bytes[0] = 2,
            Self::Frame(frame) => {
                bytes[0] = 1;
                bytes[1] = number(&Layout::ALL, frame.layout);
                bytes[2] = frame.bits;
                bytes[3..8].copy_from_slice(&[
                    frame.primaries,
                    frame.transfer,
                    frame.matrix,
                    u8::from(frame.full_range),
                    0,
                ]);
                bytes[8..12].copy_from_slice(&frame.width.to_le_bytes());
                bytes[12..].copy_from_slice(&frame.height.to_le_bytes());
            }
            Self::Refused(refusal) => {
                bytes[1] = number(&Refusal::ALL, refusal);
            }
        }
        bytes
    }

    /// `None` if it makes no sense: its sender is not to be trusted.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let [kind, which, bits, primaries, transfer, matrix, full_range, 0, size @ ..] = bytes else { return None };
        match kind {
            0 => Refusal::ALL.get(usize::from(which)).copied().map(Self::Refused),
            1 => {
                let size = u64::from_le_bytes(size);
                let (width, height) = (size as u32, (size >> 32) as u32);
                let layout = *Layout::ALL.get(usize::from(which))?;
                let depths: &[u8] = if layout == Layout::Rgb { &[8] } else { &[8, 10, 12] };
                let makes_sense = width > 0 && height > 0 && depths.contains(&bits) && full_range <= 1;
                let full_range = full_range == 1;
                makes_sense.then_some(Self::Frame(Frame {
                    width,
                    height,
                    bits,
                    layout,
                    primaries,
                    transfer,
                    matrix,
                    full_range,
                }))
            }
            2 => Some(Self::Ready),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_read() {
        for codec in Codec::ALL {
            let start = Start { codec, pixels: 0x0102_0304, memory: 0x0506_0708_090a_0b0c };
            assert_eq!(Start::from_bytes(start.to_bytes()), Some(start));
        }
        for layout in Layout::ALL {
            for bits in [8, 10, 12] {
                if layout == Layout::Rgb && bits > 8 {
                    continue;
                }
                let (primaries, transfer, matrix, full_range) = (1, 13, 6, bits == 10);
                let frame = Frame { width: 7, height: 70_000, bits, layout, primaries, transfer, matrix, full_range };
                assert_eq!(Reply::from_bytes(Reply::Frame(frame).to_bytes()), Some(Reply::Frame(frame)));
            }
        }
        assert_eq!(Reply::from_bytes(Reply::Ready.to_bytes()), Some(Reply::Ready));
        for refusal in Refusal::ALL {
            assert_eq!(Reply::from_bytes(Reply::Refused(refusal).to_bytes()), Some(Reply::Refused(refusal)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(Start::from_bytes([0; Start::LENGTH]), None);
        let start = Start { codec: Codec::Av1, pixels: 1, memory: 1 }.to_bytes();
        for (at, byte) in [(3, 0), (16, 2), (17, 1), (23, 1)] {
            let mut bytes = start;
            bytes[at] = byte;
            assert_eq!(Start::from_bytes(bytes), None, "byte {at} = {byte}");
        }
        let whole = Reply::Frame(Frame {
            width: 1,
            height: 1,
            bits: 8,
            layout: Layout::Yuv420,
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: true,
        });
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.to_bytes();
            bytes[at] = byte;
            Reply::from_bytes(bytes)
        };
        assert_eq!(with(0, 1), Some(whole));
        for (at, byte) in [(0, 3), (1, 5), (2, 9), (2, 0), (6, 2), (7, 1), (8, 0), (12, 0)] {
            assert_eq!(with(at, byte), None, "byte {at} = {byte}");
        }
        let mut refused = Reply::Refused(Refusal::Damaged).to_bytes();
        refused[1] = 6;
        assert_eq!(Reply::from_bytes(refused), None);
    }

    #[test]
    fn planes_cover_odd_sides() {
        let chroma = Layout::ALL.map(|layout| layout.chroma(5, 3));
        assert_eq!(chroma, [None, Some((3, 2)), Some((3, 3)), Some((5, 3)), None]);
        assert_eq!(Layout::ALL.map(Layout::rows), [1, 2, 1, 1, 1]);
    }
}
