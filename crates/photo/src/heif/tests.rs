//! Items in all versions of their boxes, and transforms in every order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::transforms::Rectangle;
use super::*;
use crate::ifd::build::boxed;

/// A full box.
fn full(kind: &[u8; 4], version: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, flags], body].concat())
}

/// A number of two bytes, or of four where numbers are wide.
fn id(number: u32, wide: bool) -> Vec<u8> {
    if wide { number.to_be_bytes().to_vec() } else { (number as u16).to_be_bytes().to_vec() }
}

/// The box `meta` of a file of these items, the first of them the primary one.
fn meta(items: &[(u32, &[u8; 4])], wide: bool, rest: &[Vec<u8>]) -> Vec<u8> {
    let entry = |&(number, kind): &(u32, &[u8; 4])| {
        full(b"infe", if wide { 3 } else { 2 }, 0, &[&id(number, wide)[..], &[0, 0], kind, &[0]].concat())
    };
    let entries: Vec<u8> = items.iter().flat_map(entry).collect();
    let primary = full(b"pitm", u8::from(wide), 0, &id(items[0].0, wide));
    let list = full(b"iinf", u8::from(wide), 0, &[id(items.len() as u32, wide), entries].concat());
    full(b"meta", 0, 0, &[&[primary, list].concat()[..], &rest.concat()].concat())
}

fn references(kind: &[u8; 4], wide: bool, from: u32, to: &[u32]) -> Vec<u8> {
    let to_ids: Vec<u8> = to.iter().flat_map(|&number| id(number, wide)).collect();
    boxed(kind, &[id(from, wide), (to.len() as u16).to_be_bytes().to_vec(), to_ids].concat())
}

/// The properties of item 1, each once.
fn properties(list: &[Vec<u8>], long: bool) -> Vec<u8> {
    let index = |place: usize| if long { vec![0x80, place as u8 + 1] } else { vec![place as u8 + 1] };
    let indices: Vec<u8> = (0..list.len()).flat_map(index).collect();
    let entry = [&[0, 0, 0, 1, 0, 1, list.len() as u8], &indices[..]].concat();
    boxed(b"iprp", &[boxed(b"ipco", &list.concat()), full(b"ipma", 0, long.into(), &entry)].concat())
}

fn ranges(bytes: &[u8], number: u32) -> Vec<Option<Range<usize>>> {
    let heif = Heif::parse(bytes).unwrap();
    heif.extents(heif.item(number).unwrap()).map(|found| found.collect()).unwrap_or_default()
}

#[test]
fn places() {
    for version in 0..3u8 {
        let wide = version == 2;
        let with_method = |method: u8| if version == 0 { vec![] } else { vec![0, method] };
        let entry = |number, method, extents: &[[u8; 3]]| {
            let head = [id(number, wide), with_method(method), vec![0, 0, 0, 100, 0, extents.len() as u8]].concat();
            let skip = if version == 0 { 1 } else { 0 };
            [head, extents.iter().flat_map(|extent| extent[skip..].to_vec()).collect()].concat()
        };
        let entries = [entry(1, 0, &[[0, 5, 7], [0, 50, 1]]), entry(9, 0, &[]), entry(2, 1, &[[0, 3, 2]])].concat();
        let (widths, count) = ([0x11, 0x20 | u8::from(version > 0)], id(3, wide));
        let table = full(b"iloc", version, 0, &[&widths[..], &count, &entries].concat());
        let data = boxed(b"idat", &[0; 120]);
        let file = meta(&[(1, b"hvc1"), (2, b"grid")], wide, &[table, data]);
        assert_eq!(ranges(&file, 1), [Some(105..112), Some(150..151)], "version {version}");
        if version > 0 {
            let start = file.len() - 120;
            assert_eq!(ranges(&file, 2), [Some(start + 103..start + 105)]);
        }
    }
    // In another file, or made of another item.
    for (method, reference, found) in [(0, 0, 1), (0, 1, 0), (2, 0, 0)] {
        let entry = [0, 1, 0, method, 0, reference, 0, 1, 8, 8];
        let table = full(b"iloc", 1, 0, &[&[0x11, 0, 0, 1], &entry[..]].concat());
        assert_eq!(ranges(&meta(&[(1, b"hvc1")], false, &[table]), 1).len(), found);
    }
}

