//! HEIC files that lie: sizes, counts, places, chains, and few bytes that would be much work.

use crate::build::image;
use crate::counted::{Outcome, alone, outcome, refused, too_many_pixels};
use crate::heics::{self, Coded, Heic, flat, picture, repeated, sequence, single, slice, unit};
use lumina_photo::{Damage, PhotoError, Pixels};

fn tile() -> Coded {
    Coded::of(&flat("tile.heic"))
}

/// A picture of this size, in a file of this length.
fn zeros(width: u32, height: u32, chroma: u32, length: usize) -> Coded {
    Coded::new(&[sequence(width, height, chroma), picture(None)], &[slice(0, 2, false, &vec![0; length])])
}

fn claims(width: u32, height: u32, chroma: u32) -> Coded {
    zeros(width, height, chroma, 64)
}

fn is_damaged(name: &str, bytes: &[u8]) {
    let error = refused(name, bytes);
    assert!(matches!(error, PhotoError::Damaged { .. }), "{name}: {error:?}");
}

fn is_unsupported(name: &str, bytes: &[u8]) {
    let error = refused(name, bytes);
    assert!(matches!(error, PhotoError::Unsupported { .. }), "{name}: {error:?}");
}

#[test]
fn sizes_that_lie() {
    let _alone = alone();
    // What the writers write is what the decoder reads: it reaches the samples.
    is_damaged("a small one", &single(&claims(64, 64, 1)));
    for chroma in [0, 1, 2, 3] {
        too_many_pixels("HEIC", &single(&claims(65528, 65528, chroma)));
        too_many_pixels("HEIC", &single(&claims(u32::MAX - 7, u32::MAX - 7, chroma)));
        too_many_pixels("HEIC", &single(&claims(8, u32::MAX - 7, chroma)));
        is_unsupported("a long one", &single(&claims(8, 1 << 24, chroma)));
        let error = refused("a large one", &single(&zeros(14_000, 14_000, chroma, 100_000)));
        assert!(matches!(error, PhotoError::Memory { .. }), "{error:?}");
    }
    // All of a picture, out of zeros: an error, once it has been computed.
    for (side, length) in [(1000, 1000), (3000, 5000), (3000, 50_000)] {
        is_damaged("zeros", &single(&zeros(side, side, 1, length)));
    }
    for (columns, rows) in [(21, 1), (1, 23), (100, 100), (4000, 4000)] {
        let sets = [sequence(65_528, 3048, 1), picture(Some((columns, rows)))];
        is_damaged("many tiles", &single(&Coded::new(&sets, &[slice(0, 2, false, &[0; 64])])));
    }
    // Two sets of one number: a small one for the tables, then a large one.
    for (first, second) in [(64, 12_000), (12_000, 64)] {
        let sets = [sequence(first, first, 1), picture(Some((2, 2))), sequence(second, second, 1)];
        outcome("two sizes", &single(&Coded::new(&sets, &[slice(0, 2, false, &[0; 64])])));
    }
}

#[test]
fn grids_that_lie() {
    let _alone = alone();
    let tile = tile();
    too_many_pixels("a large grid", &repeated(1, 1, (u32::MAX, u32::MAX), &tile));
    too_many_pixels("a large grid", &repeated(1, 1, (65_535, 65_535), &tile));
    is_unsupported("65,536 tiles", &repeated(256, 255, (512, 512), &tile));
    // Tiles that nobody sees are decoded, too.
    too_many_pixels("4,096 tiles", &repeated(64, 64, (512, 512), &tile));
    is_damaged("one tile for four", &repeated(1, 1, (1024, 1024), &tile));
    is_damaged("no size", &repeated(1, 1, (0, 9), &tile));
    let (_, picture) = outcome("a grid", &repeated(2, 3, (1500, 1000), &tile)).result.unwrap();
    assert_eq!((picture.width, picture.height, picture.damage), (1500, 1000, None));

    let mut file = Heic::default();
    let grid = file.grid(1, 2, 1024, 512);
    file.derive(grid, &[grid, grid]);
    is_unsupported("a grid of itself", &file.finish());
    let mut file = Heic::default();
    let grid = file.grid(1, 2, 1024, 512);
    let inner = file.grid(1, 1, 512, 512);
    let coded = file.coded(&tile);
    file.derive(grid, &[inner, coded]);
    file.derive(inner, &[coded]);
    is_unsupported("a grid of grids", &file.finish());
    for to in [&[][..], &[2], &[2, 2, 2], &[7, 7]] {
        let mut file = Heic::default();
        let grid = file.grid(1, 2, 1024, 512);
        file.coded(&tile);
        file.derive(grid, to);
        is_damaged("the wrong tiles", &file.finish());
    }
    for kind in [b"iden", b"tmap"] {
        let mut file = Heic::default();
        let first = file.item(kind, &[], &[]);
        let second = file.item(kind, &[], &[]);
        file.derive(first, &[second]);
        file.derive(second, &[first]);
        is_damaged("a circle", &file.finish());
    }
}

