//! Every combination of sampling factors: the right pixels, or none.
//!
//! The picture is a pattern of tiles of one colour each, as large as the largest unit or several of them, so that every
//! block of every component lies in one tile.

use super::super::JpegStream;
use super::naive::{Component, Jpeg};
use super::{LIMITS, decode, golden};
use crate::error::PhotoError;
use crate::picture::Damage;
use std::sync::LazyLock;

/// Sampling factors of a component, across and down.
type Factors = (usize, usize);

/// Tiles across and down, and pixels of a tile across; 32 or 48 of them down.
const TILES: (usize, usize) = (3, 2);
const WIDTH: usize = 32;

/// A file with the tables of the scans that are written.
static BASE: LazyLock<Jpeg> = LazyLock::new(|| Jpeg::read(&golden("jpeg-444.jpg")).unwrap());

/// One scan, and one of each component.
const WHOLE: &[&[usize]] = &[&[0, 1, 2]];
const APART: &[&[usize]] = &[&[0], &[1], &[2]];

/// All factors.
fn factors() -> impl Iterator<Item = Factors> {
    (1..=4).flat_map(|h| (1..=4).map(move |v| (h, v)))
}

/// The sample of a component in a tile.
fn sample(component: usize, (x, y): (usize, usize)) -> i32 {
    [[60, 200, 110, 170, 90, 230], [128, 90, 160, 100, 150, 128], [90, 128, 110, 160, 128, 150]][component % 3]
        [y * TILES.0 + x]
}

/// Sequential scans of these components, by place; the factors of each.
fn file(sampling: &[Factors], scans: &[&[usize]]) -> Vec<u8> {
    let (most_h, most_v) = (sampling.iter().map(|f| f.0).max().unwrap(), sampling.iter().map(|f| f.1).max().unwrap());
    let tile = (WIDTH, if most_v == 3 { 48 } else { 32 });
    let (width, height) = (TILES.0 * tile.0, TILES.1 * tile.1);
    let mut jpeg = BASE.clone();
    // One quantization table, all of whose factors are 8: a mean is the difference to 128.
    jpeg.headers = [&[0xff, 0xd8, 0xff, 0xdb, 0, 67, 0][..], &[8; 64]].concat();
    let count = sampling.len() as u8;
    jpeg.headers.extend([0xff, 0xc0, 0, 8 + 3 * count, 8, 0, height as u8, 0, width as u8, count]);
    for (id, (h, v)) in (1..).zip(sampling) {
        jpeg.headers.extend([id, (h << 4 | v) as u8, 0]);
    }
    jpeg.units = (width.div_ceil(8 * most_h), height.div_ceil(8 * most_v));
    let component = |(index, &(h, v)): (usize, &Factors)| {
        let (across, down) = (jpeg.units.0 * h, jpeg.units.1 * v);
        let block = |place: usize| {
            // The middle of what it covers.
            let (x, y) = (place % across, place / across);
            let (x, y) = ((2 * x + 1) * 4 * most_h / h / tile.0, (2 * y + 1) * 4 * most_v / v / tile.1);
            let mut block = [0; 64];
            block[0] = sample(index, (x.min(TILES.0 - 1), y.min(TILES.1 - 1))) - 128;
            block
        };
        let own = ((width * h).div_ceil(8 * most_h), (height * v).div_ceil(8 * most_v));
        Component { id: index as u8 + 1, h, v, across, blocks: (0..across * down).map(block).collect(), own }
    };
    jpeg.components = sampling.iter().enumerate().map(component).collect();
    jpeg.write(scans, 0)
}

/// The tile of a pixel, by its number, in a picture of that size; none near the borders of tiles, where colours are
/// interpolated.
fn tile_of(at: usize, (width, height): (u32, u32)) -> Option<(usize, usize)> {
    let (x, y, tall) = (at % width as usize, at / width as usize, height as usize / TILES.1);
    let is_inside = |at: usize, length: usize| (4..length - 4).contains(&(at % length));
    (is_inside(x, WIDTH) && is_inside(y, tall)).then_some((x / WIDTH, y / tall))
}

