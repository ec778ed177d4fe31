//! Files of the format JPEG XL, without the program that decodes their pictures: the container and its metadata alone.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::Format;

fuzz_target!(init: photo::init(), |bytes: &[u8]| photo::decode(Format::Jxl, bytes));
