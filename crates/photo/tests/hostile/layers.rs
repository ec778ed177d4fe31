//! Excessive numbers of chunks, segments, scans, blocks, frames, pages, previews.

use crate::build::{SMALL_PNG, chunk, gif, gif_frame, gif_zeros, golden, image};
use crate::counted::{Outcome, PIXELS, alone, outcome, outcome_within, refused};
use crate::jpegs::{Jpeg, segment, table};
use crate::tiffs::{Tag, tiff};
use crate::webps;
use lumina_photo::{Damage, Format, PhotoError, Picture};

#[test]
fn png_of_many_chunks() {
    let _alone = alone();
    for kind in [b"tEXt", b"junk", b"IDAT", b"gAMA", b"eXIf"] {
        let many = vec![chunk(kind, b""); 100_000];
        outcome("many chunks", &SMALL_PNG.black(&many));
        let many = vec![chunk(kind, b"a\0b"); 100_000];
        outcome("many chunks", &SMALL_PNG.black(&many));
    }
    // Pixels in chunks of one byte each are pixels.
    let whole = image("png-rgb8.png");
    let at = whole.windows(4).position(|kind| kind == b"IDAT").unwrap();
    let length = u32::from_be_bytes(whole[at - 4..at].try_into().unwrap()) as usize;
    let pieces = whole[at + 4..at + 4 + length].chunks(1).flat_map(|byte| chunk(b"IDAT", byte));
    let cut: Vec<u8> = whole[..at - 4].iter().copied().chain(pieces).chain(whole[at + 8 + length..].to_vec()).collect();
    assert!(outcome("bytes", &cut).result.unwrap() == outcome("whole", &whole).result.unwrap());
}

#[test]
fn png_that_moves() {
    let _alone = alone();
    let control = |frames: u32| chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
    let frame = |width: u32, height: u32| {
        let mut body = [[0; 4], width.to_be_bytes(), height.to_be_bytes(), [0; 4], [0; 4]].concat();
        body.extend_from_slice(&[0, 1, 0, 1, 0, 0]);
        chunk(b"fcTL", &body)
    };
    for count in [0, 1, u32::MAX] {
        outcome("APNG", &SMALL_PNG.black(&[control(count), frame(8, 8)]));
        outcome("APNG", &SMALL_PNG.black(&[control(count), frame(4, 4)]));
        outcome("APNG", &SMALL_PNG.black(&[control(count), frame(u32::MAX, u32::MAX)]));
        let mut many = vec![control(count)];
        many.extend(vec![frame(8, 8); 10_000]);
        outcome("APNG", &SMALL_PNG.black(&many));
    }
}

/// EXIF data of any length stand before the pixels: they count as memory, and are no damage.
#[test]
fn png_with_long_exif() {
    let _alone = alone();
    let (_, whole) = outcome("without", &SMALL_PNG.black(&[])).result.unwrap();
    let exif = |length: usize| chunk(b"eXIf", &[&b"II*\0\x08\0\0\0"[..], &vec![7; length]].concat());
    for lengths in [&[900 << 10][..], &[1 << 20], &[3_000_000], &[(16 << 20) + 1], &[5 << 20, 9 << 20], &[9, 4 << 20]] {
        let chunks: Vec<Vec<u8>> = lengths.iter().map(|&length| exif(length)).collect();
        let found = outcome("EXIF", &SMALL_PNG.black(&chunks));
        assert!(found.result.unwrap().1 == whole, "{lengths:?}");
        let longest = lengths.iter().max().copied().unwrap_or_default() as u64;
        assert!(found.asked < 3 * longest + (4 << 20), "{lengths:?}: {} bytes were asked for", found.asked);
    }
    let behind = SMALL_PNG.black(&[]);
    let (pixels, end) = behind.split_at(behind.len() - 12);
    let found = outcome("EXIF behind the pixels", &[pixels, &exif(9 << 20), end].concat());
    assert!(found.result.unwrap().1 == whole && found.asked < 4 << 20);
    let limited = outcome_within(&SMALL_PNG.black(&[exif(9 << 20)]), PIXELS, 20 << 20);
    assert!(matches!(limited.result, Err(PhotoError::Memory { .. })) && limited.peak < 1 << 20);
    // As large as it claims, and cut off: it allocates no more than there is.
    let claim = [&SMALL_PNG.header()[..], &[0x7f, 0xff, 0xff, 0xff], b"eXIf", &[7; 99]].concat();
    assert!(matches!(refused("a claim", &claim), PhotoError::Damaged { .. }));
}

