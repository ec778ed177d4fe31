//! Thumbnails allocate what they requested, and not much less, for any picture.

use crate::counted::{MEMORY, PIXELS, Random, Remembers, alone, measured};
use lumina_photo::{Format, Limits, Orientation, PhotoError, Picture, Pixels, thumbnail};

/// A picture of noise, which no encoder makes small.
fn noise(width: u32, height: u32, channels: usize) -> Picture {
    let mut random = Random(u64::from(width));
    let samples = (0..width as usize * height as usize * channels).map(|_| random.next() as u8).collect();
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Picture { width, height, pixels, damage: None }
}

#[test]
fn of_every_shape() {
    let _alone = alone();
    let shapes = [(1, 1), (3000, 2000), (1, 200_000), (200_000, 1), (100_000, 9), (9, 100_000), (500, 500)];
    for ((width, height), channels, side) in
        shapes.into_iter().flat_map(|shape| [(shape, 1, 320), (shape, 3, 320), (shape, 3, u32::MAX)])
    {
        let picture = noise(width, height, channels);
        for orientation in [Orientation::Upright, Orientation::Rotate90] {
            let caller = Remembers::default();
            let limits = Limits { pixels: PIXELS, memory: MEMORY, caller: &caller };
            let (made, peak) = measured(|| thumbnail(&picture, orientation, side, Format::Png, &limits));
            let (held, asked) = (picture.pixels.samples().len() as u64, caller.asked.get());
            let name = format!("{width} x {height} x {channels} at {side}");
            assert!(made.is_ok_and(|jpeg| jpeg.starts_with(&[0xff, 0xd8])), "{name}");
            assert!(held + peak <= asked, "{name}: {peak} beside {held}, of which {asked} were asked for");
            assert!(asked <= 2 * (held + peak) + (64 << 10), "{name}: {asked}, but it was {peak} beside {held}");
            let limits = Limits { memory: asked - 1, ..limits };
            let (refused, peak) = measured(|| thumbnail(&picture, orientation, side, Format::Png, &limits));
            assert!(matches!(refused, Err(PhotoError::Memory { .. })), "{name}");
            assert!(held + peak < asked, "{name}: {peak} beside {held}");
        }
    }
}
