//! The date of an IPTC block (IIM 4.2), and the blocks among Photoshop's image resources.
//!
//! Called by `packets`, with untrusted bytes. Nothing is copied but the date.

use crate::ifd::ByteOrder;

/// Records or resources of one block that are examined.
const MAX_RECORDS: usize = 4096;
/// The number of the resource with an IPTC block.
pub(super) const IPTC: u64 = 0x0404;

/// The number of the resource with an EXIF block.
pub(super) const EXIF: u64 = 0x0422;
/// The number of the resource with an XMP packet.
pub(super) const XMP: u64 = 0x0424;

/// The resources of a Photoshop document: the third part, behind the header of 26 bytes and the colour data.
pub(super) fn of_photoshop(bytes: &[u8]) -> Option<&[u8]> {
    let after = |bytes: &[u8]| usize::try_from(ByteOrder::Big.number(bytes.get(..4)?)).ok();
    let colours = bytes.get(26..)?;
    let resources = colours.get(after(colours)?.checked_add(4)?..)?;
    let length = after(resources)?;
    let body = resources.get(4..)?;
    Some(body.get(..length).unwrap_or(body))
}

/// A resource of Photoshop by its number: after `8BIM`, the number, a name of even length, the length, the data and a
/// byte to make that even (Adobe Photoshop File Formats Specification).
pub(super) fn resource(bytes: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        let after = rest.strip_prefix(b"8BIM")?;
        let number = ByteOrder::Big.number(after.get(..2)?);
        let name = usize::from(*after.get(2)?) + 1;
        let body = after.get(2 + name.next_multiple_of(2)..)?;
        let length = usize::try_from(ByteOrder::Big.number(body.get(..4)?)).ok()?;
        let data = body.get(4..)?;
        if number == wanted {
            return Some(data.get(..length).unwrap_or(data));
        }
        rest = data.get(length.checked_next_multiple_of(2)?..)?;
    }
    None
}

/// Date and time created, otherwise those of digitization, in EXIF's form: `2023:04:15 14:32:18+02:00`.
pub(super) fn date(bytes: &[u8]) -> Option<String> {
    let of = |day: u8, time: u8| {
        let day = record(bytes, day).filter(|day| day.len() == 8 && day.iter().all(u8::is_ascii_digit))?;
        let day = std::str::from_utf8(day).ok()?;
        let time = record(bytes, time).and_then(|time| clock(std::str::from_utf8(time).ok()?)).unwrap_or_default();
        Some(format!("{}:{}:{}{time}", &day[..4], &day[4..6], &day[6..]))
    };
    of(55, 60).or_else(|| of(62, 63))
}

/// ` 14:32:18+02:00` of `143218+0200`.
fn clock(text: &str) -> Option<String> {
    let (time, offset) = text.split_at_checked(6)?;
    let is_offset = |offset: &str| {
        offset.len() == 5 && offset.starts_with(['+', '-']) && offset.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    };
    time.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    let offset = if is_offset(offset) { format!("{}:{}", &offset[..3], &offset[3..]) } else { String::new() };
    Some(format!(" {}:{}:{}{offset}", &time[..2], &time[2..4], &time[4..]))
}

/// The first data set of record 2 with this number.
fn record(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        let [0x1C, record, number, high, low, body @ ..] = rest else { return None };
        // An extended length, of 32 KiB and more, is none of a date.
        let length = usize::from(*high) << 8 | usize::from(*low);
        let (data, after) = body.split_at_checked(length)?;
        if (*record, *number) == (2, wanted) {
            return Some(data);
        }
        rest = after;
    }
    None
}
