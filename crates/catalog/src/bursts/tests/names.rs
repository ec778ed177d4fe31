//! Which names count shots.

use super::super::names::{sequence, stem};

fn parsed(name: &str) -> Option<(String, u32)> {
    let mut text = Vec::new();
    stem(format!("/a.b/{name}").as_bytes(), &mut text);
    sequence(&text).map(|(prefix, number)| (String::from_utf8_lossy(&text[..prefix]).into_owned(), number))
}

#[test]
fn names_that_count_shots() {
    let cases = [
        ("IMG_0001.JPG", "img_", 1),
        ("IMG_E0001.JPG", "img_", 1),
        ("_DSC0815.NEF", "_dsc", 815),
        ("DSC00001.ARW", "dsc", 1),
        ("DSC12345.ARW", "dsc", 12345),
        ("P1010042.RW2", "p", 1_010_042),
        ("0T9A1234.CR3", "0t9a", 1234),
        ("B88A1234.CR3", "b88a", 1234),
        ("100_0042.JPG", "100_", 42),
        ("G0010042.JPG", "g", 10042),
        ("photo_7.jpg", "photo_", 7),
        ("image12", "image", 12),
        ("IMG_0001-2.jpg", "img_", 1),
        ("IMG_0001 (1).jpg", "img_", 1),
        ("IMG_0001-Edit-2.tif", "img_", 1),
        ("IMG_0001.MP.jpg", "img_", 1),
        ("0T9A1234-HDR.dng", "0t9a", 1234),
        ("IMG_2019.JPG", "img_", 2019),
        ("IMG_2019-edit.JPG", "img_", 2019),
        ("IMG_123456789.jpg", "img_", 123_456_789),
    ];
    for (name, prefix, number) in cases {
        assert_eq!(parsed(name), Some((prefix.to_owned(), number)), "{name}");
    }
}

/// A number that frames of a day, or of a series, would share.
#[test]
fn names_that_do_not() {
    let names = [
        "beach.jpg",
        ".hidden",
        "",
        "20230415_143218.jpg",
        "IMG_20230415_143218.jpg",
        "IMG_20230415.jpg",
        "PXL_20230415_143218123.jpg",
        "IMG-20230415-WA0001.jpg",
        "WhatsApp Image 2023-04-15 at 14.32.18.jpeg",
        "Screenshot_20230415-143218.png",
        "IMG_2023_0415.jpg",
        "IMG_2023-04-15.jpg",
        "holiday_2023_001.jpg",
        "trip2_001.jpg",
        "scan_0001_001.jpg",
        "day1-beach.jpg",
        "FB_IMG_1681568538123.jpg",
        "DSCPDC_0000_BURST20180615141323861.JPG",
        "00001IMG_00001_BURST20160917102838.jpg",
        "IMG_0001a.jpg",
        "IMG_0001_1024x683.jpg",
        "1234567890.jpg",
        "\u{fc}ber_0001.jpg",
    ];
    for name in names {
        assert_eq!(parsed(name), None, "{name}");
    }
}

#[test]
fn long_names() {
    let mut text = Vec::new();
    stem("x".repeat(5000).as_bytes(), &mut text);
    assert_eq!(text.len(), 2048);
    stem(format!("{}1", "x".repeat(4999)).as_bytes(), &mut text);
    assert_eq!(sequence(&text), None);
}
