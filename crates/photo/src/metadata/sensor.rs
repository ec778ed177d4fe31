//! Width and height of the full picture in a raw file, other than its previews.
//!
//! Called by the module above. EXIF's own width and height are often those of the preview, and the first directory's
//! those of the thumbnail.

use std::ops::Range;

use super::area;
use crate::format::Format;
use crate::ifd::{self, ByteOrder, Ifd, Tiff};
use crate::{boxes, raw};

/// Records of Fujifilm's header that are examined.
const MAX_RECORDS: u64 = 256;

/// The largest size in the file's directories, in pixels.
pub(super) fn dimensions(bytes: &[u8], format: Format) -> Option<(u32, u32)> {
    match format {
        Format::Raf => return fujifilm(bytes),
        Format::Mrw => return minolta(bytes),
        Format::X3f => return sigma(bytes),
        Format::Raw if raw::is_phase_one(bytes) => return phase_one(bytes),
        _ => {}
    }
    let directories = Tiff::open(bytes)?.directories();
    let of = |directory: &Ifd<'_>| plain(directory).or_else(|| panasonic(directory).filter(|_| format == Format::Rw2));
    directories.iter().filter_map(of).max_by_key(|&size| area(size))
}

fn plain(directory: &Ifd<'_>) -> Option<(u32, u32)> {
    sides(directory.number(ifd::WIDTH)?, directory.number(ifd::HEIGHT)?)
}

/// Panasonic gives the borders of the picture on the sensor: top, left, bottom, right.
fn panasonic(directory: &Ifd<'_>) -> Option<(u32, u32)> {
    let [top, left, bottom, right] = [4, 5, 6, 7].map(|tag| directory.number(tag));
    sides(right?.checked_sub(left?)?, bottom?.checked_sub(top?)?)
}

/// Fujifilm's header says at byte 92 where records are; the one of number 0x0111 is the height and the width of the
/// picture on the sensor.
fn fujifilm(bytes: &[u8]) -> Option<(u32, u32)> {
    let whole: Range<usize> = 0..bytes.len();
    let mut at = usize::try_from(boxes::number(bytes, &whole, 92, 4)?).ok()?;
    let records = boxes::number(bytes, &whole, at, 4)?.min(MAX_RECORDS);
    at = at.checked_add(4)?;
    for _ in 0..records {
        let body = at.checked_add(4)?;
        let head = bytes.get(at..body)?;
        let (number, length) = (ByteOrder::Big.number(&head[..2]), ByteOrder::Big.number(&head[2..]));
        if number == 0x0111 && length == 4 {
            return sides(
                boxes::number(bytes, &whole, body.checked_add(2)?, 2)?,
                boxes::number(bytes, &whole, body, 2)?,
            );
        }
        at = body.checked_add(usize::try_from(length).ok()?)?;
    }
    None
}

/// Phase One's own directory: at byte 16 is its offset from byte 8; it has entries of a tag, a type, a length and a
/// number, each of four bytes.
fn phase_one(bytes: &[u8]) -> Option<(u32, u32)> {
    const WIDTH: u64 = 0x010C;
    const HEIGHT: u64 = 0x010D;
    let block = bytes.get(8..)?;
    let order = ByteOrder::of(block.get(..2)?)?;
    let number = |at: usize| Some(order.number(block.get(at..at.checked_add(4)?)?));
    let directory = usize::try_from(number(8)?).ok()?;
    let entries = usize::try_from(number(directory)?.min(MAX_RECORDS)).ok()?;
    let find = |tag| {
        let places = (0..entries).map_while(|index| directory.checked_add(8 + 16 * index));
        places.take_while(|&at| number(at).is_some()).find(|&at| number(at) == Some(tag)).and_then(|at| number(at + 12))
    };
    sides(find(WIDTH)?, find(HEIGHT)?)
}

/// Minolta's first block, PRD: behind its name, its length and a version of eight bytes are height and width of the
/// sensor, and of the picture.
fn minolta(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(ByteOrder::Big.number(bytes.get(at..at + 2)?));
    (bytes.get(8..12)? == b"\0PRD").then_some(())?;
    sides(number(30)?, number(28)?)
}

/// Sigma's header has the columns at byte 28 and the rows at 32.
fn sigma(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(ByteOrder::Little.number(bytes.get(at..at + 4)?));
    sides(number(28)?, number(32)?)
}

fn sides(width: u64, height: u64) -> Option<(u32, u32)> {
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    (width > 0 && height > 0).then_some((width, height))
}
