//! The segments of a JPEG file before its first scan (ITU-T T.81, annex B): its frame header, its EXIF block and its
//! quantization tables.
//!
//! Called by `metadata` and `raw`, which examine many candidates, and by `quality::jpeg` and `origin`; nothing is
//! decoded here.

/// More than any camera writes before the first scan.
const MAX_SEGMENTS: usize = 1024;
/// Bytes 0xFF before one marker, of which the standard allows any number.
const MAX_FILL: usize = 64;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The marker's second byte: 0xC0 for baseline.
    pub(crate) process: u8,
    /// In pixels.
    pub(crate) width: u32,
    /// In pixels.
    pub(crate) height: u32,
}

impl FrameHeader {
    /// Whether it is a displayable picture: baseline, extended or progressive with Huffman codes. The data of raw
    /// sensors is stored lossless (0xC3).
    pub(crate) fn is_picture(&self) -> bool {
        matches!(self.process, 0xC0..=0xC2) && self.width > 0 && self.height > 0
    }
}

/// The frame header.
pub(crate) fn frame(bytes: &[u8]) -> Option<FrameHeader> {
    let (process, body) = segments(bytes).find(|(marker, _)| is_frame(*marker))?;
    let pair = |at: usize| Some(u32::from(*body.get(at)?) << 8 | u32::from(*body.get(at + 1)?));
    Some(FrameHeader { process, height: pair(1)?, width: pair(3)? })
}

/// The EXIF block: a TIFF structure.
pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    payload(bytes, 0xE1, b"Exif\0\0")
}

/// The payload of the first segment with this marker that begins so, behind that beginning.
pub(crate) fn payload<'a>(bytes: &'a [u8], marker: u8, start: &[u8]) -> Option<&'a [u8]> {
    segments(bytes).filter(|(found, _)| *found == marker).find_map(|(_, body)| body.strip_prefix(start))
}

/// Whether there is a header of JFIF, or the one of Adobe's encoders (ITU-T T.872, 6.5.3).
pub(crate) fn has_jfif_or_adobe(bytes: &[u8]) -> bool {
    segments(bytes).any(|(marker, body)| match marker {
        0xE0 => body.starts_with(b"JFIF\0"),
        0xEE => body.starts_with(b"Adobe"),
        _ => false,
    })
}

/// The quantization table of the first component, which is luminance in all but exotic files, in zigzag order.
pub(crate) fn first_quantization_table(bytes: &[u8]) -> Option<[u16; 64]> {
    // After precision, height, width and number of components: identifier, sampling factors, number of the table.
    let wanted = segments(bytes).find(|(marker, _)| is_frame(*marker)).and_then(|(_, body)| body.get(8).copied())?;
    let mut found = None;
    for (_, body) in segments(bytes).filter(|(marker, _)| *marker == 0xDB) {
        let mut rest = body;
        while let Some((&kind, values)) = rest.split_first() {
            let width = if kind >> 4 == 0 { 1 } else { 2 };
            let Some((table, after)) = values.split_at_checked(64 * width) else { break };
            if kind & 15 == wanted {
                let bytes = |at: usize| table[at * width..(at + 1) * width].iter().map(|byte| u16::from(*byte));
                // The last definition before the scan counts.
                found = Some(std::array::from_fn(|at| bytes(at).fold(0, |number, byte| number << 8 | byte)));
            }
            rest = after;
        }
    }
    found
}

/// Markers and their payloads. The last one may be truncated by the end of the bytes.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8]).unwrap_or_default();
    std::iter::from_fn(move || {
        let after_first = rest.strip_prefix(&[0xFF])?;
        let marker_at = after_first.iter().take(MAX_FILL).position(|&byte| byte != 0xFF)? + 1;
        let marker = *rest.get(marker_at)?;
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xDA) {
            return None;
        }
        let after = rest.get(marker_at + 1..)?;
        let length = usize::from(*after.first()?) << 8 | usize::from(*after.get(1)?);
        let end = length.min(after.len());
        let body = after.get(2..end)?;
        rest = after.get(end..)?;
        Some((marker, body))
    })
    .take(MAX_SEGMENTS)
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

#[cfg(test)]
mod tests;
