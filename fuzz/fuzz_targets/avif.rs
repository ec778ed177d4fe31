//! Files of the format AVIF, without the program that decodes their pictures: the container alone.
#![no_main]

mod photo;

use libfuzzer_sys::fuzz_target;
use lumina_photo::Format;

fuzz_target!(init: photo::init(), |bytes: &[u8]| photo::decode(Format::Avif, bytes));
