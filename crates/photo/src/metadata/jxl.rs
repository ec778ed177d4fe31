//! Boxes of JPEG XL with metadata, as they are or compressed with Brotli (ISO/IEC 18181-2; RFC 7932).
//!
//! Called by the modules beside this one. At most [`MAX_BOX`] bytes are decompressed, with a window of at most
//! [`MAX_WINDOW`] bits, by which the decompressor allocates; libjxl's programs write 22.

use std::borrow::Cow;
use std::io::Read;

use brotli_decompressor::Decompressor;

use crate::boxes;

/// In bytes, of one decompressed box.
const MAX_BOX: u64 = 1 << 20;
const MAX_WINDOW: u8 = 22;
/// Bytes that the decompressor takes at once.
const BUFFER: usize = 4096;

/// The contents of the first box of a kind.
pub(super) fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<Cow<'a, [u8]>> {
    let whole = 0..bytes.len();
    if let Some(body) = boxes::find(bytes, whole.clone(), kind) {
        return bytes.get(body).map(Cow::from);
    }
    let mut compressed = boxes::boxes(bytes, whole).filter(|found| found.kind == *b"brob");
    compressed.find_map(|found| decompressed(bytes.get(found.body)?.strip_prefix(kind)?)).map(Cow::from)
}

/// What can be decompressed; `None` if the window is too large.
fn decompressed(stream: &[u8]) -> Option<Vec<u8>> {
    if window(*stream.first()?)? > MAX_WINDOW {
        return None;
    }
    let mut body = Vec::new();
    // What a broken stream yields before its damage is kept.
    let _ = Decompressor::new(stream, BUFFER).take(MAX_BOX).read_to_end(&mut body);
    Some(body)
}

/// The bits of the window, by the first byte of a stream (RFC 7932, 9.1); `None` for those of no standard.
fn window(first: u8) -> Option<u8> {
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => Some(16),
        (_, 0, 0) => Some(17),
        (_, 0, 1) => None,
        (_, 0, bits) => Some(8 + bits),
        (_, bits, _) => Some(17 + bits),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::metadata::tests::brob;

    /// No more than a bound comes out of a box, whatever is in it, and no window is larger than libjxl's.
    #[test]
    fn bounds() {
        let body = vec![7; 3 << 20];
        assert_eq!(find(&brob(b"Exif", &body), b"Exif").unwrap().len() as u64, MAX_BOX);
        assert_eq!(find(&brob(b"Exif", &body[..500]), b"xml "), None);
        let mut file = brob(b"Exif", &body[..500]);
        assert_eq!(find(&file, b"Exif").unwrap(), &body[..500]);
        // Two of bits 23 and 24, the large window, which is no standard.
        for first in [0xd, 0xf, 0x11] {
            file[12] = file[12] & 0x80 | first;
            assert_eq!(find(&file, b"Exif"), None, "{first:x}");
        }
        assert_eq!(find(&brob(b"Exif", &[])[..12], b"Exif"), None);
    }

    #[test]
    fn windows() {
        let sizes = [(0, 16), (0x71, 15), (0x21, 10), (1, 17), (3, 18), (0xb, 22), (0xd, 23), (0xf, 24)];
        for (first, bits) in sizes {
            assert_eq!(window(first), Some(bits), "{first:x}");
        }
        assert_eq!(window(0x11), None);
    }

    /// A stream that breaks yields what is before, and every one ends.
    #[test]
    fn broken() {
        let file = brob(b"Exif", &[5; 300]);
        for end in 12..file.len() {
            let found = find(&file[..end], b"Exif").unwrap_or_default();
            assert!(found.len() <= 300 && found.iter().all(|&byte| byte == 5));
        }
        for seed in 0..20_000_u64 {
            let noise: Vec<u8> = (1..=60_u64)
                .map(|place| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(place * 2 + 1) >> 40) as u8)
                .collect();
            assert!(decompressed(&noise).unwrap_or_default().len() as u64 <= MAX_BOX);
        }
    }
}