/// The header of a WebP may say that there are EXIF and XMP where they have been removed, or cut off.
#[test]
fn webp_without_its_metadata() {
    let _alone = alone();
    let mut count = 0;
    for (name, bytes) in golden().into_iter().filter(|(_, bytes)| bytes.get(12..16) == Some(b"VP8X")) {
        let (_, whole) = outcome(&name, &bytes).result.unwrap();
        for flags in [4, 8, 12] {
            let mut lies = bytes.clone();
            lies[20] |= flags;
            let found = outcome(&name, &lies).result.unwrap();
            assert!(found.1 == whole, "{name}, flags {flags}");
            count += 1;
        }
    }
    assert!(count > 9);
    let bytes = image("webp-lossy-exif6.webp");
    let (_, whole) = outcome("with EXIF", &bytes).result.unwrap();
    let at = bytes.windows(4).position(|kind| kind == b"EXIF").unwrap();
    for end in [at, at + 3, at + 8, at + 20, bytes.len() - 1] {
        assert!(outcome("cut", &bytes[..end]).result.unwrap().1 == whole, "{end} bytes");
    }
    // Large enough for a thread.
    for side in [100, 3000] {
        let file = webps::riff(&[webps::canvas(side, side, 12), webps::flat(side, side, false)]);
        assert_eq!(outcome("large", &file).result.unwrap().1.width, side);
    }
}

#[test]
fn jpeg_of_many_segments() {
    let _alone = alone();
    let jpeg = Jpeg::new(0xc0, 64, 64, &[(1, 1); 3]);
    let whole = jpeg.grey();
    let extended = |size: u32, offset: u32| {
        let name = b"http://ns.adobe.com/xmp/extension/\0";
        segment(0xe1, &[name, &[b'A'; 32][..], &size.to_be_bytes(), &offset.to_be_bytes(), b"x"].concat())
    };
    let fillers = [
        segment(0xe1, b"Exif\0\0"),
        segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &[0; 500][..]].concat()),
        segment(0xed, b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\0"),
        segment(0xee, b"Adobe\0\x64\0\0\0\0\x01"),
        segment(0xdb, &[[0].as_slice(), &[16; 64]].concat()),
        segment(0xdd, &[0, 0]),
        segment(0xfe, b"comment"),
        table(0, 0),
        extended(u32::MAX, 0),
        extended(1, 0),
        vec![0xff],
        vec![0xff, 0xd0],
        vec![0, 1, 2],
    ];
    let plain = outcome("plain", &whole).result.unwrap();
    for filler in fillers {
        let many = [&whole[..71], &filler.repeat(100_000), &whole[71..]].concat();
        let (format, found) = outcome("segments", &many).result.unwrap();
        assert_eq!(found.damage, (filler[0] == 0).then_some(Damage::Data), "{filler:x?}");
        assert!((format, Picture { damage: None, ..found }) == plain, "{filler:x?}");
        // Between scans it is the decoder that reads them.
        let scans = Jpeg::new(0xc2, 64, 64, &[(1, 1); 3]).progressive(3);
        let last = scans.len() - 2;
        outcome("segments between scans", &[&scans[..last], &filler.repeat(100_000), &scans[last..]].concat());
    }
}

