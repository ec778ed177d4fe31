//! Thumbnails against floating-point means, under every orientation, and without time or memory.

use super::*;
use crate::limits::{Caller, NeverCancels};
use crate::picture::Pixels;
use crate::{decode, metadata};
use proptest::prelude::*;
use std::cell::Cell;
use std::path::{Path, PathBuf};

const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 1 << 30, caller: &NeverCancels };

/// A picture whose samples at a place are given by channel.
fn picture(width: u32, height: u32, channels: u32, sample: impl Fn(u32, u32, u32) -> u32) -> Picture {
    let place = |index: u32| (index / channels % width, index / channels / width, index % channels);
    let samples =
        (0..width * height * channels).map(place).map(|(x, y, channel)| sample(x, y, channel) as u8).collect();
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Picture { width, height, pixels, damage: None }
}

/// A picture with edges and slopes that checks different under every orientation.
fn scene(width: u32, height: u32, channels: u32) -> Picture {
    picture(width, height, channels, |x, y, channel| {
        let (right, down) = (x * 255 / width, y * 255 / height);
        match channel {
            0 if channels == 3 => right,
            0 | 1 => (down + right / 3).min(255),
            _ if x * 3 < width && y * 2 < height => 230,
            _ => 40,
        }
    })
}

/// A stored picture that equals `picture` when shown under an orientation.
fn stored(picture: &Picture, orientation: Orientation) -> Picture {
    let upright = |form: &Orientation| form.then(orientation) == Orientation::Upright;
    let back = Orientation::ALL.into_iter().find(upright).unwrap();
    let view = OrientedView::new(picture, back);
    let mut scratch = vec![0; view.width * view.channels * ROWS];
    let samples = (0..view.height).step_by(ROWS).flat_map(|y| view.rows(y, &mut scratch).to_vec()).collect();
    let pixels = if view.channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Picture { width: view.width as u32, height: view.height as u32, pixels, damage: None }
}

fn made(picture: &Picture, orientation: Orientation, side: u32) -> Vec<u8> {
    thumbnail(picture, orientation, side, Format::Png, &LIMITS).unwrap()
}

fn shown(jpeg: &[u8]) -> Picture {
    let (format, picture) = decode(jpeg, &LIMITS).unwrap();
    assert_eq!(format, Format::Jpeg);
    assert_eq!(picture.damage, None);
    picture
}

/// The mean difference of two pictures' samples.
fn difference(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height, a.pixels.channels()), (b.width, b.height, b.pixels.channels()));
    let (a, b) = (a.pixels.samples(), b.pixels.samples());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn sizes() {
    let cases = [
        ((640, 480), 320, (320, 240)),
        ((480, 640), 320, (240, 320)),
        ((320, 320), 320, (320, 320)),
        ((321, 200), 320, (320, 199)),
        ((100, 50), 320, (100, 50)),
        ((1, 1), 320, (1, 1)),
        ((1, 5000), 320, (1, 320)),
        ((5000, 1), 320, (320, 1)),
        ((5000, 3), 320, (320, 1)),
        ((64, 64), 1, (1, 1)),
        ((64, 64), 0, (1, 1)),
        ((3, 70_000), u32::MAX, (3, 65_535)),
    ];
    for ((width, height), side, expected) in cases {
        for channels in [1, 3] {
            let jpeg = made(&scene(width, height, channels), Orientation::Upright, side);
            let shown = shown(&jpeg);
            assert_eq!((shown.width, shown.height), expected, "{width} x {height} at {side}");
            assert_eq!(shown.pixels.channels(), channels as usize, "{width} x {height}");
        }
    }
}

/// Colours stay in their places.
#[test]
fn colours() {
    let scene = picture(400, 200, 3, |x, _, channel| if channel == x / 134 { 250 } else { 10 });
    let shown = shown(&made(&scene, Orientation::Upright, 100));
    for (x, channel) in [(10, 0), (50, 1), (90, 2)] {
        let pixel = &shown.pixels.samples()[(25 * 100 + x) * 3..][..3];
        assert!(pixel[channel] > 235 && pixel.iter().filter(|sample| **sample < 25).count() == 2, "{x}: {pixel:?}");
    }
}

#[test]
fn made_picture_under_every_orientation() {
    for channels in [1, 3] {
        let scene = scene(403, 250, channels);
        let expected = made(&scene, Orientation::Upright, 100);
        assert_eq!(shown(&expected).width, 100);
        for orientation in Orientation::ALL {
            let stored = stored(&scene, orientation);
            assert_eq!(stored.width == 403, !orientation.swaps_sides());
            assert_eq!(made(&stored, orientation, 100), expected, "{orientation:?}");
            assert_eq!(orientation == Orientation::Upright, made(&scene, orientation, 100) == expected);
        }
    }
}

