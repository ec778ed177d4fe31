//! First bytes of files, and directories that decide.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::ifd::ByteOrder;
use crate::ifd::build::{Builder, Value, ascii, boxed, long, short};

fn is(bytes: &[u8], format: Format) {
    assert_eq!(detect(bytes), Ok(format), "{bytes:?}");
}

#[test]
fn signatures() {
    is(b"\xFF\xD8\xFF\xE0", Format::Jpeg);
    is(b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", Format::Png);
    is(b"GIF87a..", Format::Gif);
    is(b"GIF89a..", Format::Gif);
    is(b"RIFF\x24\0\0\0WEBPVP8 ", Format::WebP);
    is(b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Format::Bmp);
    is(b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x7C\0\0\0", Format::Bmp);
    is(b"IIRO\x08\0\0\0", Format::Orf);
    is(b"IIRS\x08\0\0\0", Format::Orf);
    is(b"MMOR\0\0\0\x08", Format::Orf);
    is(b"IIU\0\x18\0\0\0", Format::Rw2);
    is(b"FUJIFILMCCD-RAW 0201", Format::Raf);
    is(b"\xFF\x0A\xFA", Format::Jxl);
    is(b"\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14ftypjxl ", Format::Jxl);
    is(b"II*\0\x10\0\0\0CR\x02\0", Format::Cr2);
    is(b"II*\0", Format::Tiff);
    is(b"MM\0*\0\0\0\x08", Format::Tiff);
    is(b"MM\0+\0\x08\0\0", Format::Tiff);
    is(b"II+\0\x08\0\0\0", Format::Tiff);
}

fn branded(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
    let mut body = major.to_vec();
    body.extend([0; 4]);
    compatible.iter().for_each(|brand| body.extend(*brand));
    boxed(b"ftyp", &body)
}

#[test]
fn brands_of_iso_base_media() {
    is(&branded(b"crx ", &[b"crx ", b"isom"]), Format::Cr3);
    for brand in [b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"] {
        is(&branded(brand, &[b"mif1"]), Format::Heic);
    }
    is(&branded(b"mif1", &[b"mif1", b"heic"]), Format::Heic);
    is(&branded(b"msf1", &[]), Format::Heic);
    is(&branded(b"mif1", &[b"mif1", b"avif", b"miaf"]), Format::Avif);
    is(&branded(b"avif", &[b"mif1"]), Format::Avif);
    is(&branded(b"avis", &[]), Format::Avif);
    is(&branded(b"MiPr", &[b"heic"]), Format::Heic);
    unknown(&branded(b"isom", &[b"mp41"]), Some("an MP4 or QuickTime video"));
    unknown(&branded(b"qt  ", &[]), Some("an MP4 or QuickTime video"));
}

fn unknown(bytes: &[u8], looks_like: Option<&'static str>) {
    assert_eq!(detect(bytes), Err(PhotoError::Unknown { looks_like }), "{bytes:?}");
}

#[test]
fn what_is_no_image() {
    assert_eq!(detect(b""), Err(PhotoError::Empty));
    unknown(b"PK\x03\x04\x14\0", Some("a ZIP archive"));
    unknown(b"%PDF-1.7", Some("a PDF document"));
    unknown(b"\x1F\x8B\x08\0", Some("gzip data"));
    unknown(b"\x7FELF\x02\x01", Some("an ELF program"));
    unknown(b"\0\0\0\x14moov....", Some("an MP4 or QuickTime video"));
    unknown(b"RIFF\0\0\0\0AVI LIST", Some("an AVI video"));
    unknown(b"<svg xmlns='http://www.w3.org/2000/svg'/>", Some("an SVG drawing"));
    unknown(b"\xEF\xBB\xBF<?xml version='1.0'?>\n<!-- x -->\n<svg/>", Some("an SVG drawing"));
    unknown(b"<?xml version='1.0'?><plist/>", Some("an XML document"));
    unknown(b"\n <!DOCTYPE HTML><html><body>", Some("an HTML page"));
    unknown(b"Only some words.\n", Some("text"));
    unknown("grüße".repeat(200).as_bytes(), Some("text"));
    unknown(&[0; 600], Some("nothing but zeros"));
    unknown(b"\0", Some("nothing but zeros"));
    unknown(b"\xFF\xD8", None);
    unknown(b"\x89PNG\n", None);
    unknown(b"BM a letter that begins so", Some("text"));
    unknown(b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x29\0\0\0", None);
    unknown(b"\xDE\xAD\xBE\xEF", None);
}

/// A TIFF file of this maker whose second picture, a SubIFD, has these properties.
fn of_maker(make: &str, compression: u16, photometric: u16) -> Vec<u8> {
    let mut builder = Builder::new(ByteOrder::Little);
    let sub = builder.directory(&[(ifd::COMPRESSION, short(compression)), (ifd::PHOTOMETRIC, short(photometric))], 0);
    let fields = [(ifd::MAKE, ascii(make)), (ifd::PHOTOMETRIC, short(2)), (ifd::SUB_DIRECTORIES, long(sub))];
    let first = builder.directory(&fields, 0);
    builder.finish(42, first)
}

#[test]
fn raw_files_by_maker_and_sensor() {
    is(&of_maker("NIKON CORPORATION", 34713, 32803), Format::Nef);
    is(&of_maker("NIKON CORPORATION", 1, 32803), Format::Nef);
    is(&of_maker("NIKON", 34713, 2), Format::Nef);
    is(&of_maker("SONY", 32767, 32803), Format::Arw);
    is(&of_maker("SONY", 1, 32803), Format::Arw);
    is(&of_maker("PENTAX Corporation ", 65535, 32803), Format::Pef);
    is(&of_maker("RICOH IMAGING COMPANY, LTD.", 65535, 32803), Format::Pef);
    is(&of_maker("SAMSUNG", 32770, 32803), Format::Srw);
    is(&of_maker("SAMSUNG", 1, 34892), Format::Srw);
    for make in ["Hasselblad", "Imacon", "Mamiya-OP Co.,Ltd.", "SINAR AG", "Leica Camera AG", "Canon", "Leaf"] {
        is(&of_maker(make, 7, 32803), Format::Raw);
        is(&of_maker(make, 1, 2), Format::Tiff);
        is(&of_maker(make, 1, 34892), Format::Tiff);
    }
    is(&of_maker("Kodak", 65000, 2), Format::Raw);
    is(&of_maker("EASTMAN KODAK COMPANY", 65000, 2), Format::Raw);
    is(&of_maker("SEIKO EPSON CORP.", 32769, 2), Format::Raw);
    is(&of_maker("SEIKO EPSON CORP.", 5, 2), Format::Tiff);
}

/// Beside the first directory: Phase One's own block, Leaf's own entry.
#[test]
fn raw_files_by_what_nothing_else_has() {
    is(b"II*\0\0\x01\0\0IIII\x05waR\0\x02\0\0", Format::Raw);
    is(b"MM\0*\0\0\x01\0MMMMRaw\x05\0\0\x02\0", Format::Raw);
    is(b"II*\0\0\x01\0\0IIII\x05raW\0\x02\0\0", Format::Tiff);
    let mut builder = Builder::new(ByteOrder::Big);
    let first = builder.directory(&[(0x8606, Value::Undefined(vec![0; 9]))], 0);
    is(&builder.finish(42, first), Format::Raw);
}

#[test]
fn images_that_are_not_decoded() {
    is(b"8BPS\0\x01\0\0", Format::Psd);
    is(b"8BPS\0\x02\0\0", Format::Psd);
    is(b"\0\0\0\x0CjP  \r\n\x87\n", Format::Jp2);
    is(b"\xFF\x4F\xFF\x51\0\x29", Format::Jp2);
    is(b"II\x1A\0\0\0HEAPCCDR", Format::Crw);
    is(b"\0MRM\0\x01\xA4\x40", Format::Mrw);
    is(b"FOVb\0\0\x02\0", Format::X3f);
    is(b"\0\0\x01\0\x01\0\x20\x20\0\0\x01\0\x20\0\x05\0\0\0\x16\0\0\0", Format::Ico);
    for text in ["P6\n640 480\n255\n", "P5 640 480 255\n", "P4\n# CREATOR: a program\n8 8\n", "P1\n1 1\n1\n"] {
        is(text.as_bytes(), Format::Pnm);
    }
    unknown(b"8BPX", Some("text"));
    unknown(b"P6 is a processor", Some("text"));
    unknown(b"P7\nWIDTH 4\n", Some("text"));
    unknown(b"P66 1 1", Some("text"));
    unknown(b"P6", Some("text"));
    // Too short for one, a picture within the table, a byte that is not zero.
    unknown(b"\0\0\x01\0\x01\0", None);
    unknown(b"\0\0\x01\0\x01\0\x20\x20\0\0\x01\0\x20\0\x05\0\0\0\x15\0\0\0", None);
    unknown(b"\0\0\x01\0\x01\0\x20\x20\0\x09\x01\0\x20\0\x05\0\0\0\x16\0\0\0", None);
    unknown(b"\0\0\x01\xBA\x44\0\x04\0", Some("an MPEG video"));
}

/// The header of a Targa file of 40 x 30 pixels: an identifier of that many bytes, palette, kind and bits.
fn targa(identifier: u8, map: [u8; 6], kind: u8, y: u16, depth: u8, flags: u8) -> Vec<u8> {
    let sides = [0, y, 40, 30].map(u16::to_le_bytes).concat();
    [&[identifier, map[0], kind][..], &map[1..], &sides, &[depth, flags]].concat()
}

#[test]
fn targa_by_its_header() {
    const NO_MAP: [u8; 6] = [0; 6];
    for identifier in [0, 26, 255] {
        for flags in [0, 0x20, 0x10, 0x30, 8, 0x28] {
            for y in [0, 30] {
                for kind in [2, 10] {
                    for depth in [15, 16, 24, 32] {
                        is(&targa(identifier, NO_MAP, kind, y, depth, flags), Format::Tga);
                    }
                }
                for kind in [3, 11] {
                    is(&targa(identifier, NO_MAP, kind, y, 8, flags), Format::Tga);
                }
                for (kind, map) in [(1, [1, 0, 0, 0, 1, 24]), (9, [1, 0, 0, 16, 0, 32]), (1, [1, 5, 0, 2, 0, 16])] {
                    is(&targa(identifier, map, kind, y, 8, flags), Format::Tga);
                }
            }
        }
    }
    // Other kinds and bits, half a palette, an origin within, flags that nothing has; cursors, boxes, clipped headers.
    for bytes in [
        targa(0, NO_MAP, 0, 0, 24, 0),
        targa(0, NO_MAP, 4, 0, 24, 0),
        targa(0, NO_MAP, 2, 0, 8, 0),
        targa(0, NO_MAP, 3, 0, 24, 0),
        targa(0, NO_MAP, 1, 0, 8, 0),
        targa(0, [1, 0, 0, 0, 0, 24], 1, 0, 8, 0),
        targa(0, [1, 0, 0, 0, 1, 7], 1, 0, 8, 0),
        targa(0, [0, 0, 0, 1, 0, 0], 2, 0, 24, 0),
        targa(0, NO_MAP, 2, 7, 24, 0),
        targa(0, NO_MAP, 2, 0, 24, 0x40),
        targa(0, NO_MAP, 2, 0, 24, 9),
        b"\0\0\x02\0\x01\0\x20\x20\0\0\x01\0\x20\0\x05\0\0\0\x16\0\0\0".to_vec(),
        b"\0\0\x02\0free\0\0\0\0\0\0\0\0\0\0".to_vec(),
        targa(0, NO_MAP, 2, 0, 24, 0)[..17].to_vec(),
    ] {
        unknown(&bytes, None);
    }
}

#[test]
fn samsung_tells_the_pattern_of_the_filters_alone() {
    let mut builder = Builder::new(ByteOrder::Little);
    let pattern = Value::Byte(vec![1, 0, 2, 1]);
    let sub = builder.directory(&[(ifd::COMPRESSION, short(32773)), (0x828E, pattern)], 0);
    let first = builder.directory(&[(ifd::MAKE, ascii("SAMSUNG")), (ifd::SUB_DIRECTORIES, long(sub))], 0);
    is(&builder.finish(42, first), Format::Srw);
}

#[test]
fn tiffs_of_makers_are_tiffs() {
    is(&of_maker("NIKON CORPORATION", 1, 2), Format::Tiff);
    is(&of_maker("Nikon", 5, 6), Format::Tiff);
    is(&of_maker("SONY", 1, 2), Format::Tiff);
    is(&of_maker("SONY", 34713, 2), Format::Tiff);
    is(&of_maker("PENTAX", 7, 6), Format::Tiff);
    is(&of_maker("SAMSUNG", 8, 2), Format::Tiff);
    is(&of_maker("SAMSUNG", 32773, 2), Format::Tiff);
    is(&of_maker("Canon", 1, 6), Format::Tiff);
    is(&of_maker("", 1, 32803), Format::Tiff);
}

#[test]
fn more_of_the_first_directory() {
    let with = |fields: &[(u16, Value)]| {
        let mut builder = Builder::new(ByteOrder::Big);
        let first = builder.directory(fields, 0);
        builder.finish(42, first)
    };
    is(&with(&[(0xC612, Value::Byte(vec![1, 4, 0, 0])), (ifd::MAKE, ascii("NIKON"))]), Format::Dng);
    is(&with(&[(ifd::MAKE, ascii("SONY")), (0xC634, Value::Byte(vec![0; 8]))]), Format::Arw);
    is(&with(&[(ifd::MAKE, ascii("NIKON")), (0xC634, Value::Byte(vec![0; 8]))]), Format::Tiff);
    is(&with(&[]), Format::Tiff);
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = detect(&bytes);
        for head in [&b"II*\0\x08\0\0\0"[..], b"MM\0+\0\x08\0\0", b"\0\0\0\x18ftyp", b"RIFF", b"BM", b"<"] {
            let _ = detect(&[head, &bytes].concat());
        }
    }
}
