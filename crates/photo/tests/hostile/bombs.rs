//! Headers that claim too much, and small inputs that expand enormously.

use crate::build::{Bmp, Png, SMALL_PNG, chunk, gif, gif_frame, gif_zeros, image, zeros, zlib};
use crate::counted::{MEMORY, alone, check, outcome, outcome_within, refused, too_many_pixels};
use crate::jpegs::Jpeg;
use crate::tiffs::{self, Tag, one_strip, page, tiff, tiles};
use crate::webps;
use lumina_photo::PhotoError;

/// Width and height of a picture that is too large to decode.
const SIDE: u32 = 50_000;

#[test]
fn headers_of_fifty_thousand_squared() {
    let _alone = alone();
    for colour in [0, 2, 6] {
        for interlaced in [false, true] {
            let png = Png { width: SIDE, height: SIDE, depth: 8, colour, interlaced };
            too_many_pixels("PNG", &[png.header(), chunk(b"IDAT", &zlib(&[0; 99]))].concat());
        }
    }
    let side = SIDE as u16;
    for process in [0xc0, 0xc1, 0xc2] {
        let jpeg = Jpeg::new(process, side, side, &[(2, 2), (1, 1), (1, 1)]);
        too_many_pixels("JPEG", &[jpeg.headers(), Jpeg::scan(&[0, 1, 2], (0, 0), 0), vec![0; 9]].concat());
    }
    too_many_pixels("GIF, screen", &[gif(side, side), gif_frame(1, 1, &gif_zeros(1))].concat());
    too_many_pixels("GIF, frame", &[gif(1, 1), gif_frame(side, side, &gif_zeros(1))].concat());
    for compression in [1, 5, 7, 8, 32773] {
        too_many_pixels("TIFF", &one_strip(SIDE, SIDE, compression, 3, &[0; 9]));
    }
    let bmp = |height, bits, compression| Bmp { width: SIDE as i32, height, bits, compression, colours: 0 };
    too_many_pixels("BMP", &bmp(SIDE as i32, 24, 0).file(&[], &[0; 9]));
    too_many_pixels("BMP, from the top", &bmp(-(SIDE as i32), 32, 0).file(&[], &[0; 9]));
    too_many_pixels("BMP, RLE", &bmp(SIDE as i32, 8, 1).file(&[0; 1024], &[0, 1]));
    // A WebP's pictures have at most 16,383 of each, its canvas more.
    too_many_pixels("VP8", &webps::riff(&[webps::lossy_header(16383, 16383)]));
    too_many_pixels("VP8L", &webps::riff(&[webps::flat(16383, 16383, false)]));
    too_many_pixels("VP8X", &webps::riff(&[webps::canvas(SIDE, SIDE, 0), webps::flat(1, 1, false)]));
}

#[test]
fn webp_canvas_and_picture_disagree() {
    let _alone = alone();
    let (large, lossy) = (webps::flat(16383, 16383, false), webps::lossy_header(16383, 16383));
    for inner in [&large, &lossy] {
        too_many_pixels("small canvas", &webps::riff(&[webps::canvas(1, 1, 0), inner.clone()]));
        let frame = webps::frame(1, 1, std::slice::from_ref(inner));
        too_many_pixels("small frame", &webps::riff(&[webps::canvas(1, 1, 2), webps::animation(), frame]));
        // A decoy stands where the decoder would look first.
        let decoy = webps::frame(1, 1, &[webps::flat(1, 1, false)]);
        too_many_pixels("after a frame", &webps::riff(&[webps::canvas(1, 1, 0), decoy, inner.clone()]));
        let mut junk = vec![webps::canvas(1, 1, 0)];
        junk.extend(vec![webps::chunk(b"junk", b""); 10_000]);
        junk.push(inner.clone());
        too_many_pixels("after ten thousand chunks", &webps::riff(&junk));
    }
    // The decoder takes what follows alpha for a lossy picture, whatever its name.
    let mut misnamed = lossy.clone();
    misnamed[..4].copy_from_slice(b"what");
    let alpha = webps::chunk(b"ALPH", &[0; 99]);
    let frame = webps::frame(1, 1, &[alpha.clone(), misnamed]);
    too_many_pixels("misnamed", &webps::riff(&[webps::canvas(1, 1, 18), webps::animation(), frame]));

    // A large canvas costs what it claims, and then no picture is found for it.
    for inner in [webps::flat(1, 1, false), webps::lossy_header(1, 1)] {
        let error = refused("large canvas", &webps::riff(&[webps::canvas(14000, 14000, 0), inner]));
        assert!(matches!(error, PhotoError::Damaged { .. } | PhotoError::Memory { .. }), "{error:?}");
    }
    // Alpha of the canvas's size, in no bytes, and in those of a lossless picture of one colour.
    let mut nothing = webps::Bits::default();
    nothing.put(1, 8);
    for alpha in [vec![0; 9], nothing.bytes, vec![3; 40], vec![0xff; 40]] {
        let picture = image("webp-lossy.webp")[12..].to_vec();
        let (width, height) =
            (u16::from_le_bytes([picture[14], picture[15]]), u16::from_le_bytes([picture[16], picture[17]]));
        let chunks = [webps::canvas(width.into(), height.into(), 16), webps::chunk(b"ALPH", &alpha), picture];
        assert!(matches!(refused("alpha", &webps::riff(&chunks)), PhotoError::Damaged { .. }));
    }
    // Frames nested in frames.
    let mut nested = Vec::new();
    for depth in 0..200_000u32 {
        nested.extend_from_slice(b"ANMF");
        nested.extend_from_slice(&(24 * (200_000 - depth)).to_le_bytes());
        nested.extend_from_slice(&[0; 16]);
    }
    refused("nested frames", &webps::riff(&[webps::canvas(1, 1, 2), webps::animation(), nested]));
}

