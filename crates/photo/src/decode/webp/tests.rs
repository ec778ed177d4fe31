//! Extended headers with every combination of flags, over chunks that are there or not: the picture is the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use super::{ALPHA, EXIF, XMP, decode};
use crate::limits::{Limits, NeverCancels};
use std::path::Path;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };

/// ICC profile; the decoder itself does not mind if it is missing.
const PROFILE: u8 = 32;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images").join(name)).unwrap()
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = &[0][..body.len() % 2];
    [kind, &(body.len() as u32).to_le_bytes()[..], body, padding].concat()
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [&b"RIFF"[..], &(body.len() as u32 + 4).to_le_bytes(), b"WEBP", &body].concat()
}

#[test]
fn flags_of_chunks_that_are_missing() {
    for name in ["webp-lossy.webp", "webp-lossy-q20.webp", "webp-lossless.webp", "webp-lossless-palette.webp"] {
        let simple = golden(name);
        let picture = decode(&simple, &LIMITS).unwrap();
        assert!([b"VP8 ", b"VP8L"].iter().any(|kind| simple[12..16] == kind[..]), "{name} has no extended header");
        let [width, height] = [picture.width - 1, picture.height - 1].map(u32::to_le_bytes);
        let transparent = vec![0; 1 + (picture.width * picture.height) as usize];
        for flags in [0, XMP, EXIF, ALPHA, PROFILE, XMP | EXIF, EXIF | ALPHA, XMP | EXIF | ALPHA | PROFILE] {
            for there in [0, XMP, EXIF, ALPHA, XMP | EXIF, XMP | EXIF | ALPHA] {
                // Alpha stands before a lossy picture; a lossless one has its own.
                if there & ALPHA != 0 && simple[12..16] == *b"VP8L" {
                    continue;
                }
                let header = [&[flags, 0, 0, 0], &width[..3], &height[..3]].concat();
                let mut chunks = vec![chunk(b"VP8X", &header)];
                chunks.extend((there & ALPHA != 0).then(|| chunk(b"ALPH", &transparent)));
                chunks.push(simple[12..].to_vec());
                chunks.extend((there & EXIF != 0).then(|| chunk(b"EXIF", b"none")));
                chunks.extend((there & XMP != 0).then(|| chunk(b"XMP ", b"odd")));
                let found = decode(&file(&chunks), &LIMITS);
                let found = found.unwrap_or_else(|error| panic!("{name}, {flags}, {there}: {error}"));
                assert!(found == picture, "{name}, {flags}, {there}");
            }
        }
    }
    // Of an animation.
    for name in ["webp-animated.webp", "webp-animated-alpha.webp"] {
        let mut bytes = golden(name);
        let picture = decode(&bytes, &LIMITS).unwrap();
        for flags in [XMP, EXIF, XMP | EXIF | ALPHA] {
            bytes[20] |= flags;
            assert!(
                decode(&bytes, &LIMITS).unwrap().pixels.samples().len() == picture.pixels.samples().len(),
                "{name}"
            );
        }
    }
}

/// A chunk behind the end that the file gives itself is none.
#[test]
fn chunks_behind_the_end() {
    let simple = golden("webp-lossy.webp");
    let picture = decode(&simple, &LIMITS).unwrap();
    let [width, height] = [picture.width - 1, picture.height - 1].map(u32::to_le_bytes);
    let header = [&[XMP | EXIF, 0, 0, 0], &width[..3], &height[..3]].concat();
    let whole = file(&[chunk(b"VP8X", &header), simple[12..].to_vec()]);
    for behind in [chunk(b"EXIF", &[0; 40]), [vec![0; 10], chunk(b"EXIF", &[0; 40]), chunk(b"XMP ", b"x")].concat()] {
        assert!(decode(&[&whole[..], &behind].concat(), &LIMITS).unwrap() == picture);
    }
    for length in 0..60 {
        let _ = decode(&whole[..length], &LIMITS);
    }
}
