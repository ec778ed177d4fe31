//! Width and height of the full picture in a raw file, other than its previews.
//!
//! Called by the module above. EXIF's own width and height are often those of the preview, and the first directory's
//! those of the thumbnail.

use std::ops::Range;

use super::area;
use crate::boxes;
use crate::format::Format;
use crate::ifd::{self, ByteOrder, Ifd, Tiff};

/// Records of Fujifilm's header that are examined.
const MAX_RECORDS: u64 = 256;

/// The largest size in the file's directories, in pixels.
pub(super) fn dimensions(bytes: &[u8], format: Format) -> Option<(u32, u32)> {
    if format == Format::Raf {
        return fujifilm(bytes);
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

fn sides(width: u64, height: u64) -> Option<(u32, u32)> {
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    (width > 0 && height > 0).then_some((width, height))
}