/// Whether a picture is decoded, which then has the pixels of the pattern.
fn is_decoded(name: &str, file: &[u8], expected: impl Fn((usize, usize)) -> Vec<u8>) -> bool {
    let picture = match decode(file, &LIMITS) {
        Err(PhotoError::Unsupported { .. }) => return false,
        Err(error) => panic!("{name}: {error}"),
        Ok(picture) => picture,
    };
    assert_eq!(picture.damage, None, "{name}");
    let channels = picture.pixels.channels();
    for (at, pixel) in picture.pixels.samples().chunks(channels).enumerate() {
        let Some(tile) = tile_of(at, (picture.width, picture.height)) else { continue };
        let expected = expected(tile);
        let is_near = pixel.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(is_near && pixel.len() == expected.len(), "{name}: {pixel:?} in {tile:?}, not {expected:?}");
    }
    true
}

/// JFIF's conversion.
fn rgb(tile: (usize, usize)) -> Vec<u8> {
    let [y, cb, cr] = [0, 1, 2].map(|component| f64::from(sample(component, tile)));
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let sums = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
    sums.iter().map(|sum| sum.round().clamp(0.0, 255.0) as u8).collect()
}

#[test]
fn colours_of_any_sampling() {
    let (mut decoded, mut refused) = (0, 0);
    for first in factors() {
        for second in factors() {
            for third in [second, (1, 1), first, (2, 1), (1, 2)] {
                let sampling = [first, second, third];
                let blocks: usize = sampling.iter().map(|(h, v)| h * v).sum();
                // One scan has at most ten blocks in a unit (T.81, B.2.3).
                for scans in [WHOLE, APART].into_iter().filter(|scans| blocks <= 10 || scans.len() > 1) {
                    let name = format!("{sampling:?}, {} scans", scans.len());
                    match is_decoded(&name, &file(&sampling, scans), rgb) {
                        true => decoded += 1,
                        false => refused += 1,
                    }
                }
            }
        }
    }
    println!("{decoded} decoded, {refused} refused");
    assert!(decoded > 200, "{decoded}");
    // What cameras and programs write.
    for first in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2)] {
        for others in [[(1, 1); 2], [first; 2]] {
            let sampling = [first, others[0], others[1]];
            let scans = if sampling.iter().map(|(h, v)| h * v).sum::<usize>() <= 10 { WHOLE } else { APART };
            assert!(is_decoded(&format!("{sampling:?}"), &file(&sampling, scans), rgb), "{sampling:?}");
        }
    }
    for sampling in
        [[(2, 2), (2, 1), (2, 1)], [(2, 2), (1, 2), (1, 2)], [(2, 1), (2, 2), (2, 2)], [(2, 1), (1, 2), (1, 1)]]
    {
        assert!(is_decoded(&format!("{sampling:?}"), &file(&sampling, APART), rgb), "{sampling:?}");
    }
}

/// The factors of one component mean nothing.
#[test]
fn grey_of_any_sampling() {
    for factors in factors() {
        let grey = |tile| vec![sample(0, tile) as u8];
        assert!(is_decoded(&format!("{factors:?}"), &file(&[factors], &[&[0]]), grey), "{factors:?}");
    }
}

/// Two components are grey and something else, as in TIFF; five have no meaning.
#[test]
fn other_numbers_of_components() {
    for factors in [[(1, 1); 2], [(2, 2), (1, 1)], [(2, 1), (1, 1)]] {
        let two = file(&factors, &[&[0, 1]]);
        assert!(matches!(decode(&two, &LIMITS), Err(PhotoError::Unsupported { .. })));
        let stream = JpegStream { tables: &[], bytes: &two, largest: (u32::MAX, u32::MAX), held: 0 };
        let decoded = stream.components(&LIMITS).unwrap();
        assert_eq!((decoded.channels, decoded.damage), (2, None::<Damage>));
        for (at, pixel) in decoded.samples.chunks(2).enumerate() {
            let Some(tile) = tile_of(at, (decoded.width, decoded.height)) else { continue };
            assert_eq!(
                [0, 1].map(|component| i32::from(pixel[component])),
                [0, 1].map(|component| sample(component, tile))
            );
        }
    }
    let five = file(&[(1, 1); 5], &[&[0], &[1], &[2], &[3]]);
    assert!(matches!(decode(&five, &LIMITS), Err(PhotoError::Unsupported { .. })));
    let mut none = file(&[(1, 1); 3], &[&[0, 1, 2]]);
    let frame = none.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    for count in [0, 4, 255] {
        none[frame + 9] = count;
        assert!(matches!(decode(&none, &LIMITS), Err(PhotoError::Damaged { .. })), "{count}");
    }
}
