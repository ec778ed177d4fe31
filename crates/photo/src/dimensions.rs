//! Width and height of a picture by its header, without decoding it.

use crate::format::Format;
use crate::ifd::{self, Tiff};
use crate::jxl::Header;
use crate::{boxes, metadata, segments};

/// In pixels, as stored; `None` if the header does not say, or if the format is not read here: for raw files the
/// metadata has the sensor's size.
pub fn dimensions(bytes: &[u8], format: Format) -> Option<(u32, u32)> {
    let found = match format {
        Format::Jpeg => segments::frame(bytes).map(|frame| (frame.width, frame.height)),
        Format::Png => Some((big(bytes, 16)?, big(bytes, 20)?)),
        Format::Gif => Some((little(bytes, 6)?, little(bytes, 8)?)),
        Format::Bmp => bmp(bytes),
        Format::WebP => webp(bytes),
        Format::Tiff => tiff(bytes),
        Format::Heic | Format::Avif => metadata::dimensions_of_heif(bytes),
        Format::Jxl => Header::read(bytes).map(|header| header.size),
        Format::Jp2 => jpeg2000(bytes),
        Format::Psd => big(bytes, 18).zip(big(bytes, 14)),
        Format::Ico => icon(bytes),
        Format::Pnm => netpbm(bytes),
        Format::Tga => little(bytes, 12).zip(little(bytes, 14)),
        _ => None,
    };
    found.filter(|&(width, height)| width > 0 && height > 0)
}

fn at<const LENGTH: usize>(bytes: &[u8], offset: usize) -> Option<[u8; LENGTH]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// A big-endian `u32`.
fn big(bytes: &[u8], offset: usize) -> Option<u32> {
    at(bytes, offset).map(u32::from_be_bytes)
}

/// A little-endian `u16`.
fn little(bytes: &[u8], offset: usize) -> Option<u32> {
    at(bytes, offset).map(u16::from_le_bytes).map(u32::from)
}

fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = at(bytes, 14).map(u32::from_le_bytes)?;
    if header == 12 {
        return Some((little(bytes, 18)?, little(bytes, 20)?));
    }
    let side = |offset| at(bytes, offset).map(i32::from_le_bytes);
    // A negative height means that rows are stored from the top.
    Some((u32::try_from(side(18)?).ok()?, side(22)?.unsigned_abs()))
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let three = |offset| at::<3>(bytes, offset).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]) + 1);
    match &at::<4>(bytes, 12)? {
        b"VP8X" => Some((three(24)?, three(27)?)),
        b"VP8L" => {
            let bits = at(bytes, 21).map(u32::from_le_bytes)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((little(bytes, 26)? & 0x3fff, little(bytes, 28)? & 0x3fff)),
        _ => None,
    }
}

/// By the box `ihdr`, or the segment SIZ that a codestream begins with (ISO/IEC 15444-1, A.5.1 and I.5.3.1).
fn jpeg2000(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.starts_with(b"\xFF\x4F") {
        let side = |end, start| big(bytes, end)?.checked_sub(big(bytes, start)?);
        return Some((side(8, 16)?, side(12, 20)?));
    }
    let header = boxes::descend(bytes, 0..bytes.len(), &[b"jp2h", b"ihdr"])?;
    Some((big(bytes, header.start.checked_add(4)?)?, big(bytes, header.start)?))
}

/// The largest of an icon's pictures; a side of 0 is one of 256.
fn icon(bytes: &[u8]) -> Option<(u32, u32)> {
    let count = usize::try_from(little(bytes, 4)?).ok()?;
    let side = |at: usize| bytes.get(at).map(|&side| if side == 0 { 256 } else { u32::from(side) });
    let sizes = (0..count).map_while(|index| side(6 + 16 * index).zip(side(7 + 16 * index)));
    sizes.max_by_key(|&(width, height)| width * height)
}

/// Two numbers behind the two letters; comments run from `#` to the end of a line.
fn netpbm(bytes: &[u8]) -> Option<(u32, u32)> {
    let head = bytes.get(2..bytes.len().min(4096))?;
    let mut is_comment = false;
    let plain = head.iter().filter_map(|&byte| {
        is_comment = byte == b'#' || (is_comment && byte != b'\n');
        (!is_comment).then_some(char::from(byte))
    });
    let text: String = plain.collect();
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn tiff(bytes: &[u8]) -> Option<(u32, u32)> {
    let page = Tiff::open(bytes)?.first()?;
    let side = |tag| u32::try_from(page.number(tag)?).ok();
    Some((side(ifd::WIDTH)?, side(ifd::HEIGHT)?))
}

#[cfg(test)]
mod tests;