/// An identity shows what it is derived from, and a tone map its base picture; what HEIF derives otherwise is refused.
#[test]
fn derived() {
    let _alone = alone();
    let whole = outcome("a tile", &single(&tile())).result.unwrap();
    for kind in [b"iden", b"tmap"] {
        let mut file = Heic::default();
        let first = file.item(kind, &[], &[]);
        let second = file.item(b"iden", &[], &[]);
        let (base, gain) = (file.coded(&tile()), file.coded(&Coded::of(&image("heic-grey.heic"))));
        file.derive(first, &[second, gain]);
        file.derive(second, &[base]);
        assert!(outcome("derived", &file.finish()).result.unwrap() == whole);
    }
    for kind in [b"iovl", b"av01", b"jpeg", b"mime", b"hev1"] {
        let mut file = Heic::default();
        let first = file.item(kind, &[], &[]);
        let base = file.coded(&tile());
        file.derive(first, &[base]);
        is_unsupported("derived otherwise", &file.finish());
    }
}

/// A picture has the size of its samples, whatever its property `ispe` says, or if it has none.
#[test]
fn sizes_of_properties() {
    let _alone = alone();
    let tile = tile();
    let whole = outcome("a tile", &single(&tile)).result.unwrap();
    for (width, height) in [(512u32, 512u32), (500, 512), (512, 1), (1, 1), (0, 0), (600, 600), (u32::MAX, u32::MAX)] {
        let mut file = Heic::default();
        let size = [[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat();
        let properties = [file.property(b"ispe", &size), file.property(b"hvcC", &tile.record)];
        let extent = file.bytes(&tile.data);
        file.item(b"hvc1", &[extent], &properties);
        let found = outcome("another size", &file.finish()).result.unwrap();
        assert!(found == whole, "{width} x {height}");
    }
}

/// Later tiles that are missing, damaged or of another size leave grey, and the picture is truncated.
#[test]
fn grids_with_holes() {
    let _alone = alone();
    let tile = tile();
    let other = Coded::of(&image("heic-420.heic"));
    let broken = Coded { data: tile.data[..tile.data.len() / 2].to_vec(), ..tile.clone() };
    for (name, second) in [("missing", None), ("another size", Some(other)), ("damaged", Some(broken))] {
        let mut file = Heic::default();
        let grid = file.grid(1, 3, 1500, 512);
        let good = file.coded(&tile);
        let bad = second.map_or(9, |coded| file.coded(&coded));
        file.derive(grid, &[good, bad, good]);
        let (_, picture) = outcome(name, &file.finish()).result.unwrap();
        assert_eq!(picture.damage, Some(Damage::Truncated), "{name}");
        let Pixels::Rgb(samples) = &picture.pixels else { panic!("colours") };
        let at = |x: usize| &samples[(200 * 1500 + x) * 3..][..3];
        assert_eq!((at(700), at(10)), (&[128; 3][..], at(1200)), "{name}");
        assert!(at(10) != at(700), "{name}");
        let mut file = Heic::default();
        let grid = file.grid(1, 2, 1024, 512);
        file.derive(grid, &[7, 7]);
        is_damaged("the first one is missing", &file.finish());
    }
}

#[test]
fn places_that_lie() {
    let _alone = alone();
    let tile = tile();
    let with = |extents: &dyn Fn((u64, u64)) -> Vec<(u64, u64)>| {
        let mut file = Heic::default();
        let property = file.property(b"hvcC", &tile.record);
        let found = file.bytes(&tile.data);
        file.item(b"hvc1", &extents(found), &[property]);
        file.finish()
    };
    assert!(outcome("one", &with(&|found| vec![found])).result.is_ok());
    // In pieces, the picture is the same.
    let pieces = |(start, length): (u64, u64)| (0..length).map(|at| (start + at, 1)).collect();
    let whole = outcome("whole", &with(&|found| vec![found])).result.unwrap();
    assert!(outcome("pieces", &with(&pieces)).result.unwrap() == whole);
    is_damaged("none", &with(&|_| vec![]));
    for (offset, length) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX), (1 << 40, 8), (0, 1 << 40)] {
        is_damaged("elsewhere", &with(&|_| vec![(offset, length)]));
        is_damaged("partly elsewhere", &with(&|found| vec![found, (offset, length)]));
    }
    is_damaged("65,535 times all", &with(&|(start, length)| vec![(start, length); 65_535]));
    for record in [vec![], vec![1; 22], vec![255; 23], vec![255; 400]] {
        refused("no configuration", &single(&Coded { record, ..tile.clone() }));
    }
    for data in [vec![], vec![255; 99], vec![0; 1 << 16], unit(&[0x26, 1]).repeat(99)] {
        is_damaged("no data", &single(&Coded { data, ..tile.clone() }));
    }
}

