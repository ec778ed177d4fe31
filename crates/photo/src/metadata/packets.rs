//! Finds XMP packets, IPTC blocks and other texts with dates in a file.
//!
//! Called by the module above.

use std::borrow::Cow;

use super::xmp::XmpDates;
use super::{Metadata, iptc, items, jxl, png, text, xmp};
use crate::format::Format;
use crate::ifd::{ByteOrder, Tiff};
use crate::{boxes, raw, segments};

/// The entry of TIFF with an XMP packet, with an IPTC block, and with Photoshop's resources.
const XMP_ENTRY: u16 = 0x02BC;
const IPTC_ENTRY: u16 = 0x83BB;
const RESOURCES_ENTRY: u16 = 0x8649;
/// The name of the box of XMP in CR3 files, at the top.
const XMP_UUID: [u8; 16] =
    [0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8, 0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC];

/// Metadata beside EXIF.
#[derive(Default)]
pub(super) struct Packets<'a> {
    xmp: Option<Cow<'a, [u8]>>,
    iptc: Option<Cow<'a, [u8]>>,
    creation_time: Option<String>,
}

/// The metadata beside EXIF of a file.
pub(super) fn of_file(bytes: &[u8], format: Format) -> Packets<'_> {
    match format {
        Format::Jpeg => of_jpeg(bytes),
        Format::Png => of_png(bytes),
        Format::WebP => {
            let chunk = |name| super::block::chunk(bytes, 12, ByteOrder::Little, name);
            Packets { xmp: chunk(b"XMP ").or_else(|| chunk(b"XMP\0")).map(Cow::from), ..Packets::default() }
        }
        Format::Heic | Format::Avif => Packets { xmp: items::xmp(bytes), ..Packets::default() },
        Format::Jxl => Packets { xmp: jxl::find(bytes, b"xml "), ..Packets::default() },
        Format::Cr3 => {
            let mut named = boxes::boxes(bytes, 0..bytes.len()).filter(|outer| outer.kind == *b"uuid");
            let xmp = named.find_map(|outer| bytes.get(outer.body)?.strip_prefix(&XMP_UUID));
            Packets { xmp: xmp.map(Cow::from), ..Packets::default() }
        }
        Format::Psd => {
            let resource = |number| iptc::resource(iptc::of_photoshop(bytes)?, number).map(Cow::from);
            Packets { xmp: resource(iptc::XMP), iptc: resource(iptc::IPTC), creation_time: None }
        }
        Format::Raf => {
            let preview = raw::previews(bytes, format).into_iter().find_map(|range| bytes.get(range));
            preview.map(of_jpeg).unwrap_or_default()
        }
        format if format == Format::Tiff || format.is_raw() => of_tiff(bytes),
        _ => Packets::default(),
    }
}

fn of_jpeg(bytes: &[u8]) -> Packets<'_> {
    let xmp = segments::payload(bytes, 0xE1, b"http://ns.adobe.com/xap/1.0/\0");
    let resources = segments::payload(bytes, 0xED, b"Photoshop 3.0\0");
    let iptc = resources.and_then(|resources| iptc::resource(resources, iptc::IPTC));
    Packets { xmp: xmp.map(Cow::from), iptc: iptc.map(Cow::from), creation_time: None }
}

fn of_png(bytes: &[u8]) -> Packets<'_> {
    let texts = png::texts(bytes);
    let of_resources =
        |number| texts.resources.as_ref().and_then(|all| Some(iptc::resource(all, number)?.to_vec().into()));
    let creation_time = texts.creation_time.as_deref().and_then(text::clean);
    Packets {
        iptc: of_resources(iptc::IPTC),
        xmp: texts.xmp.map(Cow::from),
        creation_time: creation_time.map(|time| as_exif(&time).unwrap_or(time)),
    }
}

fn of_tiff(bytes: &[u8]) -> Packets<'_> {
    let first = Tiff::open(bytes).and_then(|tiff| tiff.first());
    let value = |tag| first.and_then(|first| Some(first.find(tag)?.value));
    let iptc = value(IPTC_ENTRY)
        .filter(|block| block.starts_with(b"\x1C"))
        .or_else(|| iptc::resource(value(RESOURCES_ENTRY)?, iptc::IPTC));
    Packets { xmp: value(XMP_ENTRY).map(Cow::from), iptc: iptc.map(Cow::from), creation_time: None }
}

/// A date of an e-mail (RFC 2822), which PNG proposes, in EXIF's form.
fn as_exif(text: &str) -> Option<String> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(time.strftime("%Y:%m:%d %H:%M:%S%:z").to_string())
}

impl<'a> Packets<'a> {
    /// A packet of XMP alone.
    pub(super) fn of_xmp(packet: &'a [u8]) -> Self {
        Packets { xmp: Some(packet.into()), ..Packets::default() }
    }

    /// Adds the dates to the metadata.
    pub(super) fn describe(&self, metadata: &mut Metadata) {
        let XmpDates { original, created, digitized } = self.xmp.as_deref().map(xmp::dates).unwrap_or_default();
        metadata.xmp_date_time_original = original;
        metadata.xmp_date_created = created;
        metadata.xmp_date_time_digitized = digitized;
        metadata.iptc_date_created = self.iptc.as_deref().and_then(iptc::date);
        metadata.png_creation_time = self.creation_time.clone();
    }
}