#[test]
fn zeros_without_end() {
    let _alone = alone();
    let gigabytes = zeros(4 << 30);
    assert!(gigabytes.len() < 5 << 20);
    // What follows the last row is not read.
    let behind = [SMALL_PNG.header(), chunk(b"IDAT", &gigabytes), chunk(b"IEND", b"")].concat();
    assert!(outcome("IDAT", &behind).result.is_ok());
    let interlaced = Png { interlaced: true, ..SMALL_PNG };
    outcome("IDAT, interlaced", &[interlaced.header(), chunk(b"IDAT", &gigabytes)].concat());
    let text = [&b"Comment\0\0"[..], &gigabytes].concat();
    let profile = [&b"profile\0\0"[..], &gigabytes].concat();
    for before in
        [chunk(b"zTXt", &text), chunk(b"iCCP", &profile), chunk(b"iTXt", &[b"a\0\x01\0\0\0", &gigabytes[..]].concat())]
    {
        let outcome = outcome("a chunk", &SMALL_PNG.black(&[before]));
        assert!(outcome.result.is_ok(), "{:?}", outcome.result.err());
        assert!(outcome.asked < 4 << 20);
    }
    for kind in [b"eXIf", b"PLTE", b"tRNS", b"junk"] {
        outcome("a large chunk", &SMALL_PNG.black(&[chunk(kind, &vec![1; 5 << 20])]));
    }
    for tile in [false, true] {
        let file = if tile { tiles((9, 9), (16, 16), 8, 3, &gigabytes) } else { one_strip(9, 9, 8, 3, &gigabytes) };
        assert!(outcome("TIFF", &file).result.is_ok());
    }
}

/// Two megabytes of Huffman codes for one pixel.
#[test]
fn webp_with_groups_of_codes() {
    let _alone = alone();
    for groups in [1, 100, 65_536] {
        let file = webps::riff(&[webps::groups(groups)]);
        let outcome = outcome_within(&file, 1000, MEMORY);
        println!("{groups} groups, {} kB: {} MB of {} MB", file.len() >> 10, outcome.peak >> 20, outcome.asked >> 20);
        check("groups", &outcome);
        if groups == 65_536 {
            assert!(matches!(outcome.result, Err(PhotoError::Memory { .. })), "{:?}", outcome.result.err());
        }
    }
}

