//! The segments of a JPEG file up to its first scan (ITU-T T.81, annex B), and what of them the decoder gets.

use super::Purpose;
use super::tables::Tables;
use crate::decode::{damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::Limits;

/// Bytes between two checks for cancellation.
const PIECE: usize = 1 << 16;

/// A component of a frame.
pub(super) struct Component {
    /// Its identifier in the headers of scans.
    pub(super) id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub(super) h: u8,
    /// Vertical sampling factor, 1 to 4.
    pub(super) v: u8,
    /// The number of its quantization steps.
    pub(super) steps: u8,
}

/// Frame header (T.81, B.2.2).
pub(super) struct JpegFrame {
    pub(super) progressive: bool,
    /// In pixels, at least 1.
    pub(super) width: u32,
    /// In pixels, at least 1.
    pub(super) height: u32,
    /// 1, 3 or 4; of a part of a TIFF file 2, too.
    pub(super) components: Vec<Component>,
    /// The transform of colours that the decoder is told, as Adobe's encoders number them (ITU-T T.872, 6.5.3).
    pub(super) transform: Option<u8>,
    /// The decoder gets other identifiers of components: it takes some for names of colours, and none that come twice.
    is_renamed: bool,
    /// All components come in one scan.
    interleaved: bool,
}

/// The parsed headers.
pub(super) struct Headers<'a> {
    pub(super) frame: JpegFrame,
    /// The tables in effect at the first scan.
    pub(super) tables: Tables<'a>,
    /// Where the first scan's header begins.
    pub(super) scans: usize,
    /// There is more between the segments than padding.
    pub(super) has_gaps: bool,
}

/// What was read of them.
struct Reading<'a> {
    tables: Tables<'a>,
    frame: Option<JpegFrame>,
    has_jfif: bool,
    /// The transform that Adobe's marker names.
    adobe: Option<u8>,
    has_gaps: bool,
}

/// Reads all segments before the first scan: those of `tables`, then those of `bytes`.
pub(super) fn headers<'a>(
    tables: &'a [u8],
    bytes: &'a [u8],
    purpose: Purpose,
    limits: &Limits<'_>,
) -> Result<Headers<'a>, PhotoError> {
    let mut reading = Reading { tables: Tables::default(), frame: None, has_jfif: false, adobe: None, has_gaps: false };
    if !tables.is_empty() {
        segments(tables, purpose, &mut reading, limits)?;
    }
    let scans = segments(bytes, purpose, &mut reading, limits)?.ok_or_else(ends)?;
    let Reading { mut tables, frame, has_jfif, adobe, has_gaps } = reading;
    let mut frame = frame.ok_or_else(|| damaged(Format::Jpeg, "its pixels come before its size"))?;
    let header = bytes.get(scans + 4..).unwrap_or_default();
    let &count = header.first().ok_or_else(ends)?;
    frame.set_colours(purpose, has_jfif, adobe);
    frame.interleaved = usize::from(count) == frame.components.len();
    if !frame.progressive {
        tables.add_defaults();
    }
    Ok(Headers { frame, tables, scans, has_gaps })
}

fn ends() -> PhotoError {
    damaged(Format::Jpeg, "it ends before its pixels begin")
}