#[test]
fn jpeg_of_many_scans() {
    let _alone = alone();
    for (process, side) in [(0xc2, 1000), (0xc0, 1000), (0xc2, 8), (0xc0, 8)] {
        let jpeg = Jpeg::new(process, side, side, &[(1, 1); 3]);
        let few = jpeg.progressive(20);
        let Outcome { result, checks, .. } = outcome("few scans", &few);
        assert!(result.is_ok() || process == 0xc0, "{:?}", result.err());
        println!("{process:x} {side}: {checks} checks");
        outcome("many scans", &jpeg.progressive(10_000));
        let one = [Jpeg::scan(&[0], (0, 63), 0), vec![0; 9]].concat();
        outcome("baseline scans", &[jpeg.headers(), one.repeat(10_000), vec![0xff, 0xd9]].concat());
    }
}

#[test]
fn jpeg_in_odd_ways() {
    let _alone = alone();
    let unsupported = |name: &str, bytes: &[u8]| {
        let error = refused(name, bytes);
        assert!(matches!(error, PhotoError::Unsupported { format: Format::Jpeg, .. }), "{name}: {error:?}");
    };
    for process in [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf] {
        unsupported("process", &Jpeg::new(process, 64, 64, &[(1, 1); 3]).grey());
    }
    let whole = Jpeg::new(0xc1, 64, 64, &[(1, 1); 3]).grey();
    let at = whole.windows(2).position(|pair| pair == [0xff, 0xc1]).unwrap();
    let mut twelve = whole.clone();
    twelve[at + 4] = 12;
    unsupported("12 bits", &twelve);
    let mut none = whole.clone();
    none[at + 5..at + 7].copy_from_slice(&[0, 0]);
    // The height comes after the first scan, in a DNL segment.
    let with_dnl = [&none[..none.len() - 2], &segment(0xdc, &[0, 64]), &[0xff, 0xd9]].concat();
    for bytes in [none, with_dnl] {
        unsupported("no height", &bytes);
    }
    let twice = [&whole[..at], &whole[at..at + 19], &whole[at..]].concat();
    assert!(matches!(refused("two frames", &twice), PhotoError::Damaged { .. }));
    for (h, v) in (0..16).flat_map(|h| (0..16).map(move |v| (h, v))) {
        for others in [(1, 1), (2, 1), (4, 4), (h, v)] {
            for process in [0xc0, 0xc2] {
                let jpeg = Jpeg::new(process, 333, 77, &[(h.max(1), v.max(1)), others, others]);
                let mut bytes = if process == 0xc0 { jpeg.grey() } else { jpeg.progressive(3) };
                let at = bytes.windows(2).position(|pair| pair == [0xff, process]).unwrap();
                bytes[at + 11] = h << 4 | v;
                outcome("sampling", &bytes);
            }
        }
    }
    for interval in [1, 2, 65_535] {
        for marked in [true, false] {
            let jpeg = Jpeg::new(0xc0, 2000, 2000, &[(1, 1)]);
            let restart = segment(0xdd, &u16::to_be_bytes(interval));
            let scan = Jpeg::scan(&[0], (0, 63), 0);
            let unit = if marked { vec![0x3f, 0xff, 0xd0] } else { vec![0] };
            let units = unit.repeat(62_500);
            outcome("restarts", &[jpeg.headers(), restart, scan, units, vec![0xff, 0xd9]].concat());
        }
    }
}

#[test]
fn gif_of_many_blocks() {
    let _alone = alone();
    let frame = gif_frame(4, 4, &gif_zeros(16));
    let whole = [gif(4, 4), frame.clone()].concat();
    let plain = outcome("GIF", &whole).result.unwrap();
    let comment = [0x21, 0xfe, 1, b'x', 0];
    let control = [0x21, 0xf9, 4, 0, 0, 0, 0, 0];
    let empty = [0x21, 0xfe, 0];
    for block in [&comment[..], &control, &empty] {
        let many = [gif(4, 4), block.repeat(1_000_000), frame.clone()].concat();
        assert!(outcome("blocks before the frame", &many).result.unwrap() == plain);
    }
    let frames = [gif(4, 4), frame.repeat(100_000), vec![0x3b]].concat();
    let Outcome { result, checks, .. } = outcome("frames", &frames);
    assert!(result.unwrap() == plain);
    assert!(checks < 20, "{checks}: frames behind the first one were read");
    // Metadata takes no memory, however much there is.
    for name in [b"XMP DataXMP", b"ICCRGBG1012"] {
        for blocks in [100, 5000, 100_000] {
            let block = [&[255][..], &[7; 255]].concat();
            let extension = [&[0x21, 0xff, 11][..], name, &block.repeat(blocks), &[0]].concat();
            assert!(outcome("metadata", &[gif(4, 4), extension, frame.clone()].concat()).result.unwrap() == plain);
        }
    }
    for (width, height) in [(0, 0), (0, 4), (4, 0)] {
        refused("GIF of nothing", &[gif(width, height), gif_frame(width, height, &gif_zeros(4))].concat());
    }
}

