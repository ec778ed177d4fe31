//! Metadata in the text chunks of PNG files: the profiles of ImageMagick in hex, XMP, dates.
//!
//! Called by the modules beside this one. Texts are inflated only where their keyword is wanted, at most
//! [`MAX_INFLATIONS`] of a file, each to [`MAX_TEXT`] bytes.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::block::MAX_CHUNKS;
use crate::chunks::{Chunk, chunks};
use crate::ifd::ByteOrder;

/// In bytes, of one inflated text: an EXIF block of 64 KiB is 133 KiB in hex.
const MAX_TEXT: u64 = 256 << 10;
/// Texts of one file that are inflated.
const MAX_INFLATIONS: usize = 8;

/// The texts of a file that hold metadata.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PngTexts {
    /// An EXIF block, perhaps behind `Exif\0\0`.
    pub(super) exif: Option<Vec<u8>>,
    /// An XMP packet.
    pub(super) xmp: Option<Vec<u8>>,
    /// Image resources of Photoshop.
    pub(super) resources: Option<Vec<u8>>,
    /// `Creation Time`: when the original was made (PNG, 11.3.3.2).
    pub(super) creation_time: Option<Vec<u8>>,
}

/// Reads the texts, wherever they are in the file; of several of one kind the first that can be read.
pub(super) fn texts(bytes: &[u8]) -> PngTexts {
    let mut found = PngTexts::default();
    let mut inflations = 0;
    for Chunk { name, body, .. } in chunks(bytes).take(MAX_CHUNKS) {
        if !matches!(name, b"tEXt" | b"zTXt" | b"iTXt") {
            continue;
        }
        let Some((keyword, rest)) = split(body) else { continue };
        let Some(wanted) = wanted(keyword) else { continue };
        inflations += 1;
        if inflations > MAX_INFLATIONS {
            break;
        }
        let Some(text) = text(name, rest) else { continue };
        found.take(wanted, &text);
    }
    found
}

/// What a text holds by its keyword.
enum Wanted {
    Profile,
    Xmp,
    CreationTime,
}

fn wanted(keyword: &[u8]) -> Option<Wanted> {
    let lower = keyword.to_ascii_lowercase();
    match lower.as_slice() {
        b"xml:com.adobe.xmp" => Some(Wanted::Xmp),
        b"creation time" => Some(Wanted::CreationTime),
        lower if lower.starts_with(b"raw profile type ") => Some(Wanted::Profile),
        _ => None,
    }
}

impl PngTexts {
    fn take(&mut self, wanted: Wanted, text: &[u8]) {
        const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
        let (place, value) = match wanted {
            Wanted::Xmp => (&mut self.xmp, Some(text.to_vec())),
            Wanted::CreationTime => (&mut self.creation_time, Some(text.to_vec())),
            // The keyword says `exif`, `APP1`, `xmp`, `8bim` or `iptc`; what is in it says so better.
            Wanted::Profile => match profile(text).unwrap_or_default() {
                data if data.starts_with(b"Exif\0\0") || ByteOrder::of(data.get(..2).unwrap_or_default()).is_some() => {
                    (&mut self.exif, Some(data))
                }
                data if data.starts_with(XMP) => (&mut self.xmp, data.get(XMP.len()..).map(<[u8]>::to_vec)),
                data if data.starts_with(b"<") => (&mut self.xmp, Some(data)),
                data if data.starts_with(b"8BIM") => (&mut self.resources, Some(data)),
                _ => return,
            },
        };
        if place.is_none() {
            *place = value;
        }
    }
}

/// The bytes before the first zero byte and behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// The text of a chunk, behind its keyword.
fn text<'a>(name: &[u8], rest: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match name {
        b"tEXt" => Some(rest.into()),
        // The method, which is 0.
        b"zTXt" => Some(inflated(rest.get(1..)?)),
        _ => {
            // Whether it is compressed, the method, the language, the keyword in that language.
            let (_, rest_of_language) = split(rest.get(2..)?)?;
            let (_, text) = split(rest_of_language)?;
            Some(if rest.first() == Some(&1) { inflated(text) } else { text.into() })
        }
    }
}

/// What can be inflated of a stream.
fn inflated(stream: &[u8]) -> Cow<'static, [u8]> {
    let mut text = Vec::new();
    // What a broken stream yields before its damage is kept.
    let _ = ZlibDecoder::new(stream).take(MAX_TEXT).read_to_end(&mut text);
    text.into()
}

/// The bytes of a profile: a line with its name, one with its length, and hex digits in lines.
fn profile(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_start();
    let after_line = |text: &[u8]| text.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
    let after_name = text.get(after_line(text)?..)?;
    let digits = after_name.get(after_line(after_name)?..)?;
    let value = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let nibbles: Vec<u8> =
        digits.iter().filter(|byte| !byte.is_ascii_whitespace()).map_while(|&byte| value(byte)).collect();
    Some(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
