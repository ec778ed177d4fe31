//! Boxes of every kind of size, and what is no box.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::ifd::build::boxed;

fn all(bytes: &[u8]) -> Vec<([u8; 4], Range<usize>)> {
    boxes(bytes, 0..bytes.len()).map(|found| (found.kind, found.body)).collect()
}

#[test]
fn sizes() {
    let long = [&1_u32.to_be_bytes()[..], b"long", &19_u64.to_be_bytes(), b"abc"].concat();
    let rest = [&0_u32.to_be_bytes()[..], b"rest", b"to the end"].concat();
    let bytes = [boxed(b"none", b""), boxed(b"some", b"body"), long, rest].concat();
    assert_eq!(all(&bytes), [(*b"none", 8..8), (*b"some", 16..20), (*b"long", 36..39), (*b"rest", 47..57)]);
    // Truncated, the last one ends where the bytes end.
    assert_eq!(all(&bytes[..18]), [(*b"none", 8..8), (*b"some", 16..18)]);
    assert_eq!(all(&bytes[..12]), [(*b"none", 8..8)]);
}

#[test]
fn what_is_no_box() {
    for size in 2..8_u32 {
        assert_eq!(all(&[&size.to_be_bytes()[..], b"kind", b"....."].concat()), []);
    }
    for size in [0_u64, 15] {
        assert_eq!(all(&[&1_u32.to_be_bytes()[..], b"kind", &size.to_be_bytes(), b"....."].concat()), []);
    }
    let endless = [&1_u32.to_be_bytes()[..], b"kind", &u64::MAX.to_be_bytes()].concat();
    assert_eq!(all(&[boxed(b"none", b""), endless].concat()), [(*b"none", 8..8), (*b"kind", 24..24)]);
    assert_eq!(all(&boxed(b"many", b"").repeat(5000)).len(), MAX_BOXES);
}

#[test]
fn paths_and_numbers() {
    let bytes = boxed(b"a   ", &[boxed(b"x   ", b"no"), boxed(b"b   ", &boxed(b"c   ", &[1, 2, 3, 4, 5]))].concat());
    let whole = 0..bytes.len();
    let found = descend(&bytes, whole.clone(), &[b"a   ", b"b   ", b"c   "]).unwrap();
    assert_eq!(&bytes[found.clone()], [1, 2, 3, 4, 5]);
    assert_eq!(descend(&bytes, whole.clone(), &[b"a   ", b"c   "]), None);
    assert_eq!(find(&bytes, whole, b"b   "), None);
    assert_eq!(number(&bytes, &found, 1, 4), Some(0x0203_0405));
    assert_eq!(number(&bytes, &found, 2, 4), None);
    assert_eq!(number(&bytes, &found, usize::MAX, 4), None);
}
