//! Origins by hand; pictures that are compressed twice, moved off the grid of blocks, and enlarged.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use crate::limits::{Limits, NeverCancels};
use crate::picture::{Picture, Pixels};
use crate::quality::jpeg;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, crop_imm, resize, unsharpen};
use image::{ImageEncoder, RgbImage};

const LIMITS: Limits<'static> = Limits { pixels: u64::MAX, memory: u64::MAX, caller: &NeverCancels };

fn taken(software: &str) -> Metadata {
    Metadata {
        make: Some("Maker".into()),
        date_time_original: Some("2023:04:15 14:32:18".into()),
        software: (!software.is_empty()).then(|| software.into()),
        ..Metadata::default()
    }
}

/// The first bytes of a JPEG file: these segments and a frame header of this process.
fn file(segments: &[(u8, &[u8])], process: u8) -> Vec<u8> {
    let frame: &[u8] = &[8, 0, 60, 0, 80, 1, 1, 0x11, 0];
    let mut bytes = vec![0xFF, 0xD8];
    for (marker, body) in segments.iter().copied().chain([(process, frame)]) {
        bytes.extend([0xFF, marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

#[test]
fn what_headers_tell() {
    let exif: (u8, &[u8]) = (0xE1, b"Exif\0\0");
    let jfif: (u8, &[u8]) = (0xE0, b"JFIF\0\x01\x01");
    let camera = file(&[exif], 0xC0);
    let of = |bytes: &[u8], format, metadata: &Metadata| {
        Origin::of_headers(bytes, format, metadata, Some((80, 60))).originality()
    };
    assert_eq!(of(&camera, Format::Jpeg, &taken("")), 15);
    assert_eq!(of(&camera, Format::Jpeg, &taken("Ver.1.02")), 15, "firmware");
    assert_eq!(of(&camera, Format::Jpeg, &taken("Adobe Photoshop CS6 (Windows)")), 13, "an editor");
    assert_eq!(of(&camera, Format::Jpeg, &Metadata { date_time: Some("2023:05:01 10:00:00".into()), ..taken("") }), 13);
    assert_eq!(of(&camera, Format::Jpeg, &Metadata { date_time: Some("2023:04:15 14:32:20".into()), ..taken("") }), 15);
    let sized = |width, height| Metadata { width: Some(width), height: Some(height), ..taken("") };
    assert_eq!(of(&camera, Format::Jpeg, &sized(80, 60)), 15);
    assert_eq!(of(&camera, Format::Jpeg, &sized(60, 80)), 15, "turned");
    assert_eq!(of(&camera, Format::Jpeg, &sized(160, 120)), 13, "made smaller");
    assert_eq!(of(&file(&[jfif, exif], 0xC0), Format::Jpeg, &taken("")), 11, "by libjpeg");
    let adobe: (u8, &[u8]) = (0xEE, b"Adobe\0\x64\0\0\0\0\x01");
    assert_eq!(of(&file(&[exif, adobe], 0xC0), Format::Jpeg, &taken("")), 11, "by Photoshop or Lightroom");
    let thumbnail: (u8, &[u8]) = (0xE0, b"AVI1\0");
    assert_eq!(of(&file(&[exif, thumbnail], 0xC0), Format::Jpeg, &taken("")), 15, "another header");
    assert_eq!(of(&file(&[exif], 0xC2), Format::Jpeg, &taken("")), 11, "progressive");
    assert_eq!(of(&[], Format::Png, &taken("")), 11);
    assert_eq!(of(&[], Format::Heic, &taken("")), 15);
    let undated = Metadata { date_time_original: None, ..taken("") };
    assert_eq!(of(&camera, Format::Jpeg, &undated), 1);
    assert_eq!(of(&camera, Format::Jpeg, &Metadata { make: None, ..taken("") }), 1);
    assert_eq!(of(&[], Format::Dng, &Metadata::default()), 15, "raw files are what cameras write");
    let twice = |coefficients| {
        let origin = Origin::of_headers(&camera, Format::Jpeg, &taken(""), None);
        Origin { earlier_compression: Some(coefficients), ..origin }.originality()
    };
    assert_eq!((twice(2), twice(3)), (15, 10));
}

/// A scene with detail at all scales.
fn scene(width: u32, height: u32) -> RgbImage {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut all = vec![[0.0; 3]; (width * height) as usize];
    for (side, weight) in [(4, 34.0), (16, 22.0), (64, 16.0), (128, 14.0), (256, 12.0)] {
        let noise = RgbImage::from_fn(side, side, |_, _| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            image::Rgb([0, 8, 16].map(|shift| (state >> shift) as u8))
        });
        let noise = resize(&noise, width, height, FilterType::Triangle);
        for (sum, pixel) in all.iter_mut().zip(noise.pixels()) {
            sum.iter_mut().zip(pixel.0).for_each(|(sum, value)| *sum += weight * (f64::from(value) - 127.5) / 127.5);
        }
    }
    let pixel =
        |(x, y)| image::Rgb(all[(y * width + x) as usize].map(|value: f64| (128.0 + value).clamp(0.0, 255.0) as u8));
    RgbImage::from_fn(width, height, |x, y| pixel((x, y)))
}

fn as_picture(image: &RgbImage) -> Picture {
    let (width, height) = image.dimensions();
    Picture { width, height, pixels: Pixels::Rgb(image.as_raw().clone()), damage: None }
}

/// Compressed and decoded again, with its bytes.
fn compressed(image: &RgbImage, quality: u8) -> (RgbImage, Vec<u8>) {
    let mut bytes = Vec::new();
    let (width, height) = image.dimensions();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.write_image(image, width, height, image::ExtendedColorType::Rgb8).unwrap();
    (image::load_from_memory(&bytes).unwrap().to_rgb8(), bytes)
}

fn earlier(image: &RgbImage, bytes: Option<&[u8]>) -> u8 {
    let table = bytes.map(|bytes| jpeg::table(bytes).unwrap());
    compression::earlier(&as_picture(image), table.as_ref(), &LIMITS).unwrap().unwrap()
}

#[test]
fn an_earlier_compression_shows() {
    let scene = scene(640, 480);
    assert_eq!(earlier(&scene, None), 0, "never compressed");
    for quality in [60, 75, 85, 90] {
        let (once, bytes) = compressed(&scene, quality);
        assert!(earlier(&once, Some(&bytes)) < SHOWN_IN, "once, {quality}");
        assert!(earlier(&once, None) >= 8, "once, {quality}, and saved without loss: {}", earlier(&once, None));
        for again in [95, 98] {
            let (twice, bytes) = compressed(&once, again);
            assert!(earlier(&twice, Some(&bytes)) >= SHOWN_IN, "{quality}, then {again}");
        }
        let (weaker, bytes) = compressed(&once, 50);
        assert!(earlier(&weaker, Some(&bytes)) < 8, "more strongly after {quality}");
        let cut = crop_imm(&once, 3, 5, 600, 400).to_image();
        assert!(earlier(&cut, None) < SHOWN_IN, "cut");
        let larger = resize(&once, 960, 720, FilterType::Lanczos3);
        assert!(earlier(&larger, None) < SHOWN_IN, "enlarged");
    }
    // Weak compression shows in fine coefficients alone, and so it does after sharpening and brightening.
    let (once, _) = compressed(&scene, 93);
    assert!(earlier(&once, None) >= SHOWN_IN, "93, and saved without loss: {}", earlier(&once, None));
    let sharpened = unsharpen(&once, 2.0, 0);
    let brighter = |value: u8| (u16::from(value) * 9 / 8).min(255) as u8;
    let brighter = RgbImage::from_fn(640, 480, |x, y| image::Rgb(once.get_pixel(x, y).0.map(brighter)));
    for (kind, copy) in [("as it is", once), ("sharpened", sharpened), ("brighter", brighter)] {
        let (twice, bytes) = compressed(&copy, 97);
        let found = earlier(&twice, Some(&bytes));
        assert!(found >= SHOWN_IN, "93, {kind}, then 97: {found}");
    }
    assert_eq!(compression::earlier(&as_picture(&RgbImage::new(40, 40)), None, &LIMITS).unwrap(), None);
}

fn detail_of(image: &RgbImage) -> detail::Detail {
    detail::of(&as_picture(image), &LIMITS).unwrap().unwrap()
}

#[test]
fn enlarging_adds_no_detail() {
    let scene = scene(640, 480);
    let original = detail_of(&scene);
    for (width, height) in [(960, 720), (1280, 960)] {
        let enlarged = detail_of(&resize(&scene, width, height, FilterType::Lanczos3));
        let more = enlarged.amount / original.amount;
        assert!((0.8..1.25).contains(&more), "{width}: {more}");
        assert!(enlarged.fineness < original.fineness, "{width}: {enlarged:?}");
    }
    let smaller = detail_of(&resize(&scene, 320, 240, FilterType::Lanczos3));
    assert!(smaller.amount < original.amount * 0.8, "{smaller:?} {original:?}");
    // Neither brightness nor contrast matters.
    let dim = RgbImage::from_fn(640, 480, |x, y| image::Rgb(scene.get_pixel(x, y).0.map(|value| value / 2)));
    assert!((detail_of(&dim).amount / original.amount - 1.0).abs() < 0.05);
    for none in [RgbImage::new(640, 480), RgbImage::new(4, 480), RgbImage::new(640, 1)] {
        assert_eq!(detail::of(&as_picture(&none), &LIMITS).unwrap(), None);
    }
    // Longer than a run of pixels, and grey.
    let long = resize(&scene, 3000, 40, FilterType::Lanczos3);
    assert!(detail_of(&long).amount.is_finite());
    let grey = image::DynamicImage::from(scene).to_luma8();
    let grey = Picture { width: 640, height: 480, pixels: Pixels::Grey(grey.into_raw()), damage: None };
    let of_grey = detail::of(&grey, &LIMITS).unwrap().unwrap();
    assert!((of_grey.amount / original.amount - 1.0).abs() < 0.1);
}
