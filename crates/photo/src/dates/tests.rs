//! The table of dates, form by form.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::*;

mod made;

fn civil(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

fn original(text: &str) -> Metadata {
    Metadata { date_time_original: Some(text.to_owned()), ..Metadata::default() }
}

#[test]
fn stamps() {
    let hours = |hours: i32| Some(Offset::from_seconds(hours * 3600).unwrap());
    let cases = [
        ("2023:04:15 14:32:18", "2023-04-15T14:32:18", None, true),
        ("2023-04-15 14:32:18", "2023-04-15T14:32:18", None, true),
        ("2023:04:15T14:32:18", "2023-04-15T14:32:18", None, true),
        ("2023/04/15 14:32:18", "2023-04-15T14:32:18", None, true),
        (" 2023:04:15 14:32:18 ", "2023-04-15T14:32:18", None, true),
        ("2023:04:15", "2023-04-15T00:00:00", None, false),
        ("2023-04-15", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14:32:18.25", "2023-04-15T14:32:18.25", None, true),
        ("2023:04:15 14:32:18.012345678999", "2023-04-15T14:32:18.012345678", None, true),
        ("2023:04:15 14:32:18.", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 14:32:18+02:00", "2023-04-15T14:32:18", hours(2), true),
        ("2023:04:15 14:32:18.5-0800", "2023-04-15T14:32:18.5", hours(-8), true),
        ("2023:04:15 14:32:18 +05", "2023-04-15T14:32:18", hours(5), true),
        ("2023:04:15 14:32:18Z", "2023-04-15T14:32:18", hours(0), true),
        ("2023:04:15 14:32:18+20:00", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 14:32:18+02:75", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 14:32:18 MEST", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 14:32:60", "2023-04-15T14:32:59", None, true),
        ("2023:12:31 24:00:00", "2024-01-01T00:00:00", None, true),
        ("2023:04:15 24:00:01", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 25:00:00", "2023-04-15T00:00:00", None, false),
        ("2023:04:15   :  :  ", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14:32", "2023-04-15T14:32:00", None, true),
        ("2024:02:29 01:02:03", "2024-02-29T01:02:03", None, true),
        // By 12 hours.
        ("2023:04:15 02:32:18 PM", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 2:32:18pm", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 12:32:18 AM", "2023-04-15T00:32:18", None, true),
        ("2023:04:15 12:32:18 P.M.", "2023-04-15T12:32:18", None, true),
        ("2023:04:15 02:32 p.m.", "2023-04-15T14:32:00", None, true),
        ("2023:04:15 PM 02:32:18", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 14:32:18 PM", "2023-04-15T14:32:18", None, true),
        ("2023:04:15 02:32:18.5 PM +02:00", "2023-04-15T14:32:18.5", hours(2), true),
        // A space in the place of a zero.
        ("2023:04:15  2:32:18", "2023-04-15T02:32:18", None, true),
        ("2023: 4: 5 14: 2: 8", "2023-04-05T14:02:08", None, true),
        ("2023:4:5 2:02:08", "2023-04-05T02:02:08", None, true),
        // Other separators.
        ("2023:04:15:14:32:18", "2023-04-15T14:32:18", None, true),
        ("2023-04-15-14-32-18", "2023-04-15T14:32:18", None, true),
        ("2023:04:15_14:32:18", "2023-04-15T14:32:18", None, true),
        ("2023.04.15 14.32.18", "2023-04-15T14:32:18", None, true),
        ("2023/04/15, 14:32:18", "2023-04-15T14:32:18", None, true),
        // ISO 8601.
        ("2023-04-15T14:32:18Z", "2023-04-15T14:32:18", hours(0), true),
        ("2023-04-15T14:32:18.250+02:00", "2023-04-15T14:32:18.25", hours(2), true),
        ("2023-04-15T14:32Z", "2023-04-15T14:32:00", hours(0), true),
        ("2023-04-15T14:32-08:00", "2023-04-15T14:32:00", hours(-8), true),
        ("2023-04-15t14:32:18z", "2023-04-15T14:32:18", hours(0), true),
        ("20230415T143218Z", "2023-04-15T14:32:18", hours(0), true),
        ("20230415T1432", "2023-04-15T14:32:00", None, true),
        ("20230415", "2023-04-15T00:00:00", None, false),
        ("2023-04-15-07:00", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14:32:18 UTC", "2023-04-15T14:32:18", hours(0), true),
        ("2023:04:15 14:32:18+2:00", "2023-04-15T14:32:18", hours(2), true),
        // No times.
        ("2023:04:15 PM", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14:60:00", "2023-04-15T00:00:00", None, false),
        ("2023:04:15 14:320:18", "2023-04-15T00:00:00", None, false),
    ];
    for (text, at, offset, has_time) in cases {
        let found = from_metadata(&original(text)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((found.at, found.offset, found.has_time), (civil(at), offset, has_time), "{text}");
        assert_eq!((found.source, found.confidence), (DateSource::DateTimeOriginal, 95), "{text}");
    }
}

/// RFC 3339, which JavaScript reads: an offset has its minutes.
#[test]
fn offsets_of_every_kind_are_whole() {
    for (offset, expected) in [
        ("+02:00", "+02:00"),
        ("-08:00", "-08:00"),
        ("+05:45", "+05:45"),
        ("-03:30", "-03:30"),
        ("-00:30", "-00:30"),
        ("+14:00", "+14:00"),
        ("Z", "+00:00"),
        ("+20:00", ""),
        ("", ""),
    ] {
        let found = from_metadata(&original(&format!("2023:04:15 14:32:18{offset}"))).unwrap();
        assert_eq!(found.rfc3339(), format!("2023-04-15T14:32:18{expected}"));
    }
}

#[test]
fn texts_that_are_no_stamps() {
    let cases = [
        "",
        " ",
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2023:02:29 10:00:00",
        "2023:13:01 10:00:00",
        "2023:04:32",
        "2023:04-15",
        "2023.04",
        "15.04.2023",
        "2023:04:150",
        "20230415143218",
        "2023041",
        "1500:04:15",
        "9999:12:31 24:00:00",
        "2023:0é:15 10:00:00",
        "undef",
    ];
    for text in cases {
        assert_eq!(from_metadata(&original(text)), None, "{text}");
    }
}

#[test]
fn exif_in_the_order_of_its_entries() {
    let date = |text: &str| Some(text.to_owned());
    let mut metadata = original("0000:00:00 00:00:00");
    metadata.date_time = date("2023:03:03 03:03:03");
    let found = from_metadata(&metadata).unwrap();
    assert_eq!((found.source, found.confidence), (DateSource::DateTime, 85));
    metadata.date_time_digitized = date("2022:02:02 02:02:02");
    let found = from_metadata(&metadata).unwrap();
    assert_eq!((found.source, found.confidence), (DateSource::DateTimeDigitized, 95));
    assert_eq!(found.at, civil("2022-02-02T02:02:02"));
}

#[test]
fn file_names() {
    let cases = [
        ("IMG_20230415_143218.jpg", "2023-04-15T14:32:18", true),
        ("IMG20230415143218.jpg", "2023-04-15T14:32:18", true),
        ("20230415143218123.jpg", "2023-04-15T14:32:18.123", true),
        ("PXL_20230415_143218123.jpg", "2023-04-15T14:32:18.123", true),
        ("PXL_20230415_143218123.PORTRAIT-01.jpg", "2023-04-15T14:32:18.123", true),
        ("2023-04-15 14.30.22.jpg", "2023-04-15T14:30:22", true),
        ("2023-04-15_14:30:22.jpg", "2023-04-15T14:30:22", true),
        ("2023-04-15_143022.jpg", "2023-04-15T14:30:22", true),
        ("2023-04-15-14-30-22.jpg", "2023-04-15T14:30:22", true),
        ("2023_04_15_14_30_22.jpg", "2023-04-15T14:30:22", true),
        ("20230415T143022Z.jpg", "2023-04-15T14:30:22", true),
        ("WhatsApp Image 2023-04-15 at 14.32.18.jpeg", "2023-04-15T14:32:18", true),
        ("WhatsApp Image 2023-04-15 at 14.32.18 (1).jpeg", "2023-04-15T14:32:18", true),
        ("Screenshot 2023-04-15 at 2.32.18 PM.png", "2023-04-15T14:32:18", true),
        ("Screenshot 2023-04-15 at 12.32.18\u{202F}AM.png", "2023-04-15T00:32:18", true),
        ("Screenshot_20230415-143218.png", "2023-04-15T14:32:18", true),
        ("Screenshot_20230415-143218_Maps.png", "2023-04-15T14:32:18", true),
        ("IMG-20230415-WA0007.jpg", "2023-04-15T00:00:00", false),
        ("20230415.jpg", "2023-04-15T00:00:00", false),
        ("20230415_001.jpg", "2023-04-15T00:00:00", false),
        ("20231225_image.png", "2023-12-25T00:00:00", false),
        ("2023_04_15.jpg", "2023-04-15T00:00:00", false),
        ("2023_01_15_vacation.jpg", "2023-01-15T00:00:00", false),
        ("2023-12-25_photo.jpg", "2023-12-25T00:00:00", false),
        ("IMG_2023-06-20.jpg", "2023-06-20T00:00:00", false),
        ("2023.06.20.jpg", "2023-06-20T00:00:00", false),
        ("04-15-2023.jpg", "2023-04-15T00:00:00", false),
        ("15-04-2023.jpg", "2023-04-15T00:00:00", false),
        ("15_04_2023.jpg", "2023-04-15T00:00:00", false),
        ("04-04-2023.jpg", "2023-04-04T00:00:00", false),
        ("15.04.2023.jpg", "2023-04-15T00:00:00", false),
        ("05.03.2023.jpg", "2023-03-05T00:00:00", false),
        ("Ostern 5.4.2023 (3).jpg", "2023-04-05T00:00:00", false),
        ("15.04.2023 14.32.18.jpg", "2023-04-15T14:32:18", true),
        ("WhatsApp Bild 2023-04-15 um 14.32.18.jpeg", "2023-04-15T14:32:18", true),
        ("Capture d’écran 2023-04-15 à 14.32.18.png", "2023-04-15T14:32:18", true),
        ("2023年4月15日.jpg", "2023-04-15T00:00:00", false),
        ("2023年04月15日 14.32.18.jpg", "2023-04-15T14:32:18", true),
        ("2023 年 4 月 15 日.jpg", "2023-04-15T00:00:00", false),
        ("2023년 4월 15일.jpg", "2023-04-15T00:00:00", false),
        ("06-20-2023_photo.jpg", "2023-06-20T00:00:00", false),
        ("IMG_20230415_253218.jpg", "2023-04-15T00:00:00", false),
        ("2023-06-20 25.00.00.jpg", "2023-06-20T00:00:00", false),
        ("12345678_20230415.jpg", "2023-04-15T00:00:00", false),
        ("2023-13-01 2023-12-01.jpg", "2023-12-01T00:00:00", false),
        ("1920x1080 20230415.jpg", "2023-04-15T00:00:00", false),
        ("Ferien é 2023-04-15 ü.jpg", "2023-04-15T00:00:00", false),
    ];
    for (name, at, has_time) in cases {
        let found = from_file_name(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((found.at, found.has_time), (civil(at), has_time), "{name}");
        assert_eq!((found.source, found.confidence, found.offset), (DateSource::FileName, 70, None), "{name}");
    }
}

#[test]
fn file_names_with_milliseconds_since_1970() {
    for name in ["FB_IMG_1681569138123.jpg", "mmexport1681569138123.jpg", "1681569138123.jpg", "x-1681569138123-1.png"]
    {
        let found = from_file_name(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((found.at, found.offset), (civil("2023-04-15T14:32:18.123"), Some(Offset::UTC)), "{name}");
        assert_eq!((found.source, found.has_time), (DateSource::FileName, true), "{name}");
    }
    // Barcodes, other epochs, other lengths.
    for name in ["4006381333931.jpg", "0816815691381.jpg", "16815691381234.jpg", "168156913812.jpg", "1681569138.jpg"] {
        assert_eq!(from_file_name(name), None, "{name}");
    }
}

#[test]
fn file_names_without_a_date() {
    let cases = [
        "",
        "x.jpg",
        "IMG_2047.jpg",
        "DSC_20230.jpg",
        "photo_10200112.jpg",
        "12345678.jpg",
        "1920x1080.jpg",
        "2023-02-29.jpg",
        "20230229.jpg",
        "2023-13-01.jpg",
        "20231301.jpg",
        "2023-04-32.jpg",
        "120230415.jpg",
        "202304150.jpg",
        "2023-04-1555.jpg",
        "12023-04-15.jpg",
        "21010101.jpg",
        "18991231.jpg",
        "13-45-2023.jpg",
        "05-03-2023.jpg",
        "05_03_2023 14.32.18.jpg",
        "31.04.2023.jpg",
        "04.15.2023.jpg",
        "2023年13月1日.jpg",
        "2023-04_15.jpg",
        "2023-04.jpg",
        "99999999999999.jpg",
        "2023-٠٤-١٥.jpg",
    ];
    for name in cases {
        assert_eq!(from_file_name(name), None, "{name}");
    }
}

#[test]
fn directories() {
    let cases = [
        ("/a/2023-04-15/x.jpg", "2023-04-15"),
        ("/a/2023-04-15 Birthday/x.jpg", "2023-04-15"),
        ("/a/Birthday 2023_04_15/x.jpg", "2023-04-15"),
        ("/a/20230415/x.jpg", "2023-04-15"),
        ("/a/2023/04/15/x.jpg", "2023-04-15"),
        ("/a/2023/04 April/15 Saturday/x.jpg", "2023-04-15"),
        ("/a/2023/04-15/x.jpg", "2023-04-15"),
        ("/a/2023/04-15 Birthday/x.jpg", "2023-04-15"),
        ("/a/2023-04/x.jpg", "2023-04-01"),
        ("/a/2023_04 Rome/x.jpg", "2023-04-01"),
        ("/a/2023/04/x.jpg", "2023-04-01"),
        ("2023/04/x.jpg", "2023-04-01"),
        ("/a/2023/04 April/x.jpg", "2023-04-01"),
        ("/a/2023/04-April/x.jpg", "2023-04-01"),
        ("/a/2023/x.jpg", "2023-01-01"),
        ("/a/2023/13/x.jpg", "2023-01-01"),
        ("/a/2023/04-31/x.jpg", "2023-04-01"),
        ("/a/2023-13/x.jpg", "2023-01-01"),
        ("/a/Summer 2022/x.jpg", "2022-01-01"),
        ("/a/Summer2022/x.jpg", "2022-01-01"),
        ("/a/2019-2022/x.jpg", "2019-01-01"),
        ("/a/2023/Rome/x.jpg", "2023-01-01"),
        ("/a/2023/04/100CANON/x.jpg", "2023-04-01"),
        ("/a/2023/1920x1080/x.jpg", "2023-01-01"),
        ("/a/2019/2022-05/x.jpg", "2022-05-01"),
        ("/a/2023/04/2017-02-03.jpg", "2023-04-01"),
    ];
    for (path, day) in cases {
        let found = from_directory(Path::new(path)).unwrap_or_else(|| panic!("{path}"));
        assert_eq!((found.at, found.has_time), (civil(&format!("{day}T00:00:00")), false), "{path}");
        assert_eq!((found.source, found.confidence), (DateSource::Directory, 50), "{path}");
    }
}

#[test]
fn directories_without_a_date() {
    let cases = [
        "",
        "/",
        "x.jpg",
        "2023-04-15.jpg",
        "/a/2023-04-15.jpg",
        "/a/IMG_2047.jpg",
        "/a/1920x1080/x.jpg",
        "/a/1080x1920/x.jpg",
        "/a/1080×1920/x.jpg",
        "/a/2000D/x.jpg",
        "/a/2048px/x.jpg",
        "/a/12345/x.jpg",
        "/a/20/04/x.jpg",
        "/a/1020/x.jpg",
        "/a/04/15/x.jpg",
        "..",
    ];
    for path in cases {
        assert_eq!(from_directory(Path::new(path)), None, "{path}");
    }
}

#[test]
fn file_times() {
    let file_time = |seconds, nanoseconds| from_unix_time(seconds, nanoseconds, DateSource::FileTime);
    let found = file_time(1_681_569_138, 123_456_789).unwrap();
    assert_eq!(found.at, civil("2023-04-15T14:32:18.123456789"));
    assert_eq!((found.offset, found.source, found.confidence), (Some(Offset::UTC), DateSource::FileTime, 30));
    assert_eq!(file_time(0, 0).unwrap().suspicious, Some(Suspicion::ClockStart));
    assert_eq!(file_time(-1, 0).unwrap().suspicious, Some(Suspicion::ClockStart));
    assert_eq!(file_time(-100_000, 0).unwrap().suspicious, Some(Suspicion::BeforeDigital));
    assert_eq!(file_time(i64::MAX, 0), None);
    assert_eq!(file_time(i64::MIN, i32::MIN), None);
    assert_eq!(file_time(0, i32::MAX), None);
}

#[test]
fn suspicions() {
    let cases = [
        ("2023:04:15 14:32:18", None),
        ("2000:01:01 00:00:00", Some(Suspicion::ClockStart)),
        ("2000:01:01 00:00:59", Some(Suspicion::ClockStart)),
        ("2000:01:01", Some(Suspicion::ClockStart)),
        ("2000:01:01 00:01:00", None),
        ("2005:01:01 00:00:00", None),
        ("1980:01:01 00:00:00", Some(Suspicion::ClockStart)),
        ("1980:01:01 03:25:17", Some(Suspicion::ClockStart)),
        ("1970:01:01 00:00:00", Some(Suspicion::ClockStart)),
        ("1970:01:01 01:00:00", Some(Suspicion::ClockStart)),
        ("1969:12:31 16:00:00-08:00", Some(Suspicion::ClockStart)),
        ("1904:01:01 00:00:00", Some(Suspicion::ClockStart)),
        ("1978:01:01 00:10:00", Some(Suspicion::ClockStart)),
        ("2002:12:08 12:00:00", Some(Suspicion::ClockStart)),
        ("2002:12:08 12:00:01", None),
        ("1980:01:02 00:00:05", Some(Suspicion::BeforeDigital)),
        ("1989:12:31 23:59:59", Some(Suspicion::BeforeDigital)),
        ("1990:01:01 00:00:00", None),
        ("2025:06:02 01:59:59", None),
        ("2025:06:02 02:00:01", Some(Suspicion::Future)),
        ("2025:06:01 12:00:01Z", Some(Suspicion::Future)),
        ("2025:06:01 14:00:00+02:00", None),
        ("2025:06:01 14:00:01+02:00", Some(Suspicion::Future)),
        ("2025:06:01 05:00:01-07:00", Some(Suspicion::Future)),
        ("2099:01:01 00:00:00", Some(Suspicion::Future)),
    ];
    for (text, suspicious) in cases {
        let found = best(&original(text), None, None, None, now()).unwrap();
        assert_eq!(found.suspicious, suspicious, "{text}");
        assert_eq!(found.confidence < 30, suspicious == Some(Suspicion::ClockStart), "{text}");
    }
}

/// A clock that was never set is trusted less than anything else, and never counts as the older one.
#[test]
fn a_clock_that_was_never_set_comes_last() {
    let path = |path| Some(Path::new(path));
    let modified = Some((1_681_569_138, 0));
    for start in ["2002:12:08 12:00:00", "1970:01:01 00:00:00", "1980:01:01 00:00:07", "2000:01:01 00:00:30"] {
        let mut metadata = original(start);
        let source = |metadata: &Metadata, path, modified| best(metadata, None, path, modified, now()).unwrap().source;
        assert_eq!(source(&metadata, path("/2019/20200102.jpg"), modified), DateSource::FileName);
        assert_eq!(source(&metadata, path("/2019/x.jpg"), modified), DateSource::Directory);
        assert_eq!(source(&metadata, path("/x/x.jpg"), modified), DateSource::FileTime);
        assert_eq!(source(&metadata, path("/x/x.jpg"), None), DateSource::DateTimeOriginal);
        metadata.date_time = Some("2023:03:03 03:03:03".to_owned());
        assert_eq!(from_metadata(&metadata).unwrap().source, DateSource::DateTime);
        assert_eq!(source(&metadata, path("/x/20200102.jpg"), None), DateSource::DateTime);
    }
    // A day that somebody has written is none of a clock.
    for name in ["/a/1980/x.jpg", "/a/2000/x.jpg", "/a/20000101.jpg", "/a/1970-01-01/x.jpg"] {
        let found = best(&Metadata::default(), None, path(name), modified, now()).unwrap();
        assert_ne!(found.source, DateSource::FileTime, "{name}");
        assert_ne!(found.suspicious, Some(Suspicion::ClockStart), "{name}");
    }
}

#[test]
fn the_first_source_that_has_a_date_wins() {
    let path = |path| Some(Path::new(path));
    let none = Metadata::default();
    let modified = Some((1_681_569_138, 0));
    let source =
        |metadata: &Metadata, path, modified| best(metadata, None, path, modified, now()).map(|date| date.source);
    let full = original("2021:01:02 03:04:05");
    assert_eq!(source(&full, path("/2019/20200101.jpg"), modified), Some(DateSource::DateTimeOriginal));
    assert_eq!(source(&none, path("/2019/20200101.jpg"), modified), Some(DateSource::FileName));
    assert_eq!(source(&none, path("/2019/x.jpg"), modified), Some(DateSource::Directory));
    assert_eq!(source(&none, path("/x/y.jpg"), modified), Some(DateSource::FileTime));
    assert_eq!(source(&none, path("/x/y.jpg"), None), None);
    assert_eq!(source(&none, None, None), None);
    // Files beside it: XMP as in the file itself, Takeout before names.
    let beside = |metadata: &Metadata, beside| {
        best(metadata, beside, path("/2019/20200101.jpg"), modified, now()).map(|date| date.source)
    };
    let xmp = br#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreateDate="2019-07-05T12:00:00.25+02:00"/>
        </rdf:RDF></x:xmpmeta>"#;
    let of_xmp = from_xmp_sidecar(xmp);
    assert_eq!(of_xmp.unwrap().rfc3339(), "2019-07-05T12:00:00.25+02:00");
    let with_mark = [b"\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>\n", &xmp[..]].concat();
    assert_eq!(from_xmp_sidecar(&with_mark), of_xmp);
    let takeout = from_unix_time(1_562_320_800, 0, DateSource::Takeout);
    assert_eq!(beside(&none, of_xmp), Some(DateSource::XmpDateTimeDigitized));
    assert_eq!(beside(&none, takeout), Some(DateSource::Takeout));
    assert_eq!(beside(&full, of_xmp), Some(DateSource::DateTimeOriginal));
    assert_eq!(beside(&original("2002:12:08 12:00:00"), takeout), Some(DateSource::Takeout));
    assert_eq!(from_xmp_sidecar(b"no XMP"), None);
    assert_eq!(source(&none, path(".."), None), None);
}