#[test]
fn counts_that_lie() {
    let many = [&[0x11, 0][..], &u32::MAX.to_be_bytes(), &[0, 0, 0, 1, 0, 0, 0, 0, 255, 255, 8, 8]].concat();
    for version in 0..4 {
        let file = meta(&[(1, b"hvc1")], true, &[full(b"iloc", version, 0, &many)]);
        assert!(ranges(&file, 1).iter().flatten().count() < 9);
    }
    // No bytes for an extent: 65,535 of them are one skip.
    let none = full(b"iloc", 0, 0, &[0, 0, 255, 255, 0, 1, 0, 0, 255, 255, 0, 1, 0, 0, 255, 255]);
    assert_eq!(ranges(&meta(&[(1, b"hvc1")], false, &[none]), 1).len(), 65_535);
    let lists = full(b"ipma", 0, 0, &[255, 255, 255, 255, 0, 1, 255, 1, 2, 3]);
    let file = meta(&[(1, b"hvc1")], false, &[boxed(b"iprp", &[boxed(b"ipco", &[]), lists].concat())]);
    let heif = Heif::parse(&file).unwrap();
    assert_eq!(heif.properties(heif.item(1).unwrap()).count(), 0);
    let tiles = [&[0, 1, 255, 255][..], &[0, 2].repeat(3)].concat();
    let file = meta(&[(1, b"grid")], false, &[full(b"iref", 0, 0, &boxed(b"dimg", &tiles))]);
    let heif = Heif::parse(&file).unwrap();
    assert_eq!(heif.sources(heif.item(1).unwrap()).collect::<Vec<_>>(), [2; 3]);
    for end in 0..file.len() {
        Heif::parse(&file[..end]);
    }
}

/// Of tables with more entries than there are items, the first are read: few bytes must not become many searches.
#[test]
fn tables_without_end() {
    let most = 4096;
    for version in 0..3u8 {
        let wide = version == 2;
        let entry = |number| {
            let middle: &[u8] = if version == 0 { &[0, 0] } else { &[0; 4] };
            [&id(number, wide)[..], middle, &[0, 1, 5, 7]].concat()
        };
        for (before, found) in [(0, 1), (most - 1, 1), (most, 0), (3 * most, 0)] {
            let entries: Vec<u8> = (0..before).map(|_| entry(9)).chain([entry(1)]).flatten().collect();
            let table = [&[0x11, 0][..], &id(before + 1, wide), &entries].concat();
            let file = meta(&[(1, b"hvc1")], wide, &[full(b"iloc", version, 0, &table)]);
            assert_eq!(ranges(&file, 1).len(), found, "version {version}, {before} entries before");
        }
    }
    for (version, tables) in [(0, 1), (1, 1), (0, 3), (1, 64)] {
        let wide = version == 1;
        let entry = |number| [&id(number, wide)[..], &[1, 1]].concat();
        let table = |numbers: &[u32]| {
            let entries: Vec<u8> = numbers.iter().flat_map(|&number| entry(number)).collect();
            full(b"ipma", version, 0, &[&(numbers.len() as u32).to_be_bytes()[..], &entries].concat())
        };
        for (before, found) in [(0, 1), (most - 1, 1), (most, 0), (3 * most, 0)] {
            let mut numbers = vec![9; before as usize];
            numbers.push(1);
            let lists: Vec<u8> = numbers.chunks(numbers.len().div_ceil(tables)).flat_map(table).collect();
            let rest = boxed(b"iprp", &[boxed(b"ipco", &boxed(b"irot", &[1])), lists].concat());
            let file = meta(&[(1, b"hvc1")], wide, &[rest]);
            let heif = Heif::parse(&file).unwrap();
            let properties = heif.properties(heif.item(1).unwrap()).count();
            assert_eq!(properties, found, "version {version}, {tables} tables, {before} entries before");
        }
    }
}

#[test]
fn chains() {
    for wide in [false, true] {
        let file = |kinds: &[(u32, &[u8; 4])], links: &[(u32, &[u32])]| {
            let links: Vec<u8> = links.iter().flat_map(|&(from, to)| references(b"dimg", wide, from, to)).collect();
            let thumbnail = references(b"thmb", wide, 9, &[1]);
            meta(kinds, wide, &[full(b"iref", wide.into(), 0, &[thumbnail, links].concat())])
        };
        let picture = |bytes: &[u8]| {
            let heif = Heif::parse(bytes).unwrap();
            heif.picture().map(|(item, _)| item.id)
        };
        let kinds: &[(u32, &[u8; 4])] = &[(1, b"iden"), (2, b"tmap"), (3, b"hvc1"), (4, b"hvc1")];
        assert_eq!(picture(&file(kinds, &[(1, &[2]), (2, &[3, 4])])), Some(3));
        assert_eq!(picture(&file(&kinds[2..], &[])), Some(3));
        assert_eq!(picture(&file(&kinds[1..], &[(2, &[4, 3])])), Some(4));
        for circle in [&[(1, &[1][..])][..], &[(1, &[2]), (2, &[1])], &[(1, &[7])], &[(1, &[])], &[]] {
            assert_eq!(picture(&file(kinds, circle)), None, "{circle:?}");
        }
    }
    assert!(Heif::parse(b"").is_none());
    assert!(Heif::parse(&boxed(b"meta", &[0; 4])).is_none());
}

