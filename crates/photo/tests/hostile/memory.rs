//! Allocations never exceed what was requested from the limits, and requests are not much larger.

#[cfg(feature = "heic")]
use crate::build::image;
use crate::build::{Bmp, Png, chunk, gif, gif_frame, gif_zeros, golden, zeros};
#[cfg(feature = "heic")]
use crate::counted::PIXELS;
use crate::counted::{MEMORY, Outcome, alone, outcome, outcome_within};
#[cfg(feature = "heic")]
use crate::heics;
use crate::jpegs::Jpeg;
use crate::tiffs::{one_strip, tiles};
use crate::webps;
use lumina_photo::Format;
#[cfg(feature = "heic")]
use lumina_photo::{Damage, PhotoError};
use std::path::{Path, PathBuf};

#[test]
fn golden_images() {
    let _alone = alone();
    for (name, bytes) in golden() {
        let outcome = outcome(&name, &bytes);
        if cfg!(not(feature = "heic")) && name.ends_with(".heic") {
            continue;
        }
        assert!(outcome.result.is_ok(), "{name}: {:?}", outcome.result.err());
        // A small file requests little memory: a session decodes thousands.
        assert!(outcome.asked < 20 << 20, "{name}: {} bytes were asked for", outcome.asked);
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn photographs() {
    let _alone = alone();
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/photos");
    let root = std::env::var_os("LUMINA_PHOTOS").map_or(usual, PathBuf::from);
    if !root.is_dir() {
        println!("skipped: {} is no folder (set LUMINA_PHOTOS)", root.display());
        return;
    }
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let mut decoded = 0;
    for path in paths {
        let outcome = outcome(&path.display().to_string(), &std::fs::read(&path).unwrap());
        decoded += u32::from(outcome.result.is_ok());
    }
    assert!(decoded > 60, "{decoded}");
}

/// A large picture: decoded within the requested memory, of which at least half is used.
fn large(name: &str, bytes: &[u8], size: (u32, u32)) -> Outcome {
    let found = outcome_within(bytes, 200_000_000, 4 * MEMORY);
    let Outcome { result, peak, asked, time, .. } = &found;
    println!("{name}: {} MB of {} MB, {time:?}", peak >> 20, asked >> 20);
    assert!(peak <= asked, "{name}: {peak} bytes, of which {asked} were asked for");
    if size.0.max(size.1) < 10_000 {
        assert!(asked / 21 * 10 <= *peak + (16 << 20), "{name}: {peak} bytes, and {asked} were asked for");
    }
    match result {
        Ok((_, picture)) => assert_eq!((picture.width, picture.height), size, "{name}"),
        Err(error) => panic!("{name}: {error}"),
    }
    found
}

#[test]
fn large_png() {
    let _alone = alone();
    for (colour, depth) in [(0, 1), (0, 16), (2, 8), (4, 8), (6, 16)] {
        for interlaced in [false, true] {
            let png = Png { width: 5000, height: 5003, depth, colour, interlaced };
            large(&format!("PNG {colour} {depth} {interlaced}"), &png.black(&[]), (5000, 5003));
        }
    }
    // One row, wider than what chunks may take.
    for (colour, depth) in [(0, 1), (0, 16), (2, 8), (2, 16), (4, 16), (6, 8), (6, 16)] {
        for interlaced in [false, true] {
            let png = Png { width: 3_000_000, height: 2, depth, colour, interlaced };
            let name = format!("wide PNG {colour} {depth} {interlaced}");
            large(&name, &png.black(&[]), (3_000_000, 2));
            let grey = chunk(b"tRNS", &[0, 0]);
            if colour == 0 {
                large(&format!("{name}, transparent"), &png.black(&[grey]), (3_000_000, 2));
            }
        }
    }
}

#[test]
fn large_jpeg() {
    let _alone = alone();
    let samplings: [&[(u8, u8)]; 7] = [
        &[(1, 1)],
        &[(1, 1); 3],
        &[(2, 1), (1, 1), (1, 1)],
        &[(2, 2), (1, 1), (1, 1)],
        &[(1, 2), (1, 1), (1, 1)],
        &[(4, 1), (1, 1), (1, 1)],
        &[(1, 1); 4],
    ];
    for sampling in samplings {
        let size = (6001, 5003);
        let jpeg = |process| Jpeg::new(process, 6001, 5003, sampling);
        large(&format!("JPEG {sampling:?}"), &jpeg(0xc0).grey(), size);
        large(&format!("progressive JPEG {sampling:?}"), &jpeg(0xc2).progressive(sampling.len()), size);
        if sampling.len() == 3 {
            large(&format!("JPEG in scans {sampling:?}"), &jpeg(0xc0).one_by_one(), size);
        }
    }
    for sampling in samplings {
        let jpeg = |process| Jpeg::new(process, 65535, 8, sampling);
        large(&format!("wide JPEG {sampling:?}"), &jpeg(0xc0).grey(), (65535, 8));
        large(&format!("wide progressive JPEG {sampling:?}"), &jpeg(0xc2).progressive(sampling.len()), (65535, 8));
    }
}

#[test]
fn large_tiff() {
    let _alone = alone();
    for samples in [1, 3] {
        let data = zeros(6000 * 5000 * u64::from(samples));
        large(&format!("TIFF, deflate, {samples}"), &one_strip(6000, 5000, 8, samples, &data), (6000, 5000));
        let tile = zeros(512 * 512 * u64::from(samples));
        let file = tiles((6000, 5000), (512, 512), 8, samples, &tile);
        large(&format!("TIFF, tiles, {samples}"), &file, (6000, 5000));
    }
    for process in [0xc0, 0xc2] {
        let jpeg = Jpeg::new(process, 6000, 5000, &[(1, 1); 3]);
        let strip = if process == 0xc0 { jpeg.grey() } else { jpeg.progressive(3) };
        large("TIFF, JPEG", &one_strip(6000, 5000, 7, 3, &strip), (6000, 5000));
    }
    // Tiles of one pixel: their lists are most of it.
    large("TIFF, small tiles", &tiles((700, 700), (1, 1), 1, 1, &[7]), (700, 700));
}

#[test]
fn large_webp() {
    let _alone = alone();
    for filters in [false, true] {
        let flat = webps::riff(&[webps::flat(6000, 5000, filters)]);
        large(&format!("WebP, lossless, {filters}"), &flat, (6000, 5000));
        let moving = [
            webps::canvas(6000, 5000, 2),
            webps::animation(),
            webps::frame(6000, 5000, &[webps::flat(6000, 5000, filters)]),
        ];
        large(&format!("WebP, animated, {filters}"), &webps::riff(&moving), (6000, 5000));
    }
}

/// Adds an item of a coded picture in two pieces, so that its data are copied.
#[cfg(feature = "heic")]
fn in_pieces(file: &mut heics::Heic, coded: &heics::Coded) -> u32 {
    let property = file.property(b"hvcC", &coded.record);
    let (first, second) = coded.data.split_at(coded.data.len() / 2);
    let extents = [file.bytes(first), file.bytes(second)];
    file.item(b"hvc1", &extents, &[property])
}

#[cfg(feature = "heic")]
#[test]
fn large_heic() {
    let _alone = alone();
    for name in ["flat-420.heic", "flat-444.heic"] {
        large(name, &heics::flat(name), (4000, 3000));
    }
    let coded = heics::Coded::of(&heics::flat("flat-420.heic"));
    let mut file = heics::Heic::default();
    in_pieces(&mut file, &coded);
    large("HEIC in pieces", &file.finish(), (4000, 3000));
    // Of a grid no second picture is kept.
    let tile = heics::Coded::of(&heics::flat("tile.heic"));
    let found = large("HEIC, a grid", &heics::repeated(12, 12, (6000, 6100), &tile), (6000, 6100));
    assert!(found.peak < 6000 * 6100 * 3 + (8 << 20), "{} bytes", found.peak);
}

/// The bytes of a tile in pieces are copied beside the output, which counts.
#[cfg(feature = "heic")]
#[test]
fn tiles_in_pieces() {
    let _alone = alone();
    let tile = heics::Coded::of(&heics::flat("tile.heic"));
    let mut long = tile.clone();
    long.data.extend(heics::unit(&vec![78; 40 << 20]));
    for place in [1, 5, 9, 15] {
        let mut file = heics::Heic::default();
        let grid = file.grid(4, 4, 2048, 2048);
        let small = file.coded(&tile);
        let large = in_pieces(&mut file, &long);
        let item = |at| if at == place { large } else { small };
        file.derive(grid, &(0..16).map(item).collect::<Vec<_>>());
        let bytes = file.finish();
        // Room for the tile, or for the output, but not for both.
        let limit = 46 << 20;
        let found = outcome_within(&bytes, PIXELS, limit);
        assert!(found.peak <= limit, "{} bytes of {limit}", found.peak);
        assert!(matches!(found.result, Err(PhotoError::Memory { .. })), "{:?}", found.result.err());
        assert_eq!(outcome("enough", &bytes).result.unwrap().1.damage, None);
    }
    // A tile of another size is dropped before the next one is copied.
    let mut other = heics::Coded::of(&image("heic-420.heic"));
    other.data.extend(heics::unit(&vec![78; 40 << 20]));
    let mut file = heics::Heic::default();
    let grid = file.grid(1, 4, 2048, 512);
    let small = file.coded(&tile);
    let large = in_pieces(&mut file, &other);
    file.derive(grid, &[small, large, large, small]);
    let found = outcome("tiles of another size", &file.finish());
    assert!(found.peak < 50 << 20, "{} bytes", found.peak);
    assert_eq!(found.result.unwrap().1.damage, Some(Damage::Truncated));
}

/// Files of the folder `LUMINA_LARGE`, which a test cannot generate: lossy WebP, scans of photographs.
#[test]
fn large_files_of_a_folder() {
    let _alone = alone();
    let Some(root) = std::env::var_os("LUMINA_LARGE").map(PathBuf::from) else {
        println!("skipped: set LUMINA_LARGE to a folder of large images");
        return;
    };
    let mut paths = Vec::new();
    files(&root, &mut paths);
    for path in paths {
        let found = outcome_within(&std::fs::read(&path).unwrap(), 1 << 30, 8 * MEMORY);
        let Outcome { result, peak, asked, time, .. } = &found;
        println!("{}: {} MB of {} MB, {time:?}, {:?}", path.display(), peak >> 20, asked >> 20, result.as_ref().err());
        assert!(peak <= asked, "{}", path.display());
    }
}

#[test]
fn large_gif_and_bmp() {
    let _alone = alone();
    let frame = gif_frame(6000, 5000, &gif_zeros(6000 * 5000));
    large("GIF", &[gif(6000, 5000), frame, vec![0x3b]].concat(), (6000, 5000));
    // RLE: 255 pixels of the same colour, and the end.
    let bmp = Bmp { width: 6120, height: 5000, bits: 8, compression: 1, colours: 2 };
    let data = [[255, 1].repeat(24 * 5000), vec![0, 1]].concat();
    let outcome = large("BMP", &bmp.file(&[0, 0, 0, 0, 9, 9, 9, 0], &data), (6120, 5000));
    assert_eq!(outcome.result.unwrap().0, Format::Bmp);
}