/// Reads segments up to the first scan's header: its position. `None` if the bytes end without one.
fn segments<'a>(
    bytes: &'a [u8],
    purpose: Purpose,
    reading: &mut Reading<'a>,
    limits: &Limits<'_>,
) -> Result<Option<usize>, PhotoError> {
    let unsupported = |why| Err(unsupported(Format::Jpeg, why));
    let mut at = 2;
    let mut check_at = 0;
    loop {
        if at >= check_at {
            limits.check()?;
            check_at = at + PIECE;
        }
        // Decoders skip any bytes between segments that are no marker.
        let rest = bytes.get(at..).unwrap_or_default();
        let piece = rest.get(..PIECE).unwrap_or(rest);
        let skipped = match piece.iter().position(|&byte| byte == 0xff) {
            Some(skipped) => skipped,
            None if rest.len() <= PIECE => return Ok(None),
            None => PIECE,
        };
        at += skipped;
        reading.has_gaps |= skipped > 0;
        if skipped == PIECE {
            continue;
        }
        let Some(&marker) = bytes.get(at + 1) else { return Ok(None) };
        if matches!(marker, 0xff | 0x00 | 0x01 | 0xd0..=0xd8) {
            reading.has_gaps |= marker == 0;
            at += if marker == 0xff { 1 } else { 2 };
            continue;
        }
        if marker == 0xd9 {
            return Ok(None);
        }
        let length = match bytes.get(at + 2..at + 4) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(2),
            _ => return Ok(None),
        };
        let Some(segment) = bytes.get(at + 4..at + 2 + length) else { return Ok(None) };
        match marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => return unsupported("lossless JPEG"),
            0xc5 | 0xc6 | 0xcd | 0xce => return unsupported("hierarchical JPEG"),
            0xc9 | 0xca => return unsupported("arithmetic coding"),
            0xc0..=0xc2 if reading.frame.is_some() => return Err(damaged(Format::Jpeg, "it gives its size twice")),
            0xc0..=0xc2 => reading.frame = Some(frame(marker, segment, purpose)?),
            0xda => return Ok(Some(at)),
            0xc4 | 0xdb | 0xdd => {
                let read = reading.tables.read(marker, segment);
                read.ok_or_else(|| damaged(Format::Jpeg, "its tables are malformed"))?;
            }
            0xe0 => reading.has_jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0"),
            0xee => {
                let transform = segment.strip_prefix(b"Adobe").and_then(|body| body.get(6));
                reading.adobe = transform.copied().or(reading.adobe);
            }
            _ => {}
        }
        at += 2 + length;
    }
}

fn frame(marker: u8, segment: &[u8], purpose: Purpose) -> Result<JpegFrame, PhotoError> {
    let damaged = |why| Err(damaged(Format::Jpeg, why));
    let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else { return Err(ends()) };
    let unsupported = |why: &str| Err(unsupported(Format::Jpeg, why));
    if precision != 8 {
        return unsupported(&format!("{precision} bits a sample"));
    }
    let components = rest.chunks_exact(3).take(count.into());
    let mut components: Vec<_> =
        components.map(|c| Component { id: c[0], h: c[1] >> 4, v: c[1] & 15, steps: c[2] }).collect();
    let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
    if width > 0 && height == 0 {
        return unsupported("a height that comes behind the pixels");
    }
    if width == 0 {
        return damaged("it has no width");
    }
    if components.len() != usize::from(count) || count == 0 {
        return damaged("its components are wrong in number");
    }
    if count > 4 || count == 2 && purpose == Purpose::Picture {
        return unsupported(&format!("{count} components"));
    }
    if !components.iter().all(|c| (1..=4).contains(&c.h) && (1..=4).contains(&c.v)) {
        return damaged("its components are sampled in an impossible way");
    }
    if let [component] = &mut components[..] {
        (component.h, component.v) = (1, 1); // a block is a unit, whatever they are
    }
    let progressive = marker == 0xc2;
    let frame =
        JpegFrame { progressive, width, height, components, transform: None, is_renamed: false, interleaved: true };
    if frame.is_sampled_as_usual() { Ok(frame) } else { unsupported("components that are sampled so unequally") }
}

