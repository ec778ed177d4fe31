//! Files of a few bits, with codes that encoders do not use.

use super::naive::pack;
use super::segments::{Asked, segment};
use super::*;
use crate::picture::Pixels;

/// A scan: its components by place, its band, its data.
type Scan<'a> = (&'a [u8], [u8; 3], &'a [u8]);

/// A Huffman table, in a segment: the codes of each length in turn, by their symbols.
fn table(id: u8, codes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut counts = [0; 16];
    codes.iter().for_each(|(length, symbols)| counts[length - 1] = symbols.len() as u8);
    let symbols: Vec<u8> = codes.iter().flat_map(|(_, symbols)| symbols.iter().copied()).collect();
    segment(0xc4, &[&[id], &counts[..], &symbols].concat())
}

/// A file with components of these sampling factors, the tables 0, and these scans.
fn file(process: u8, (width, height): (u16, u16), factors: &[u8], tables: &[u8], scans: &[Scan<'_>]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    file.extend(segment(0xdb, &[[0].as_slice(), &[1; 64]].concat()));
    let mut frame = [&[8], &height.to_be_bytes()[..], &width.to_be_bytes(), &[factors.len() as u8]].concat();
    (1..).zip(factors).for_each(|(id, &factors)| frame.extend([id, factors, 0]));
    file.extend(segment(process, &frame));
    file.extend_from_slice(tables);
    for (components, band, data) in scans {
        let selectors = components.iter().flat_map(|&index| [index + 1, 0]).collect::<Vec<_>>();
        file.extend(segment(0xda, &[&[components.len() as u8], &selectors[..], band].concat()));
        file.extend_from_slice(data);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// Codes of one bit, 0, for means and other frequencies.
fn zeros(rest: u8) -> Vec<u8> {
    [table(0x00, &[(1, &[0])]), table(0x10, &[(1, &[rest]), (2, &[0])])].concat()
}

/// Bits, as a scan has them.
fn bits(parts: &[(u32, u32)], times: usize) -> Vec<u8> {
    let one: Vec<bool> =
        parts.iter().flat_map(|&(code, length)| (0..length).rev().map(move |bit| code >> bit & 1 == 1)).collect();
    let mut data = Vec::new();
    pack(&mut one.repeat(times), &mut data);
    data
}

#[test]
fn codes_of_many_bits() {
    for (dc, ac, size) in [(16, 11, 15), (16, 11, 14), (12, 10, 15), (16, 9, 15), (3, 11, 15)] {
        let tables = [table(0, &[(dc, &[15])]), table(0x10, &[(ac, &[size, 0])])].concat();
        let (dc, ac, size) = (dc as u32, ac as u32, u32::from(size));
        let block = [(0, dc), (0x2a55, 15), (0, ac), (0x2aaa, size), (1, ac)];
        let data = bits(&block, 64);
        let file = file(0xc0, (64, 64), &[0x11], &tables, &[(&[0], [0, 63, 0], &data)]);
        assert_eq!(verdicts(&file), (None, None), "{dc} {ac} {size}");
    }
}

#[test]
fn checks_are_made_by_blocks() {
    let zeros = zeros(0);
    // 48 blocks in a unit, of two bits each or of one; in two scans 32 in a unit, and single ones.
    let (size, units) = ((65_504, 256), 2047 * 8);
    let [all, two, one] = [48, 32, 16].map(|blocks| vec![0; units * blocks / 4]);
    let together = file(0xc0, size, &[0x44; 3], &zeros, &[(&[0, 1, 2], [0, 63, 0], &all)]);
    let means = file(0xc2, size, &[0x44; 3], &zeros, &[(&[0, 1, 2], [0, 0, 0], &all[..all.len() / 2])]);
    let apart = file(0xc0, size, &[0x44; 3], &zeros, &[(&[0, 1], [0, 63, 0], &two), (&[2], [0, 63, 0], &one)]);
    for (name, file) in [("together", together), ("means", means), ("apart", apart)] {
        let headers = headers(&[], &file, Purpose::Picture, &LIMITS).unwrap();
        let caller = Asked::default();
        let scans = &file[headers.scans..];
        let limits = Limits { caller: &caller, ..LIMITS };
        assert_eq!(check::check(headers, scans, &limits).unwrap().1, None, "{name}");
        assert!(caller.0.get() >= (48 * units) >> 13, "{name}: {}", caller.0.get());
    }
}

/// Decoders take them for the end of a block, but they would be the end of many once the scan is rewritten.
#[test]
fn runs_of_blocks_in_sequential_scans() {
    for symbol in [0x10, 0x70, 0xe0] {
        let data = bits(&[(0, 2)], 6);
        let together = [(&[0, 1, 2][..], [0, 63, 0], &data[..])];
        let apart =
            [(&[0][..], [0, 63, 0], &data[..1]), (&[1], [0, 63, 0], &data[..1]), (&[2], [0, 63, 0], &data[..1])];
        let [together, apart] =
            [&together[..], &apart].map(|scans| file(0xc0, (16, 8), &[0x11; 3], &zeros(symbol), scans));
        assert_eq!(picture(&together).damage, None);
        assert_eq!(picture(&apart).damage, Some(Damage::Data));
    }
    let data = bits(&[(0, 1), (2, 2)], 2);
    let scans = [0, 1, 2].map(|index| ([index], [0, 63, 0]));
    let scans: Vec<Scan<'_>> = scans.iter().map(|(index, band)| (&index[..], *band, &data[..])).collect();
    assert_eq!(picture(&file(0xc0, (16, 8), &[0x11; 3], &zeros(0x10), &scans)).damage, None);
}

#[test]
fn search_for_segments_is_cancelled() {
    let bytes = golden("jpeg-420.jpg");
    let junk = vec![0x55; 1 << 22];
    let file = [&bytes[..2], &junk, &bytes[2..]].concat();
    let caller = Asked::default();
    headers(&[], &file, Purpose::Picture, &Limits { caller: &caller, ..LIMITS }).unwrap();
    assert!(caller.0.get() >= 64, "{}", caller.0.get());
    assert_eq!(picture(&file).damage, Some(Damage::Data));
    assert!(headers(&[], &file[..1 << 21], Purpose::Picture, &LIMITS).is_err());
}

/// Three components of one value each, and a picture of them by the rule of libjpeg.
#[test]
fn colours() {
    let adobe = |transform: u8| segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat());
    let jfif = segment(0xe0, b"JFIF\0\x01\x02\0\0\x48\0\x48\0\0");
    let tables = [table(0x00, &[(2, &[0, 8])]), table(0x10, &[(1, &[0])])].concat();
    // Of 8 by the steps of 1: 16 + 128 of the first, 128 - 30 of the second, 128 of the third.
    let data = bits(&[(1, 2), (128, 8), (0, 1), (1, 2), (15, 8), (0, 1), (0, 2), (0, 1)], 1);
    let base = file(0xc0, (8, 8), &[0x11; 3], &tables, &[(&[0, 1, 2], [0, 63, 0], &data)]);
    let (frame, scan) = (2 + 69, data_at(&base));
    let named = |ids: [u8; 3]| {
        let mut file = base.clone();
        for (index, id) in ids.into_iter().enumerate() {
            file[frame + 10 + 3 * index] = id;
            file[scan + 5 + 2 * index] = id;
        }
        file
    };
    let first = |file: &[u8], segments: &[&[u8]]| {
        let found = picture(&[&file[..2], &segments.concat(), &file[2..]].concat());
        assert_eq!(found.damage, None);
        let Pixels::Rgb(pixels) = found.pixels else { panic!("no colours") };
        <[u8; 3]>::try_from(&pixels[..3]).unwrap()
    };
    let (plain, rgb) = (named([1, 2, 3]), named(*b"RGB"));
    let [as_rgb, as_ycc] = [first(&rgb, &[]), first(&plain, &[])];
    assert_eq!(as_rgb, [144, 98, 128]);
    assert!(as_ycc[0] == 144 && as_ycc[2] < 100, "{as_ycc:?}");
    for file in [&plain, &rgb, &named([0, 1, 2]), &named([7, 7, 7]), &named([2, 2, 1])] {
        assert_eq!(first(file, &[&jfif]), as_ycc);
        assert_eq!(first(file, &[&adobe(0)]), as_rgb);
        assert_eq!(first(file, &[&adobe(1)]), as_ycc);
        assert_eq!(first(file, &[&adobe(2)]), as_ycc);
        for transform in 0..4 {
            assert_eq!(first(file, &[&jfif, &adobe(transform)]), as_ycc);
            assert_eq!(first(file, &[&adobe(transform), &jfif]), as_ycc);
        }
        // Markers that are too short for their name.
        let short = [&segment(0xe0, b"JFIF\0\x01\x02\0\0\x48\0\x48\0"), &segment(0xee, b"Adobe\0\x64\0\0\0\0")];
        assert_eq!(first(file, &[short[0], short[1]]), if file == &rgb { as_rgb } else { as_ycc });
    }
}

/// Of all factors of three components, djpeg and the decoder agree on those that are taken.
#[test]
fn sampling_that_the_decoder_cannot_place() {
    let decoded = |factors: &[u8], height: u16| {
        let blocks: usize = factors.iter().map(|&f| usize::from(f >> 4) * usize::from(f & 15)).sum();
        let (h, v) = (factors.iter().map(|f| f >> 4).max().unwrap(), factors.iter().map(|f| f & 15).max().unwrap());
        let units = 32_usize.div_ceil(8 * usize::from(h)) * 32_usize.div_ceil(8 * usize::from(v));
        let data = vec![0; (blocks * units).div_ceil(8)];
        let means = [(&[0, 1, 2, 3, 4][..factors.len()], [0, 0, 0], &data[..])];
        decode(&file(0xc2, (32, height), factors, &zeros(0), &means), &LIMITS)
    };
    for factors in [
        [0x11, 0x22, 0x22],
        [0x11, 0x21, 0x11],
        [0x44, 0x22, 0x22],
        [0x14, 0x12, 0x12],
        [0x24, 0x22, 0x11],
        [0x31, 0x11, 0x11],
        [0x33, 0x11, 0x11],
        [0x13, 0x12, 0x11],
        [0x42, 0x11, 0x41],
        [0x42, 0x21, 0x11],
        [0x41, 0x12, 0x12],
        [0x44, 0x21, 0x12],
    ] {
        let refused = decoded(&factors, 32);
        assert!(matches!(refused, Err(PhotoError::Unsupported { .. })), "{factors:x?}: {refused:?}");
    }
    for factors in [
        [0x11, 0x11, 0x11],
        [0x22, 0x11, 0x11],
        [0x21, 0x11, 0x11],
        [0x12, 0x11, 0x11],
        [0x11, 0x12, 0x12],
        [0x22, 0x21, 0x12],
        [0x22, 0x22, 0x22],
        [0x41, 0x11, 0x21],
        [0x42, 0x21, 0x21],
        [0x42, 0x22, 0x11],
        [0x42, 0x12, 0x12],
        [0x44, 0x11, 0x11],
        [0x13, 0x11, 0x11],
    ] {
        assert_eq!(decoded(&factors, 32).map(|picture| picture.damage), Ok(None), "{factors:x?}");
    }
    for (factors, height) in [(&[0x11; 2][..], 32), (&[0x11; 5], 32), (&[0x11; 3], 0), (&[0x11], 0)] {
        assert!(matches!(decoded(factors, height), Err(PhotoError::Unsupported { .. })), "{factors:x?} {height}");
    }
}

/// A block is a unit of a picture with one component, whatever its sampling factors.
#[test]
fn sampling_of_grey() {
    for name in ["jpeg-grey.jpg", "jpeg-grey-progressive.jpg"] {
        let mut bytes = golden(name);
        let whole = picture(&bytes);
        let frame = bytes.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        for factors in [0x11, 0x22, 0x12, 0x31, 0x44, 0x13] {
            bytes[frame + 11] = factors;
            assert!(picture(&bytes) == whole, "{name} {factors:x}");
        }
    }
}
