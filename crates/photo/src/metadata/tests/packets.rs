//! Dates beside EXIF: XMP packets in every container, IPTC blocks, PNG's texts, the time of GPS.

use super::odd::{png_with, profile, texts};
use super::*;
use crate::dates::{DateSource, from_metadata};

const ATTRIBUTES: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
    <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:e="http://ns.adobe.com/exif/1.0/"
        xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        e:DateTimeOriginal="2013-07-05T03:18:27.5+02:00" photoshop:DateCreated='2013-07-06'
        xmp:CreateDate="2013-07-07T01:02:03Z" xmp:ModifyDate="2020-01-01"/>
    </rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;

fn check_attributes(found: &Metadata, what: &str) {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found.xmp_date_time_original, text("2013-07-05T03:18:27.5+02:00"), "{what}");
    assert_eq!(found.xmp_date_created, text("2013-07-06"), "{what}");
    assert_eq!(found.xmp_date_time_digitized, text("2013-07-07T01:02:03Z"), "{what}");
    let date = from_metadata(found).unwrap();
    assert_eq!(
        (date.source, date.rfc3339().as_str()),
        (DateSource::XmpDateTimeOriginal, "2013-07-05T03:18:27.5+02:00")
    );
}

fn jpeg_with(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, 0xD8, 0xFF, marker][..], &length, payload, &jpeg(0xC0, 64, 48, 8)[2..]].concat()
}

