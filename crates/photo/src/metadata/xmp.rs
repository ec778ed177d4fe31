//! The dates of an XMP packet (ISO 16684-1).
//!
//! Called by `packets`, with untrusted bytes. The packet is read once, front to back; nothing that it
//! declares is expanded.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::text;

/// In bytes, of one packet; what is behind them is not read.
const MAX_PACKET: usize = 1 << 20;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";

/// The dates of a packet, as they stand there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct XmpDates {
    /// `exif:DateTimeOriginal`.
    pub(super) original: Option<String>,
    /// `photoshop:DateCreated`.
    pub(super) created: Option<String>,
    /// `exif:DateTimeDigitized`, or `xmp:CreateDate`, which is the same (XMP part 2, 3.3).
    pub(super) digitized: Option<String>,
}

impl XmpDates {
    fn place(&mut self, namespace: &str, name: &str) -> Option<&mut Option<String>> {
        let place = match (namespace, name) {
            (EXIF, "DateTimeOriginal") => &mut self.original,
            (PHOTOSHOP, "DateCreated") => &mut self.created,
            (EXIF, "DateTimeDigitized") | (XMP, "CreateDate") => &mut self.digitized,
            _ => return None,
        };
        place.is_none().then_some(place)
    }
}

/// The dates of the resource that a packet describes: attributes and elements of the descriptions directly below
/// `rdf:RDF`, not those of its history and its ingredients. Of a broken packet those before the break.
pub(super) fn dates(packet: &[u8]) -> XmpDates {
    let packet = String::from_utf8_lossy(packet.get(..MAX_PACKET).unwrap_or(packet));
    let mut found = XmpDates::default();
    let mut reader = NsReader::from_str(&packet);
    // The depth of `rdf:RDF`, and the element whose text is read.
    let (mut depth, mut rdf, mut element) = (0_u32, None, None);
    loop {
        let Ok((namespace, event)) = reader.read_resolved_event() else { return found };
        match event {
            Event::Start(start) => {
                depth += 1;
                let (space, name) = (space(namespace).to_owned(), start.local_name().as_ref().to_owned());
                if space == RDF && name == "RDF" {
                    rdf.get_or_insert(depth);
                }
                if rdf.is_some_and(|rdf| depth == rdf + 1) {
                    attributes(&reader, &start, &mut found);
                }
                element = rdf.filter(|rdf| depth == rdf + 2).map(|_| (space, name, String::new()));
            }
            Event::Empty(start) if rdf.is_some_and(|rdf| depth == rdf) => attributes(&reader, &start, &mut found),
            Event::Text(words) => {
                if let Some((.., text)) = &mut element {
                    text.push_str(&words);
                }
            }
            Event::End(_) => {
                if let Some((space, name, text)) = element.take()
                    && let (Some(place), Some(date)) = (found.place(&space, &name), text::clean(text.as_bytes()))
                {
                    *place = Some(date);
                }
                depth = depth.saturating_sub(1);
                if rdf.is_some_and(|rdf| depth < rdf) {
                    return found;
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

fn attributes(reader: &NsReader<&[u8]>, start: &BytesStart<'_>, found: &mut XmpDates) {
    for attribute in start.attributes().with_checks(false).flatten() {
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        if let Some(place) = found.place(space(namespace), name.as_ref()) {
            *place = text::clean(attribute.value.as_bytes());
        }
    }
}

fn space(namespace: ResolveResult<'_>) -> &str {
    match namespace {
        ResolveResult::Bound(Namespace(name)) => name,
        _ => "",
    }
}
