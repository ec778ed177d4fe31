//! Hashes of turned and mirrored pictures from the hash of one: those of the pictures really turned, or nearly so.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use lumina_photo::hash::{Hash, Wanted, forms, make};
use lumina_photo::{Format, Limits, Method, NeverCancels, Orientation, Picture, Pixels, Recipe};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 26, memory: 1 << 30, caller: &NeverCancels };

fn distance(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn form(hash: &[u8], method: Method, orientation: Orientation) -> Option<Hash> {
    forms(hash, method).unwrap().into_iter().find(|form| form.0 == orientation).map(|form| form.1)
}

/// A picture without symmetry, and without places of one brightness.
fn scene(number: u32, width: u32, height: u32) -> Picture {
    let phase = f64::from(number);
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let waves = [(5.0, 3.0, 1.0), (-7.0, 2.0, 2.0), (11.0, 13.0, 3.0), (3.0, -17.0, 5.0), (19.0, 9.0, 4.0)];
            let sum: f64 = waves.iter().map(|(a, b, c)| (a * x + b * y * y + c * phase).sin() / (1.0 + c / 4.0)).sum();
            samples.push((128.0 + 40.0 * sum + 20.0 * (x - 0.6 * y)).clamp(1.0, 254.0) as u8);
        }
    }
    Picture { width, height, pixels: Pixels::Grey(samples), damage: None }
}

/// Forms of pictures of many sizes, beside the hashes of the pictures really turned: near, and far from other forms.
#[test]
fn near_to_turned_pictures() {
    for method in Method::ALL {
        // By the kind: the mean and the most of the distances, of 100 bits.
        let (mean, most) = match method {
            Method::Average | Method::Median | Method::Wavelet => (0.5, 4.0),
            Method::Dct | Method::Pdq => (8.0, 25.0),
            Method::Difference | Method::Block => (4.0, 13.0),
        };
        let mut distances = Vec::new();
        let mut others = Vec::new();
        for number in 0..24 {
            let picture = scene(number, 230 + 31 * (number % 7), 240 + 17 * (number % 5));
            let wanted = Wanted { recipes: vec![Recipe::standard(method)], sharpness: false };
            let hash = |form| make(&picture, form, &wanted, Format::Png, &LIMITS).unwrap().hashes.remove(0);
            let found = forms(&hash(Orientation::Upright), method).unwrap();
            assert_eq!(found[0], (Orientation::Upright, hash(Orientation::Upright)));
            let expected = if matches!(method, Method::Difference | Method::Block) { 4 } else { 8 };
            assert_eq!(found.len(), expected, "{method:?}");
            for (form, found) in &found[1..] {
                let share = |other| 100.0 * f64::from(distance(found, &hash(other))) / (8 * found.len()) as f64;
                distances.push(share(*form));
                others.extend(Orientation::ALL.into_iter().filter(|other| other != form).map(share));
            }
        }
        let mean_of = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let most_of = distances.iter().copied().fold(0.0, f64::max);
        println!(
            "{}: mean {:.2}, most {most_of:.1}, other forms {:.1}",
            method.name(),
            mean_of(&distances),
            mean_of(&others)
        );
        assert!(mean_of(&distances) <= mean && most_of <= most, "{method:?}");
        assert!(mean_of(&others) > 25.0, "{method:?}");
    }
}

#[test]
fn no_forms() {
    for (bytes, method) in
        [(3, Method::Dct), (8, Method::Pdq), (4, Method::Average), (128, Method::Pdq), (0, Method::Dct)]
    {
        let error = forms(&vec![0x5a; bytes], method).unwrap_err();
        assert_eq!((error.method, error.bits), (method, 8 * bytes));
    }
}

proptest! {
    /// What is turned twice is turned by both: so each form is where the others say.
    #[test]
    fn forms_of_forms(hash in (1_usize..=5).prop_flat_map(|side| vec(any::<u8>(), 2 * side * side)),
        method in prop::sample::select(Method::ALL.to_vec())) {
        let hash = if method == Method::Pdq { hash.iter().copied().cycle().take(32).collect() } else { hash };
        for (first, once) in forms(&hash, method).unwrap() {
            for (second, twice) in forms(&once, method).unwrap() {
                prop_assert_eq!(Some(twice), form(&hash, method, first.then(second)), "{:?}, {:?}", first, second);
            }
        }
    }
}
