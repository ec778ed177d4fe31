//! Metadata of any bytes, of a JPEG that holds them as its EXIF block, and dates in names: all numbers are finite, all
//! texts short.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::format::detect;
use lumina_photo::metadata::{dimensions_of_heif, orientation, read};
use lumina_photo::{Format, dates};
use std::path::Path;

fn describe(bytes: &[u8], format: Format) {
    let metadata = read(bytes, format);
    orientation(bytes, format);
    dates::from_metadata(&metadata);
    for number in [metadata.exposure_time, metadata.f_number, metadata.focal_length].into_iter().flatten() {
        assert!(number.is_finite());
    }
    if let Some(gps) = metadata.gps {
        assert!(gps.latitude.abs() <= 90.0 && gps.longitude.abs() <= 180.0);
        assert!(gps.altitude.is_none_or(f64::is_finite));
    }
    for text in [metadata.make, metadata.model, metadata.artist, metadata.copyright].into_iter().flatten() {
        assert!(text.len() < 1 << 16 && !text.contains('\0'));
    }
}

fuzz_target!(init: photo::init(), |bytes: &[u8]| {
    if let Ok(format) = detect(bytes) {
        describe(bytes, format);
    }
    dimensions_of_heif(bytes);
    let [high, low] = (bytes.len().min(60_000) as u16 + 8).to_be_bytes();
    let block = [&[0xff, 0xd8, 0xff, 0xe1, high, low], &b"Exif\0\0"[..], &bytes[..bytes.len().min(60_000)]].concat();
    describe(&block, Format::Jpeg);
    if let Ok(text) = std::str::from_utf8(bytes) {
        dates::from_file_name(text);
        dates::from_directory(Path::new(text));
    }
});
