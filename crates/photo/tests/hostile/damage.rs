//! Golden images, truncated and with flipped bits, and bytes that are no images.

use crate::build::{golden, image};
use crate::counted::{Random, alone, outcome, refused};
use lumina_photo::{Format, PhotoError};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn cut_short() {
    let _alone = alone();
    let (mut pictures, mut errors) = (BTreeMap::<Format, u32>::new(), 0);
    for (name, bytes) in golden() {
        let Ok((format, whole)) = outcome(&name, &bytes).result else { continue };
        let places = (0..40).map(|part| bytes.len() * part / 40).chain(bytes.len().saturating_sub(20)..bytes.len());
        for end in places {
            match outcome(&format!("{name} of {end} bytes"), &bytes[..end]).result {
                Err(PhotoError::Empty) => assert_eq!(end, 0),
                Err(_) => errors += 1,
                Ok((_, picture)) => {
                    assert_eq!((picture.width, picture.height), (whole.width, whole.height), "{name}");
                    // The missing bytes may hold no pixels: the last ones only mark the end.
                    assert!(picture.damage.is_some() || picture == whole, "{name} of {end} bytes");
                    *pictures.entry(format).or_default() += u32::from(picture.damage.is_some());
                }
            }
        }
    }
    println!("damaged pictures: {pictures:?}; errors: {errors}");
    assert!(pictures[&Format::Jpeg] > 500 && errors > 3000);
}

#[test]
fn flipped() {
    let _alone = alone();
    let mut random = Random(2026);
    let rounds = std::env::var("LUMINA_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(40);
    let (mut pictures, mut count) = (0, 0);
    for (name, bytes) in golden() {
        for round in 0..rounds {
            let mut flipped = bytes.clone();
            // One bit, some bytes, or a run of them; in the first half of rounds where headers are.
            let end = if round % 2 == 0 { flipped.len().min(600) } else { flipped.len() };
            let changes = 1 << random.below(4);
            for _ in 0..=random.below(changes) {
                let at = random.below(end);
                match random.below(3) {
                    0 => flipped[at] ^= 1 << random.below(8),
                    1 => flipped[at] = random.next() as u8,
                    _ => flipped[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                }
            }
            let result = outcome(&format!("{name}, round {round}"), &flipped).result;
            assert!(!matches!(result, Err(PhotoError::Cancelled)));
            pictures += u32::from(result.is_ok());
            count += 1;
        }
    }
    println!("{count} files, of which {pictures} gave a picture");
}

#[test]
fn noise() {
    let _alone = alone();
    let mut random = Random(7);
    let starts =
        [&b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"BM"];
    for round in 0..2000 {
        let mut bytes = starts[round % starts.len()].to_vec();
        bytes.extend((0..random.below(3000)).map(|_| random.next() as u8));
        refused("noise", &[&bytes[..], &[0]].concat());
    }
}

fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    match refused("another kind of file", bytes) {
        PhotoError::Unknown { looks_like } => looks_like,
        error => panic!("{error:?}"),
    }
}

#[test]
fn other_files() {
    let _alone = alone();
    assert_eq!(refused("nothing", b""), PhotoError::Empty);
    for bytes in [
        &b"PK\x03\x04\x14\0\0\0\x08\0zip"[..],
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
        b"<!DOCTYPE html><html><head></head></html>",
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\"/>",
    ] {
        assert!(looks_like(bytes).is_some(), "{bytes:?}");
    }
    for byte in 0..=255u8 {
        let bytes = vec![byte; 4096];
        assert!(matches!(refused("one byte", &bytes), PhotoError::Unknown { .. } | PhotoError::Damaged { .. }));
    }
}

/// Bytes after an image are ignored.
#[test]
fn images_with_something_behind() {
    let _alone = alone();
    let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let heic: &[_] = if cfg!(feature = "heic") { &["heic-420.heic", "heic-grid.heic"] } else { &[] };
    let others = ["gif-89a.gif", "jpeg-420.jpg", "png-rgb8.png", "webp-lossy.webp", "bmp-rgb24.bmp", "tiff-rgb.tiff"];
    for &name in others.iter().chain(heic) {
        let bytes = image(name);
        let whole = outcome(name, &bytes).result.unwrap();
        for behind in [&zip[..], &[0; 5000], &bytes] {
            let found = outcome(name, &[&bytes, behind].concat()).result.unwrap();
            assert!(found == whole, "{name}");
        }
    }
}

/// Inputs that fuzzing found worth keeping, including crashes.
#[test]
fn seeds_of_fuzzing() {
    let _alone = alone();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut count = 0;
    for folder in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            outcome(&path.display().to_string(), &std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}