#[test]
fn tiff_that_claims() {
    let _alone = alone();
    let with = |tags: &[Tag]| {
        let mut all = page(9, 9, 1, 1);
        all.extend_from_slice(tags);
        tiff(&all, &[7; 81])
    };
    let strip = [Tag::Values(tiffs::OFFSETS, vec![8]), Tag::Values(tiffs::LENGTHS, vec![81])];
    assert!(outcome("TIFF", &with(&strip)).result.is_ok());
    for kind in 0..=18 {
        for count in [u32::MAX, 1 << 30, 1 << 26, 1 << 20] {
            for tag in [tiffs::OFFSETS, tiffs::LENGTHS, tiffs::BITS, tiffs::TILE_OFFSETS, 338, 339, 347, 530, 37510] {
                let mut tags = vec![Tag::Claim(tag, kind, count, 8)];
                tags.extend(
                    strip.iter().filter(|other| !matches!(other, Tag::Values(name, _) if *name == tag)).cloned(),
                );
                outcome("a tag that claims", &with(&tags));
            }
        }
    }
    let many = |rows, count, value| {
        with(&[
            Tag::Claim(tiffs::OFFSETS, 4, count, value),
            Tag::Claim(tiffs::LENGTHS, 4, count, value),
            Tag::Values(tiffs::ROWS, vec![rows]),
        ])
    };
    for rows in [0, 1, 9, u32::MAX] {
        refused("strips", &many(rows, u32::MAX, 8));
    }
    // Tiles of one pixel each, a hundred million of them.
    let tags = |tile: (u32, u32)| {
        let mut tags = page(10_000, 10_000, 1, 1);
        tags.push(Tag::Values(tiffs::TILE_WIDTH, vec![tile.0]));
        tags.push(Tag::Values(tiffs::TILE_HEIGHT, vec![tile.1]));
        tags.push(Tag::Claim(tiffs::TILE_OFFSETS, 4, 100_000_000, 8));
        tags.push(Tag::Claim(tiffs::TILE_LENGTHS, 4, 100_000_000, 8));
        tags
    };
    refused("tiles of a pixel", &tiff(&tags((1, 1)), &[0; 99]));
    refused("tiles of nothing", &tiff(&tags((0, 0)), &[0; 99]));
    for side in [1 << 16, 1 << 31, u32::MAX] {
        let file = tiles((9, 9), (side, side), 1, 3, &[7; 99]);
        refused("a tile that is larger than all", &file);
        for (tag, value) in
            [(tiffs::BITS, u32::MAX), (tiffs::SAMPLES, 65_535), (tiffs::WIDTH, side), (tiffs::HEIGHT, side)]
        {
            outcome("numbers that overflow", &with(&[strip.as_slice(), &[Tag::Values(tag, vec![value])]].concat()));
        }
    }
    // A cycle: the first page is its own successor. No page but the first is looked at.
    let mut cyclic = with(&strip);
    let first = cyclic[4..8].to_vec();
    let end = cyclic.len();
    cyclic[end - 4..].copy_from_slice(&first);
    assert!(outcome("cyclic", &cyclic).result.is_ok());
}

#[test]
fn tiff_with_jpeg_that_claims() {
    let _alone = alone();
    let jpeg = |side, process| Jpeg::new(process, side, side, &[(1, 1); 3]);
    for process in [0xc0, 0xc2] {
        let large = [jpeg(65535, process).headers(), Jpeg::scan(&[0, 1, 2], (0, 63), 0), vec![0; 99]].concat();
        refused("a strip of 65535 squared", &one_strip(9, 9, 7, 3, &large));
        refused("a tile of 65535 squared", &tiles((9, 9), (16, 16), 7, 3, &large));
        refused("four components", &one_strip(9, 9, 7, 3, &Jpeg::new(process, 9, 9, &[(1, 1); 4]).grey()));
        // Tables that have a frame of their own.
        let mut tags = page(9, 9, 7, 3);
        let small = jpeg(9, process).grey();
        tags.push(Tag::Values(tiffs::OFFSETS, vec![8 + large.len() as u32]));
        tags.push(Tag::Values(tiffs::LENGTHS, vec![small.len() as u32]));
        tags.push(Tag::Claim(347, 7, large.len() as u32, 8));
        refused("tables of 65535 squared", &tiff(&tags, &[large, small].concat()));
    }
    assert!(outcome("a strip", &one_strip(9, 9, 7, 3, &jpeg(9, 0xc0).grey())).result.is_ok());
}

#[test]
fn bmp_that_claims() {
    let _alone = alone();
    for (width, height) in
        [(1, i32::MIN), (1, i32::MAX), (i32::MIN, 1), (i32::MAX, 1), (-5, 5), (0, 0), (i32::MAX, i32::MAX)]
    {
        for bits in [0, 1, 4, 8, 16, 24, 32, 99] {
            for compression in [0, 1, 2, 3, 4, 5, u32::MAX] {
                for colours in [0, 2, u32::MAX] {
                    let bmp = Bmp { width, height, bits, compression, colours };
                    refused("BMP", &bmp.file(&[0; 64], &[0; 64]));
                }
            }
        }
    }
    for height in [5, -5] {
        let bmp = Bmp { width: 5, height, bits: 8, compression: 1, colours: 2 };
        outcome("RLE without an end", &bmp.file(&[0; 8], &[3, 1].repeat(1 << 20)));
        outcome("RLE of nothing", &bmp.file(&[0; 8], &[0, 0].repeat(1 << 20)));
        outcome("RLE of steps", &bmp.file(&[0; 8], &[0, 2, 0, 0].repeat(1 << 20)));
        outcome("RLE beyond", &bmp.file(&[0; 8], &[0, 2, 255, 255, 255, 1].repeat(1 << 18)));
        outcome("colours", &Bmp { colours: u32::MAX, ..bmp }.file(&[0; 8], &[0; 99]));
    }
}
