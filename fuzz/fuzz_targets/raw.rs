//! What a file is, and the previews of raw files: they lie in the file, and the first that can be decoded is a picture.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::format::detect;
use lumina_photo::raw::previews;

fuzz_target!(init: photo::init(), |bytes: &[u8]| {
    let Ok(format) = detect(bytes) else { return };
    for range in previews(bytes, format) {
        assert!(bytes[range].starts_with(&[0xff, 0xd8]));
    }
    if format.is_raw() {
        photo::check(format.name(), &photo::outcome_within(bytes, photo::PIXELS, photo::MEMORY));
    }
});
