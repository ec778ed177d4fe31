//! The order of preference by hand.

use super::{CatalogImage, UNKNOWN_TIME, first_word};

/// Each of two images differs from the other in one fact, which decides, and in all less important ones, which are
/// against it.
#[test]
fn whole_then_better_then_older_then_larger_then_the_smaller_checksum() {
    let worst = CatalogImage {
        id: 9,
        size: 1,
        captured: UNKNOWN_TIME,
        checksum: 9,
        quality: -1,
        row_version: 0,
        is_truncated: true,
        has_hashes: false,
    };
    let smaller_id = CatalogImage { id: 8, ..worst };
    let smaller_checksum = CatalogImage { checksum: 8, ..worst };
    let larger = CatalogImage { size: 2, ..worst };
    let older = CatalogImage { captured: i64::MAX - 1, ..worst };
    let better = CatalogImage { quality: 0, ..worst };
    let whole = CatalogImage { is_truncated: false, ..worst };
    let order = [whole, better, older, larger, smaller_checksum, smaller_id, worst];
    for (rank, image) in order.iter().enumerate() {
        for other in &order[rank + 1..] {
            assert!(image.preference() < other.preference(), "{image:?} is preferred to {other:?}");
        }
    }
}

/// What is not compared does not count.
#[test]
fn versions_and_hashes_do_not_matter() {
    let image = CatalogImage {
        id: 1,
        size: 1,
        captured: 1,
        checksum: 1,
        quality: 1,
        row_version: 1,
        is_truncated: false,
        has_hashes: true,
    };
    assert_eq!(image.preference(), CatalogImage { row_version: 2, has_hashes: false, ..image }.preference());
}

#[test]
fn the_first_word_of_a_checksum() {
    assert_eq!(first_word(&[0, 0, 0, 0, 0, 0, 1, 2, 255]), 0x102);
    assert_eq!(first_word(&[1; 7]), 0);
}