impl JpegFrame {
    /// Says what the colours are, as libjpeg has it: three components are red, green and blue if they are named so or
    /// by Adobe's marker, but not with a header of JFIF; four are cyan, magenta, yellow and black, unless transformed.
    fn set_colours(&mut self, purpose: Purpose, has_jfif: bool, adobe: Option<u8>) {
        let ids: Vec<u8> = self.components.iter().map(|component| component.id).collect();
        let is_named = ids == *b"RGB";
        let is_rgb = !has_jfif && adobe.map_or(is_named, |transform| transform == 0);
        self.transform = match (purpose, ids.len()) {
            (Purpose::Picture, 3) => Some(if is_rgb { 0 } else { 1 }),
            (Purpose::Picture, 4) => adobe.map(|transform| if transform == 0 { 0 } else { 2 }),
            _ => None,
        };
        let comes_twice = |(index, id): (usize, &u8)| ids[..index].contains(id);
        self.is_renamed = is_named && !is_rgb || ids.iter().enumerate().any(comes_twice);
    }

    /// Whether the decoder places the samples of all components rightly. It takes the first for one that is sampled
    /// most often, and has room for interpolated or repeated rows only of components with one row of blocks in a
    /// unit, or two beside a first one with two; and it cannot do both to one picture.
    fn is_sampled_as_usual(&self) -> bool {
        let (h, v) = self.largest();
        let ratios = |c: &Component| (h / u32::from(c.h), v / u32::from(c.v));
        let is_smooth = |c: &Component| matches!(ratios(c), (1 | 2, 2));
        let is_plain = |c: &Component| matches!(ratios(c), (1 | 2, 1));
        let is_whole = |c: &Component| c.h != 3 && v % u32::from(c.v) == 0;
        let Some(first) = self.components.first() else { return false };
        let has_room = |c: &Component| c.v == 1 || c.v == 2 && first.v == 2 && v == 2;
        let mut others = self.components.iter().filter(|c| !is_plain(c));
        u32::from(first.h) == h
            && self.components.iter().all(is_whole)
            && others.clone().all(has_room)
            && (others.clone().all(is_smooth) || !others.any(is_smooth))
    }

    /// The identifier of a component in the file that the decoder gets.
    pub(super) fn id(&self, index: usize) -> u8 {
        match self.components.get(index) {
            Some(component) if !self.is_renamed => component.id,
            _ => index as u8 + 1,
        }
    }

    /// The largest horizontal and vertical sampling factors.
    fn largest(&self) -> (u32, u32) {
        let largest = |side: fn(&Component) -> u8| self.components.iter().map(side).max().map_or(1, u32::from);
        (largest(|c| c.h), largest(|c| c.v))
    }

    /// Units of a scan of all components, across and down (T.81, A.2.3).
    pub(super) fn units(&self) -> (usize, usize) {
        let (h, v) = self.largest();
        (self.width.div_ceil(8 * h) as usize, self.height.div_ceil(8 * v) as usize)
    }

    /// Blocks of a component, across and down, in a scan of its own (T.81, A.1.1, A.2.2).
    pub(super) fn blocks(&self, index: usize) -> (usize, usize) {
        let Some(component) = self.components.get(index) else { return (0, 0) };
        let (h, v) = self.largest();
        let blocks = |pixels: u32, factor: u8, largest| (pixels * u32::from(factor)).div_ceil(8 * largest) as usize;
        (blocks(self.width, component.h, h), blocks(self.height, component.v, v))
    }

    /// What the decoder allocates in addition to the output, in bytes: for a picture in several scans, all
    /// coefficients; otherwise some rows. What is allocated before it is less.
    pub(super) fn working_memory(&self) -> u64 {
        let (h, v) = self.largest();
        let units = self.units();
        let units = units.0 as u64 * units.1 as u64;
        let blocks: u64 = self.components.iter().map(|c| u64::from(c.h) * u64::from(c.v)).sum();
        let width = u64::from(self.width.next_multiple_of(64));
        let rows = 40 * width * self.components.len() as u64 * u64::from(h.max(v));
        if self.in_several_scans() { units * blocks * 128 + rows } else { rows }
    }

    pub(super) fn in_several_scans(&self) -> bool {
        self.progressive || !self.interleaved
    }

    /// Whether the decoder gets it as a progressive picture.
    pub(super) fn is_split(&self) -> bool {
        !self.progressive && !self.interleaved
    }
}