#[test]
fn photographs_under_every_orientation() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/photos");
    let folder = std::env::var_os("LUMINA_PHOTOS").map_or(usual, PathBuf::from).join("orientation");
    if !folder.is_dir() {
        println!("skipped: {} is no folder (set LUMINA_PHOTOS)", folder.display());
        return;
    }
    // Small, because each is labelled and was resized separately; the first one was brightened.
    let of = |number: u32, form: Orientation| {
        let bytes = std::fs::read(folder.join(format!("landscape_{number}.jpg"))).unwrap();
        let (format, picture) = decode(&bytes, &LIMITS).unwrap();
        let orientation = metadata::orientation(&bytes, format);
        assert_eq!(u32::from(orientation.exif()), number);
        shown(&thumbnail(&picture, orientation.then(form), 24, format, &LIMITS).unwrap())
    };
    let upright = of(3, Orientation::Upright);
    assert_eq!((upright.width, upright.height), (24, 18));
    for number in 2..=8 {
        for form in Orientation::ALL.into_iter().filter(|form| !form.swaps_sides()) {
            let difference = difference(&upright, &of(number, form));
            let same = form == Orientation::Upright;
            assert!(if same { difference < 6.0 } else { difference > 20.0 }, "{number} {form:?}: {difference}");
        }
    }
}

/// The mean of the area under a pixel, by floating point.
fn mean(picture: &Picture, size: (usize, usize), (x, y): (usize, usize), channel: usize) -> f64 {
    let (width, height, channels) = (picture.width as usize, picture.height as usize, picture.pixels.channels());
    let share = |index: usize, length: usize, to: usize, place: usize| {
        let pixel = length as f64 / to as f64;
        let (from, to) = (place as f64 * pixel, (place + 1) as f64 * pixel);
        (to.min(index as f64 + 1.0) - from.max(index as f64)).max(0.0) / pixel
    };
    let mut sum = 0.0;
    for row in 0..height {
        for column in 0..width {
            let weight = share(column, width, size.0, x) * share(row, height, size.1, y);
            sum += weight * f64::from(picture.pixels.samples()[(row * width + column) * channels + channel]);
        }
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn samples_are_means(
        (width, height) in (1u32..40, 1u32..40),
        channels in prop::sample::select(vec![1u32, 3]),
        side in 1usize..45,
        seed in any::<u32>(),
    ) {
        let noise = |x: u32, y: u32, channel: u32| {
            (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ channel.wrapping_mul(seed | 1))
                .wrapping_mul(seed | 1) >> 24
        };
        let noise = picture(width, height, channels, noise);
        let view = OrientedView::new(&noise, Orientation::Upright);
        let size = scaled((view.width, view.height), side);
        let samples = match channels {
            1 => averaged::<1>(&view, size, &LIMITS),
            _ => averaged::<3>(&view, size, &LIMITS),
        };
        let channels = channels as usize;
        for (index, sample) in samples.unwrap().into_iter().enumerate() {
            let place = (index / channels % size.0, index / channels / size.0);
            let expected = mean(&noise, size, place, index % channels);
            prop_assert!((f64::from(sample) - expected).abs() < 0.5 + 1e-6, "{place:?}: {sample}, not {expected}");
        }
    }
}

/// Cancels at one check; records the number of checks and the largest request for memory.
#[derive(Default)]
struct Ends {
    at: Option<u32>,
    checks: Cell<u32>,
    asked: Cell<usize>,
}

impl Caller for Ends {
    fn is_cancelled(&self) -> bool {
        self.checks.set(self.checks.get() + 1);
        self.at == Some(self.checks.get())
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.asked.set(self.asked.get().max(bytes));
        true
    }
}

#[test]
fn ends_at_every_look() {
    let scene = picture(700, 600, 3, |x, y, channel| x.wrapping_mul(y + 7).wrapping_mul(channel + 3) >> 3);
    let try_to =
        |caller: &Ends| thumbnail(&scene, Orientation::Rotate90, 500, Format::Png, &Limits { caller, ..LIMITS });
    let all = Ends::default();
    assert!(try_to(&all).is_ok());
    assert!(all.checks.get() > 20, "{} checks", all.checks.get());
    for at in 1..=all.checks.get() {
        assert_eq!(try_to(&Ends { at: Some(at), ..Ends::default() }), Err(PhotoError::Cancelled), "at check {at}");
    }
}

#[test]
fn memory_is_asked_for() {
    let scene = scene(1500, 1400, 3);
    let within = |memory: u64| {
        let caller = Ends::default();
        let limits = Limits { memory, caller: &caller, ..LIMITS };
        (thumbnail(&scene, Orientation::Rotate90, 900, Format::Png, &limits), caller.asked.get() as u64)
    };
    let (made, asked) = within(LIMITS.memory);
    let picture = scene.pixels.samples().len() as u64;
    assert!(asked > picture + 900 * 840 * 3 + made.unwrap().len() as u64);
    assert!(within(asked).0.is_ok());
    for memory in [0, picture, asked - 1] {
        let (refused, asked) = within(memory);
        let expected = |error: &PhotoError| matches!(error, PhotoError::Memory { limit, .. } if *limit == memory);
        assert!(refused.as_ref().is_err_and(expected), "{memory}: {refused:?}");
        assert!(asked <= memory);
    }
}
