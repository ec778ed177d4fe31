//! The header of JPEG XL: width, height and orientation (ISO/IEC 18181-1, D.2 and D.3; 18181-2 for the boxes).
//!
//! Called by `dimensions` and `metadata`. Bits are read from the least significant one of each byte on.

use std::borrow::Cow;

use crate::boxes;
use crate::orientation::Orientation;

const SIGNATURE: &[u8] = b"\xFF\x0A";
/// The longest header up to the orientation, in bytes: the signature and 73 bits.
const HEADER: usize = 12;

/// The first fields of a codestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// In pixels, as stored.
    pub(crate) size: (u32, u32),
    /// How the stored picture is to be turned. EXIF's orientation does not count.
    pub(crate) orientation: Orientation,
}

impl Header {
    /// Of the codestream, bare or in a box, or in parts.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let start = if bytes.starts_with(SIGNATURE) { bytes.into() } else { boxed(bytes) };
        let mut bits = Bits { bytes: start.strip_prefix(SIGNATURE)?, at: 0 };
        let size = size(&mut bits)?;
        Some(Header { size, orientation: orientation(&mut bits).unwrap_or_default() })
    }
}

/// The first bytes of the codestream in a file of boxes, whose parts may be short.
fn boxed(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut start = Vec::new();
    for found in boxes::boxes(bytes, 0..bytes.len()) {
        let body = bytes.get(found.body).unwrap_or_default();
        let part = match &found.kind {
            b"jxlc" => body,
            // Behind its number.
            b"jxlp" => body.get(4..).unwrap_or_default(),
            _ => continue,
        };
        start.extend_from_slice(part.get(..HEADER - start.len()).unwrap_or(part));
        if start.len() == HEADER {
            break;
        }
    }
    start.into()
}

fn size(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    const RATIOS: [(u64, u64); 7] = [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)];
    let is_small = bits.take(1)? == 1;
    let height = side(bits, is_small)?;
    let width = match bits.take(3)? {
        0 => side(bits, is_small)?,
        ratio => {
            let (wide, high) = RATIOS.get(ratio as usize - 1)?;
            u32::try_from(u64::from(height) * wide / high).ok()?
        }
    };
    Some((width, height))
}

/// A side of few bits in eights, or of a length that comes first.
fn side(bits: &mut Bits<'_>, is_small: bool) -> Option<u32> {
    if is_small {
        return Some((bits.take(5)? + 1) * 8);
    }
    let length = [9, 13, 18, 30].get(bits.take(2)? as usize).copied()?;
    Some(bits.take(length)? + 1)
}

/// `None` where all fields of the picture, or the rarer of them, have their default.
fn orientation(bits: &mut Bits<'_>) -> Option<Orientation> {
    let all_default = bits.take(1)? == 1;
    if all_default || bits.take(1)? == 0 {
        return None;
    }
    Orientation::from_exif(bits.take(3)? + 1)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next bits as a number, 30 at most.
    fn take(&mut self, count: usize) -> Option<u32> {
        let bit = |at: usize| Some(u32::from(self.bytes.get(at / 8)? >> (at % 8) & 1));
        let number = (0..count).try_fold(0, |number, place| Some(number | bit(self.at + place)? << place))?;
        self.at += count;
        Some(number)
    }
}