fn xmp_in_jpeg(packet: &str) -> Vec<u8> {
    jpeg_with(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0", packet.as_bytes()].concat())
}

fn tiff_with(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(ByteOrder::Little);
    let first = builder.directory(&[(tag, Value::Byte(value.to_vec()))], 0);
    builder.finish(42, first)
}

#[test]
fn a_packet_in_every_container() {
    let packet = ATTRIBUTES.as_bytes();
    let uuid = [0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8, 0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC];
    let mut files = vec![
        (Format::Jpeg, xmp_in_jpeg(ATTRIBUTES)),
        (Format::WebP, [&b"RIFF\0\0\0\0WEBP"[..], &chunk_of_webp(b"XMP ", packet)].concat()),
        (Format::Tiff, tiff_with(0x02BC, packet)),
        (Format::Dng, tiff_with(0x02BC, packet)),
        (Format::Heic, heic_of(&[(b"hvc1\0", b"x"), (b"mime\0application/rdf+xml\0", packet)], &[])),
        (Format::Jxl, [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &boxed(b"xml ", packet)].concat()),
        (Format::Jxl, [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &brob(b"xml ", packet)].concat()),
        (Format::Cr3, [boxed(b"ftyp", b"crx "), boxed(b"uuid", &[&uuid, packet].concat())].concat()),
    ];
    let behind_name = [&b"http://ns.adobe.com/xap/1.0/\0"[..], packet].concat();
    for (keyword, text) in [
        ("XML:com.adobe.xmp", packet.to_vec()),
        ("Raw profile type xmp", profile("xmp", packet)),
        ("Raw profile type APP1", profile("generic profile", &behind_name)),
    ] {
        for text in texts(keyword, &text) {
            files.push((Format::Png, png_with(std::slice::from_ref(&text), &[])));
            files.push((Format::Png, png_with(&[], &[text])));
        }
    }
    for (format, bytes) in files {
        check_attributes(&read(&bytes, format), &format.to_string());
    }
}

#[test]
fn elements_and_what_is_none_of_the_picture() {
    let packet = |body: &str| {
        let packet = format!(
            r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
                xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
                xmlns:my="http://example.org/exif/1.0/">{body}</rdf:RDF>"#
        );
        read(&xmp_in_jpeg(&packet), Format::Jpeg)
    };
    let element = "<exif:DateTimeOriginal> 2013-07-05T03:18:27 </exif:DateTimeOriginal>";
    for body in [
        format!("<rdf:Description>{element}</rdf:Description>"),
        format!("<rdf:Description/><rdf:Description xmp:Rating=\"3\"><xmp:Label>a</xmp:Label>{element}"),
        format!("<rdf:Description>{element}<exif:DateTimeOriginal>1999</exif:DateTimeOriginal></rdf:Description>"),
        format!("<!-- exif --><rdf:Description><xmp:a><xmp:b>c</xmp:b></xmp:a>{element}</rdf:Description>"),
    ] {
        assert_eq!(packet(&body).xmp_date_time_original.as_deref(), Some("2013-07-05T03:18:27"), "{body}");
    }
    for body in [
        element.to_owned(),
        format!("<rdf:Description><xmp:History><rdf:Seq><rdf:li>{element}</rdf:li></rdf:Seq></xmp:History>"),
        "<rdf:Description my:DateTimeOriginal='2013-07-05T03:18:27'/>".to_owned(),
        "<rdf:Description DateTimeOriginal='2013-07-05T03:18:27'/>".to_owned(),
        "<rdf:Description exif:DateTimeOriginal=''/>".to_owned(),
        "<rdf:Description exif:DateTimeOriginal=".to_owned(),
        "<rdf:Description>&bomb;<exif:DateTimeOriginal>&bomb;</exif:DateTimeOriginal>".to_owned(),
    ] {
        assert_eq!(packet(&body).xmp_date_time_original, None, "{body}");
    }
}

#[test]
fn hostile_packets_cost_little() {
    let deep = "<a>".repeat(300_000);
    let wide = format!("<rdf:RDF {}", "x:a='b' ".repeat(100_000));
    let spaces: String = (0..30_000).map(|n| format!("<a xmlns:p{n}='q'>")).collect();
    for packet in [deep, wide, spaces] {
        let begin = Instant::now();
        let _ = read(&tiff_with(0x02BC, packet.as_bytes()), Format::Tiff);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

/// A data set of record 2.
fn record(number: u8, text: &str) -> Vec<u8> {
    [&[0x1C, 2, number, 0, u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
}

fn resource(number: u16, name: &str, data: &[u8]) -> Vec<u8> {
    let mut out = [&b"8BIM"[..], &number.to_be_bytes(), &[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    out.resize(out.len().next_multiple_of(2), 0);
    out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    out.extend(data);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

/// A Photoshop document with a palette and these resources.
fn psd(resources: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let head = [&b"8BPS\0\x01"[..], &[0; 20], &length(&[0; 768]), &[0; 768], &length(resources)].concat();
    [&head, resources, &[0; 8]].concat()
}

#[test]
fn photoshop_documents() {
    let tiff = ordinary().tiff(ByteOrder::Big, 42);
    let resources = [resource(0x0422, "", &tiff), resource(0x0424, "", ATTRIBUTES.as_bytes())].concat();
    let found = read(&psd(&resources), Format::Psd);
    check_ordinary(&found);
    assert_eq!(found.xmp_date_created.as_deref(), Some("2013-07-06"));
    assert_eq!(orientation(&psd(&resources), Format::Psd), Orientation::Rotate90);
}

#[test]
fn dates_of_iptc() {
    let block = [record(5, "Title"), record(55, "20130705"), record(60, "031827+0200")].concat();
    let resources = [resource(0x03ED, "", &[1; 5]), resource(0x0404, "odd", &block)].concat();
    let digits: String = resources.iter().map(|byte| format!("{byte:02X}")).collect();
    let profile = format!("\n8bim\n{:8}\n{digits}\n", resources.len());
    let mut files = vec![
        (Format::Jpeg, jpeg_with(0xED, &[&b"Photoshop 3.0\0"[..], &resources].concat())),
        (Format::Tiff, tiff_with(0x83BB, &block)),
        (Format::Tiff, tiff_with(0x8649, &resources)),
    ];
    for text in texts("Raw profile type 8bim", profile.as_bytes()) {
        files.push((Format::Png, png_with(&[], &[text])));
    }
    files.push((Format::Psd, psd(&resources)));
    for (format, bytes) in files {
        let found = read(&bytes, format);
        assert_eq!(found.iptc_date_created.as_deref(), Some("2013:07:05 03:18:27+02:00"), "{format}");
        let date = from_metadata(&found).unwrap();
        assert_eq!((date.source, date.rfc3339().as_str()), (DateSource::IptcDateCreated, "2013-07-05T03:18:27+02:00"));
    }
    let read = |block: &[u8]| read(&tiff_with(0x83BB, block), Format::Tiff).iptc_date_created;
    assert_eq!(read(&record(55, "20130705")).as_deref(), Some("2013:07:05"));
    assert_eq!(read(&[record(55, "20130705"), record(60, "031827")].concat()).as_deref(), Some("2013:07:05 03:18:27"));
    assert_eq!(read(&[record(62, "20130705"), record(63, "031827")].concat()).as_deref(), Some("2013:07:05 03:18:27"));
    assert_eq!(read(&[record(55, "20130705"), record(60, "03:18")].concat()).as_deref(), Some("2013:07:05"));
    for block in [record(55, "2013"), record(55, "2013-7-5"), record(60, "031827"), vec![0x1C, 2, 55, 0xFF, 0xFF, 1]] {
        assert_eq!(read(&block), None);
    }
}

#[test]
fn creation_times_of_png() {
    let read = |text: &str| {
        let found = texts("Creation Time", text.as_bytes()).into_iter().map(|chunk| {
            let found = from_metadata(&read(&png_with(&[], &[chunk]), Format::Png))?;
            assert_eq!(found.source, DateSource::PngCreationTime);
            Some(found.rfc3339())
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|date| *date == found[0]));
        found[0].clone()
    };
    assert_eq!(read("2023:04:15 14:32:18").as_deref(), Some("2023-04-15T14:32:18"));
    assert_eq!(read("2023-04-15T14:32:18+0200").as_deref(), Some("2023-04-15T14:32:18+02:00"));
    assert_eq!(read("Sat, 15 Apr 2023 14:32:18 +0200").as_deref(), Some("2023-04-15T14:32:18+02:00"));
    assert_eq!(read("once"), None);
    // When ImageMagick read a file, and when a picture was changed.
    for keyword in ["date:create", "date:modify", "Software", "Title"] {
        for chunk in texts(keyword, b"2023-04-15T14:32:18+00:00") {
            assert_eq!(super::read(&png_with(&[], &[chunk]), Format::Png), Metadata::default());
        }
    }
}

#[test]
fn the_time_of_gps() {
    let read = |day: &str, time: Value| {
        let gps = vec![(0x1D, ascii(day)), (7, time)];
        Parts { main: vec![(0x0132, ascii("2024:01:01 10:00:00"))], exif: Vec::new(), gps }.read()
    };
    let found = read("2023:04:15", rational(&[(12, 1), (32, 1), (1850, 100)]));
    assert_eq!(found.gps_date_time.as_deref(), Some("2023:04:15 12:32:18Z"));
    let date = from_metadata(&found).unwrap();
    assert_eq!((date.source, date.rfc3339().as_str()), (DateSource::GpsDateTime, "2023-04-15T12:32:18+00:00"));
    for time in [rational(&[(24, 1), (0, 1), (0, 1)]), rational(&[(12, 1)]), rational(&[(1, 0), (0, 1), (0, 1)])] {
        assert_eq!(from_metadata(&read("2023:04:15", time)).unwrap().source, DateSource::DateTime);
    }
}

#[test]
fn sources_in_the_order_of_their_confidence() {
    let fields: [fn(&mut Metadata) -> &mut Option<String>; 8] = [
        |metadata| &mut metadata.date_time_original,
        |metadata| &mut metadata.xmp_date_time_original,
        |metadata| &mut metadata.xmp_date_created,
        |metadata| &mut metadata.iptc_date_created,
        |metadata| &mut metadata.gps_date_time,
        |metadata| &mut metadata.xmp_date_time_digitized,
        |metadata| &mut metadata.png_creation_time,
        |metadata| &mut metadata.date_time,
    ];
    let mut metadata = Metadata::default();
    for (year, field) in (2011_i16..).zip(fields).collect::<Vec<_>>().into_iter().rev() {
        *field(&mut metadata) = Some(format!("{year}-04-15T14:32:18Z"));
        assert_eq!(from_metadata(&metadata).unwrap().at.year(), year);
    }
}

#[test]
fn known_faults() {
    for name in ["m1_xmp_only.jpg", "m1_xmp_and_modify.jpg"] {
        let Some(bytes) = fault(name) else { continue };
        let date = from_metadata(&read(&bytes, Format::Jpeg)).unwrap();
        assert_eq!((date.source, date.confidence), (DateSource::XmpDateTimeOriginal, 93), "{name}");
        assert_eq!(date.rfc3339(), "2013-07-05T03:18:27+00:00", "{name}");
    }
}