/// A raw file's previews may be anywhere: the largest complete one is taken.
#[test]
fn raw_previews() {
    let _alone = alone();
    let jpeg = Jpeg::new(0xc0, 64, 48, &[(1, 1)]).grey();
    let (length, inner) = (jpeg.len() as u32, 32);
    // A smaller picture inside of the larger one's bytes: ranges may overlap.
    let small = Jpeg::new(0xc0, 16, 8, &[(1, 1)]).grey();
    let mut data = jpeg.clone();
    data.extend_from_slice(&small);
    let places = [
        (8, length),
        (8 + length, small.len() as u32),
        (8, u32::MAX),
        (8, 0),
        (u32::MAX, u32::MAX),
        (0, length),
        (9, length),
        (8, 300),
        (inner, 99),
    ];
    let (mut pictures, mut none) = (0, 0);
    for (offset, length) in places {
        for (other, size) in places {
            let dng = Tag::Values(0xc612, vec![1]);
            let tags = [
                Tag::Values(259, vec![7]),
                Tag::Values(273, vec![other]),
                Tag::Values(279, vec![size]),
                Tag::Values(513, vec![offset]),
                Tag::Values(514, vec![length]),
                Tag::Values(330, vec![8, 8, 9, u32::MAX]),
                dng,
            ];
            match outcome("a raw file", &tiff(&tags, &data)).result {
                Ok((format, picture)) => {
                    assert_eq!(format, Format::Dng);
                    assert!(matches!((picture.width, picture.height), (64, 48) | (16, 8)));
                    pictures += 1;
                }
                Err(PhotoError::NoPreview { .. } | PhotoError::Damaged { .. }) => none += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert!(pictures > 20 && none > 20, "{pictures} and {none}");
    // A preview that is too large to decode, and a smaller one beside it.
    let huge = Jpeg::new(0xc2, 65_500, 65_500, &[(2, 2), (1, 1), (1, 1)]).headers();
    let huge = [huge, Jpeg::scan(&[0, 1, 2], (0, 0), 0), vec![0; 99]].concat();
    let at = 8 + huge.len() as u32;
    let tags = [Tag::Values(513, vec![8]), Tag::Values(514, vec![at - 8]), Tag::Values(0xc612, vec![1])];
    let error = refused("a huge preview", &tiff(&tags, &huge));
    assert!(matches!(error, PhotoError::Pixels { .. }), "{error:?}");
    let both = [
        Tag::Values(259, vec![7]),
        Tag::Values(273, vec![at]),
        Tag::Values(279, vec![length]),
        Tag::Values(513, vec![8]),
        Tag::Values(514, vec![at - 8]),
        Tag::Values(0xc612, vec![1]),
    ];
    let found = outcome("two previews", &tiff(&both, &[huge, jpeg.clone()].concat())).result.unwrap();
    assert_eq!((found.1.width, found.1.height), (64, 48));
    for (offset, size) in [(92, length), (92, u32::MAX), (u32::MAX, 9), (93, length), (0, length), (92, 0)] {
        let mut raf = b"FUJIFILMCCD-RAW ".to_vec();
        raf.resize(84, 0);
        raf.extend_from_slice(&offset.to_be_bytes());
        raf.extend_from_slice(&size.to_be_bytes());
        raf.extend_from_slice(&jpeg);
        assert_eq!(outcome("a RAF", &raf).result.is_ok(), (offset, size) == (92, length));
    }
}