/// Parameter sets longer than a decoder configuration can hold are refused before they are copied; units that nothing
/// is read of may be of any length.
#[test]
fn long_parameter_sets() {
    let _alone = alone();
    let tile = tile();
    let before = |unit: &[u8]| Coded { data: [heics::unit(unit), tile.data.clone()].concat(), ..tile.clone() };
    // Behind each escape comes one more.
    let long = |kind: u8, length: usize| [&[kind << 1, 1][..], &[0, 0, 3].repeat(length / 3)].concat();
    for kind in [33, 34] {
        for length in [1 << 16, 3 << 20, 64 << 20] {
            is_damaged("a long parameter set", &single(&before(&long(kind, length))));
        }
    }
    for kind in [32, 39] {
        assert!(outcome("a long unit", &single(&before(&long(kind, 8 << 20)))).result.is_ok());
    }
    let mut filled = sequence(64, 64, 1);
    filled.resize(0xffff, 0);
    let sets = [filled, picture(None)];
    is_damaged("a small picture that ends early", &single(&Coded::new(&sets, &[slice(0, 16, false, &[0; 9])])));
    for (length, is_long) in [(0xffff, false), (0x1_0000, true)] {
        let mut set = sequence(64, 64, 1);
        set.resize(length, 0);
        let error = refused("a set for another picture", &single(&before(&set))).to_string();
        assert_eq!(error.contains("longer than 65535 bytes"), is_long, "{error}");
    }
}

/// Few bytes that would be decoded again and again.
#[test]
fn work_without_bytes() {
    let _alone = alone();
    // Slices that begin where another did: 4,000 of them on 4 million pixels.
    let sets = [sequence(2048, 2048, 1), picture(None)];
    let again: Vec<Vec<u8>> = (0..4000).map(|place| slice(u32::from(place > 0), 16_384, false, &[0; 40])).collect();
    is_damaged("slices at one place", &single(&Coded::new(&sets, &again)));
    let first: Vec<Vec<u8>> = vec![slice(0, 16_384, false, &[0xff; 40]); 4000];
    is_damaged("first slices", &single(&Coded::new(&sets, &first)));
    // Tiles that share a megabyte of other units.
    let mut tile = tile();
    tile.data = [unit(&[78, 1].repeat(1 << 19)), tile.data].concat();
    let Outcome { result, .. } = outcome("tiles that share", &repeated(20, 20, (64 * 20, 64 * 20), &tile));
    assert_eq!(result.unwrap().1.damage, Some(Damage::Truncated));
    // Parameter sets without end.
    tile.data = unit(&picture(None)).repeat(60_000);
    is_damaged("parameter sets", &single(&tile));
    // A unit of parameters before every slice, of every kind.
    let flood = Coded { data: unit(&sequence(65_528, 3048, 3)).repeat(20_000), ..tile };
    is_damaged("sequence parameter sets", &single(&flood));
    // A unit takes a bit: a large picture of few bytes is refused before it is allocated.
    let found = outcome("ninety megapixels of nothing", &single(&claims(10_000, 9000, 1)));
    assert!(found.result.is_err() && found.asked < 4 << 20, "{} bytes", found.asked);
}