#[test]
fn turns() {
    let (right, twice, left) = (boxed(b"irot", &[3]), boxed(b"irot", &[2]), boxed(b"irot", &[0xfd]));
    let (rows, columns) = (boxed(b"imir", &[0]), boxed(b"imir", &[1]));
    let size = boxed(b"ispe", &[0; 12]);
    for (list, turned) in [
        (vec![], Orientation::Upright),
        (vec![size.clone(), boxed(b"irot", &[0])], Orientation::Upright),
        (vec![right.clone()], Orientation::Rotate90),
        (vec![twice.clone()], Orientation::Rotate180),
        (vec![size, left.clone()], Orientation::Rotate270),
        (vec![rows.clone()], Orientation::FlipVertical),
        (vec![columns.clone()], Orientation::FlipHorizontal),
        // The order counts.
        (vec![right.clone(), rows.clone()], Orientation::Transverse),
        (vec![rows.clone(), right.clone()], Orientation::Transpose),
        (vec![left, columns, twice, right], Orientation::FlipHorizontal),
    ] {
        for long in [false, true] {
            let file = meta(&[(1, b"hvc1")], false, &[properties(&list, long)]);
            assert_eq!(Heif::parse(&file).unwrap().orientation(), Some(turned), "{list:?}");
        }
    }
}

/// Every order of three transforms on a numbered picture, against the same done to its pixels.
#[test]
fn parts() {
    type Pixels = Vec<Vec<u32>>;
    fn turn(pixels: &Pixels, by: Orientation) -> Pixels {
        let (w, h) = (pixels[0].len() as u32, pixels.len() as u32);
        let (across, down) = if by.swaps_sides() { (h, w) } else { (w, h) };
        let place = |x, y| {
            let (x, y) = match by {
                Orientation::Upright => (x, y),
                Orientation::FlipHorizontal => (w - 1 - x, y),
                Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
                Orientation::FlipVertical => (x, h - 1 - y),
                Orientation::Transpose => (y, x),
                Orientation::Rotate90 => (y, h - 1 - x),
                Orientation::Transverse => (w - 1 - y, h - 1 - x),
                Orientation::Rotate270 => (w - 1 - y, x),
            };
            pixels[y as usize][x as usize]
        };
        (0..down).map(|y| (0..across).map(|x| place(x, y)).collect()).collect()
    }
    fn cut(pixels: &Pixels, part: Rectangle) -> Pixels {
        let rows = &pixels[part.y as usize..(part.y + part.height) as usize];
        rows.iter().map(|row| row[part.x as usize..(part.x + part.width) as usize].to_vec()).collect()
    }
    let whole: Pixels = (0..7).map(|y| (0..9).map(|x| y * 9 + x).collect()).collect();
    // The part of 3 x 2 pixels at the left border, and at its middle.
    let part = |w: usize, h: usize| {
        let down = (h as f64 / 2.0 - 1.0).floor() + 1.0 - h as f64 / 2.0;
        (Transform::Part([3.0, 2.0, 1.5 - w as f64 / 2.0, down]), (h / 2 - 1) as u32)
    };
    for first in Orientation::ALL {
        for second in Orientation::ALL {
            let once = turn(&whole, first);
            let (transform, y) = part(once[0].len(), once.len());
            let shown = turn(&cut(&once, Rectangle { x: 0, y, width: 3, height: 2 }), second);
            let list = [Transform::Turn(first), transform, Transform::Turn(second)];
            let found = Rectangle::whole(9, 7).shown(&list).unwrap();
            assert_eq!(turn(&cut(&whole, found), transforms::orientation(&list)), shown, "{first:?} {second:?}");
        }
    }
    let whole = Rectangle::whole(9, 7);
    // Larger than the picture: all of it. Beside it, or of no size: nothing.
    assert_eq!(whole.shown(&[Transform::Part([99.0, 99.0, 0.0, 0.0])]), Some(whole));
    for part in [[3.0, 3.0, 99.0, 0.0], [0.0, 3.0, 0.0, 0.0], [3.0, 3.0, 0.0, -1e9]] {
        assert_eq!(whole.shown(&[Transform::Part(part)]), None, "{part:?}");
    }
    let broken = boxed(b"clap", &[0, 0, 0, 1].repeat(7));
    let zero = boxed(b"clap", &[0; 32]);
    for property in [broken, zero] {
        let file = meta(&[(1, b"hvc1")], false, &[properties(&[property], false)]);
        let heif = Heif::parse(&file).unwrap();
        assert_eq!(whole.shown(&heif.picture().unwrap().1), None);
    }
}

#[test]
fn the_codec_is_that_of_the_items() {
    for wide in [false, true] {
        let of = |kinds: &[&[u8; 4]]| {
            let items: Vec<(u32, &[u8; 4])> = (1..).zip(kinds.iter().copied()).collect();
            is_av1(&meta(&items, wide, &[]))
        };
        assert!(of(&[b"av01"]) && of(&[b"grid", b"av01", b"av01"]) && of(&[b"Exif", b"av01"]));
        assert!(!of(&[b"hvc1"]) && !of(&[b"av01", b"hvc1"]) && !of(&[b"grid"]));
    }
    assert!(!is_av1(b""));
}
