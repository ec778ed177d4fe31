//! Bands and distances of any two hashes: the pigeonhole rule holds, and every kernel agrees with the portable one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lumina_hash::MAX_BYTES;
use lumina_hash::bands::Bands;
use lumina_hash::kernel::InstructionSet;

fuzz_target!(|input: (u16, &[u8])| {
    let (count, bytes) = input;
    let half = bytes.len() / 2;
    let (a, b) = (&bytes[..half], &bytes[half..2 * half]);
    if !(1..=MAX_BYTES).contains(&half) {
        return;
    }
    let distance = lumina_hash::distance(a, b);
    for kernels in InstructionSet::ALL.iter().filter_map(|set| set.kernels()) {
        assert_eq!(kernels.distance(a, b), distance);
    }
    if let Some(bands) = Bands::new(half * 8, usize::from(count)) {
        let equal = (0..bands.count()).filter(|&band| bands.value(a, band) == bands.value(b, band)).count();
        assert!(equal + distance as usize >= bands.count());
        let slots: u32 = bands.exact_cover(distance).flatten().map(|tolerance| tolerance + 1).sum();
        assert_eq!(slots, distance + 1);
    }
});
