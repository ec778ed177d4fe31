//! Files of the format HEIC: a picture or an error, within what was asked for.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::Format;

fuzz_target!(init: photo::init(), |bytes: &[u8]| photo::decode(Format::Heic, bytes));
