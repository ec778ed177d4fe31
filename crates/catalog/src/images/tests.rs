//! The order of images, their files and the rows to compare, by hand and against a naive twin.
#![allow(clippy::unwrap_used)]

use super::{RankedImages, UnrankedImages};
use crate::apart::LabelSet;
use crate::preference::{CatalogImage, Origin, Place, ScoreParts, UNKNOWN_TIME};
use crate::rule::{IMAGE_HASHES, PairRule};
use lumina_search::{HashRows, SearchContext, SearchError};
use proptest::prelude::*;
use serde_json::{Value, json};

/// An image with all that is read of it.
#[derive(Debug, Clone)]
pub(crate) struct ReadImage {
    pub(crate) image: CatalogImage,
    /// One for each of [`IMAGE_HASHES`].
    pub(crate) hashes: Vec<Vec<u8>>,
    /// Device and inode of its files.
    pub(crate) files: Vec<Option<(i64, i64)>>,
    /// Where each of its files lies, by the place of the file; files without one come after the end.
    pub(crate) places: Vec<Place>,
    /// Whether a protected file of it is missing.
    pub(crate) misses_protected: bool,
    pub(crate) is_sibling: bool,
    /// For each file the decision to keep it, by the place of the file; files without one come after the end.
    pub(crate) decisions: Vec<Option<i64>>,
    pub(crate) labels: Vec<(LabelSet, i32)>,
}

/// A plain photograph: whole, with one file, its hashes all zeros.
pub(crate) fn photograph(id: i64) -> ReadImage {
    ReadImage {
        image: CatalogImage {
            id,
            size: 100,
            captured: UNKNOWN_TIME,
            checksum: 0,
            quality: 5000,
            parts: ScoreParts::default(),
            origin: Origin::default(),
            row_version: 700 + id as u32,
            is_damaged: false,
            has_hashes: true,
        },
        hashes: IMAGE_HASHES.iter().map(|hash| vec![0; hash.bits / 8]).collect(),
        files: vec![Some((1, id))],
        places: Vec::new(),
        misses_protected: false,
        is_sibling: false,
        decisions: Vec::new(),
        labels: Vec::new(),
    }
}

impl ReadImage {
    /// Inverts bits of a hash.
    pub(crate) fn flip(&mut self, hash: usize, bits: impl IntoIterator<Item = usize>) {
        bits.into_iter().for_each(|bit| self.hashes[hash][bit / 8] ^= 0x80 >> (bit % 8));
    }

    /// How many files it has: names of one file are one, and a file without device and inode is one of its own.
    pub(crate) fn count_files(&self) -> usize {
        let is_new = |at: &usize| self.files[*at].is_none() || !self.files[..*at].contains(&self.files[*at]);
        (0..self.files.len()).filter(is_new).count()
    }

    /// As [`ReadImage::count_files`], but files of one decision are one. A decision on one name of a file holds for it.
    pub(crate) fn count_undecided(&self) -> usize {
        let decision = |at: usize| self.decisions.get(at).copied().flatten();
        let names = |at: usize| {
            (0..self.files.len())
                .filter(move |&other| other == at || self.files[at].is_some() && self.files[other] == self.files[at])
        };
        let first = |at: &usize| names(*at).next() == Some(*at);
        // Of several decisions on one file the smallest counts.
        let of_file = |at: usize| names(at).filter_map(decision).min();
        let files: Vec<usize> = (0..self.files.len()).filter(first).collect();
        let decided: std::collections::BTreeSet<i64> = files.iter().filter_map(|&at| of_file(at)).collect();
        files.iter().filter(|&&at| of_file(at).is_none()).count() + decided.len()
    }

    pub(crate) fn is_compared(&self) -> bool {
        self.image.has_hashes && !self.is_sibling
    }

    fn place_of(&self, file: usize) -> Place {
        self.places.get(file).copied().unwrap_or_default()
    }

    /// The number of its best folder, and whether one of its files is protected.
    pub(crate) fn place(&self) -> (u16, bool) {
        let places = || (0..self.files.len()).map(|at| self.place_of(at));
        let folder = places().map(|place| place.folder).min();
        (folder.unwrap_or(u16::MAX), places().any(|place| place.is_protected))
    }

    /// How many of its files are redundant in a group of which it is the one to keep, or not. A file is known by its
    /// best name: one that is protected, then in the best folder.
    pub(crate) fn count_redundant(&self, is_kept: bool) -> usize {
        let mut files = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            let (place, is_wanted) = (self.place_of(at), self.decisions.get(at).copied().flatten().is_some());
            match files.iter_mut().find(|(known, ..): &&mut (_, Place, bool)| file.is_some() && *known == file) {
                Some((_, best, wanted)) => {
                    *wanted |= is_wanted;
                    if (!place.is_protected, place.folder) < (!best.is_protected, best.folder) {
                        *best = place;
                    }
                }
                None => files.push((file, place, is_wanted)),
            }
        }
        if !is_kept && !self.misses_protected && !files.iter().any(|(_, place, _)| place.is_protected) {
            return files.len();
        }
        files.sort_by_key(|(_, place, is_wanted)| (place.folder, !place.is_protected, !is_wanted));
        files.iter().skip(1).filter(|(_, place, is_wanted)| !place.is_protected && !is_wanted).count()
    }

    /// The order of preference in words.
    fn is_better_than(&self, other: &ReadImage) -> bool {
        let ((folder, is_protected), (other_folder, is_other_protected)) = (self.place(), other.place());
        let (this, other) = (&self.image, &other.image);
        if this.is_damaged != other.is_damaged {
            other.is_damaged
        } else if folder != other_folder {
            folder < other_folder
        } else if is_protected != is_other_protected {
            is_protected
        } else if this.quality != other.quality {
            this.quality > other.quality
        } else if this.captured != other.captured {
            this.captured < other.captured
        } else if this.size != other.size {
            this.size > other.size
        } else if this.checksum != other.checksum {
            this.checksum < other.checksum
        } else {
            this.id < other.id
        }
    }
}

/// The hashes of an image that a rule names.
pub(crate) fn named<'a>(image: &'a ReadImage, rule: &'a PairRule) -> impl Iterator<Item = &'a [u8]> {
    let is_named = move |hash: &usize| rule.hashes().contains(&IMAGE_HASHES[*hash]);
    (0..IMAGE_HASHES.len()).filter(is_named).map(move |hash| &image.hashes[hash][..])
}

pub(crate) fn rank(
    images: &[ReadImage],
    rule: &PairRule,
    context: &SearchContext,
) -> Result<(RankedImages, HashRows), SearchError> {
    let mut unranked = UnrankedImages::new(rule);
    for read in images {
        unranked.push_image(read.image, named(read, rule), context)?;
    }
    // Files of all images in turn, as a scan returns them.
    for at in 0..images.iter().map(|read| read.files.len()).max().unwrap_or(0) {
        for read in images.iter().filter(|read| at < read.files.len()) {
            let decision = read.decisions.get(at).copied().flatten();
            unranked.push_file(read.image.id, read.place_of(at), read.files[at], decision, context)?;
        }
    }
    for read in images.iter().filter(|read| read.misses_protected) {
        unranked.push_missing_protected(read.image.id, context)?;
        unranked.push_missing_protected(read.image.id, context)?;
    }
    unranked.push_missing_protected(i64::MAX, context)?;
    // An image may be beside several raw files.
    for read in images.iter().rev().filter(|read| read.is_sibling) {
        unranked.push_sibling(read.image.id, context)?;
        unranked.push_sibling(read.image.id, context)?;
    }
    // Files and siblings of images that were not read, rejected ones for instance.
    unranked.push_file(i64::MIN, Place::default(), Some((0, 0)), None, context)?;
    unranked.push_file(i64::MAX, Place { folder: 0, is_protected: true }, None, Some(1), context)?;
    unranked.push_label(i64::MAX, LabelSet::Burst(1), 7, context)?;
    for read in images {
        for (set, part) in &read.labels {
            unranked.push_label(read.image.id, *set, *part, context)?;
        }
    }
    unranked.push_sibling(i64::MAX, context)?;
    unranked.rank(context)
}

/// Images with a file, best first: each time that one which no other beats.
pub(crate) fn naive_ranks(images: &[ReadImage]) -> Vec<&ReadImage> {
    let mut left: Vec<&ReadImage> = images.iter().filter(|read| read.count_files() > 0).collect();
    let mut ranked = Vec::new();
    while let Some(best) = (0..left.len()).find(|&at| left.iter().all(|other| !other.is_better_than(left[at]))) {
        ranked.push(left.remove(best));
    }
    assert!(left.is_empty(), "the order is total");
    ranked
}

/// Its kind, and the bits in which it differs from others of that kind: hash, bit.
type Picture = (usize, Vec<(usize, usize)>);

/// What is drawn of an image: facts, parts of its score, its picture, its files, their places, decisions, labels.
type Drawn = (
    (i32, i64, i64, u64, bool, bool, bool),
    ScoreParts,
    Picture,
    Vec<Option<(i64, i64)>>,
    (Option<Vec<Place>>, bool),
    Vec<Option<i64>>,
    Vec<(LabelSet, i32)>,
);

/// Catalogs in which every fact has ties, with near and equal hashes, copies, links, siblings and images without files.
pub(crate) fn catalogs() -> impl Strategy<Value = Vec<ReadImage>> {
    let facts = (
        prop::sample::select(vec![4000, 5000, 9000]),
        prop::sample::select(vec![0, 10, UNKNOWN_TIME]),
        prop::sample::select(vec![1, 90, 91, 100]),
        0u64..3,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
    );
    // Pixels at the limit of the tolerance, and what each part of the score adds.
    let parts = (
        prop::sample::select(vec![0, 949, 950, 951, 1000]),
        0u16..3,
        0u16..3,
        prop::sample::select(vec![4000, 4001, 4003]),
        0u8..2,
    );
    let parts = parts.prop_map(|(pixels, resolution, size, rest, format)| ScoreParts {
        pixels,
        resolution,
        size,
        rest,
        format,
    });
    let place = (prop::sample::select(vec![0, 1, Place::NO_FOLDER]), prop::bool::weighted(0.3));
    let place = place.prop_map(|(folder, is_protected)| Place { folder, is_protected });
    let places = prop::collection::vec(place, 0..5);
    // Few kinds of pictures, and a few bits of some of their hashes.
    let picture = (0usize..3, prop::collection::vec((0usize..4, 0usize..64), 0..6));
    let file = prop::option::weighted(0.8, (0i64..2, 0i64..2));
    let decision = prop::option::weighted(0.5, 0i64..3);
    let decisions = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(decision, 0..4)];
    let set = prop_oneof![(0i64..3).prop_map(LabelSet::Burst), (0i64..3).prop_map(LabelSet::Decision)];
    let label = (set, 0i32..3);
    let labels = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(label, 0..3)];
    let places = (prop::option::weighted(0.4, places), prop::bool::weighted(0.1));
    let image = (facts, parts, picture, prop::collection::vec(file, 0..4), places, decisions, labels);
    prop::collection::vec(image, 0..24).prop_map(|images| {
        let image = |(at, drawn): (usize, Drawn)| {
            let (facts, parts, (kind, flips), files, (places, misses_protected), decisions, labels) = drawn;
            let (quality, captured, size, checksum, is_damaged, has_hashes, is_sibling) = facts;
            // Ids in no order.
            let mut read = photograph(at as i64 * 7919 % 1009);
            let given = read.image;
            read.image = CatalogImage { size, captured, checksum, quality, parts, is_damaged, has_hashes, ..given };
            (0..4).for_each(|hash| read.flip(hash, (0..64).filter(|bit| kind > 0 && bit % (kind + 1) == 0)));
            flips.into_iter().for_each(|(hash, bit)| read.flip(hash, [bit]));
            let places = places.unwrap_or_default();
            ReadImage { files, is_sibling, places, misses_protected, decisions, labels, ..read }
        };
        images.into_iter().enumerate().map(image).collect()
    })
}

pub(crate) fn consensus() -> PairRule {
    PairRule::from_json(&json!([{"ahash": 5, "dhash": 5}])).unwrap()
}

pub(crate) fn rules() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!([{"ahash": 5, "dhash": 5}]),
        json!([{"dhash": 12, "pdq": 100}, {"dct": 14, "pdq": 100}]),
        json!([{"dhash": 2}, {"ahash": 3, "pdq": 3}]),
        json!([{"dct": 2}, {"dct": 4, "ahash": 0}]),
        json!([{"pdq": 0}]),
    ])
}

pub(crate) fn unlimited() -> SearchContext {
    SearchContext::new(1 << 30)
}

/// By hand: of a whole picture, a better one that is truncated, one without files, and a sibling with two files.
#[test]
fn a_catalog_by_hand() {
    let whole = photograph(1);
    let mut truncated = photograph(2);
    truncated.image.quality = 9000;
    truncated.image.is_damaged = true;
    truncated.files = vec![Some((1, 5)), Some((1, 5)), Some((2, 5)), None]; // two names, another device, unknown
    let gone = ReadImage { files: Vec::new(), ..photograph(3) };
    let mut sibling = photograph(4);
    sibling.image.size = 101;
    sibling.is_sibling = true;
    sibling.files = vec![None, None];
    let context = unlimited();
    let (ranked, rows) = rank(&[whole, truncated, gone, sibling], &consensus(), &context).unwrap();
    let shown: Vec<_> = (0..3).map(|rank| (ranked.id(rank), ranked.size(rank), ranked.files(rank))).collect();
    assert_eq!(shown, [(4, 101, 2), (1, 100, 1), (2, 100, 3)], "larger, then the smaller id, then the truncated one");
    assert_eq!((ranked.len(), ranked.compared(), ranked.possible_pairs()), (3, 2, 1));
    assert_eq!(ranked.row_version(1), 701);
    assert_eq!(rows.len(), 3, "one of the whole picture, two of that with several files");
    assert_eq!([0, 1, 2].map(|row| ranked.image_of_row(row)), [1, 2, 2]);
}

#[test]
fn an_empty_catalog() {
    let (ranked, rows) = rank(&[], &consensus(), &unlimited()).unwrap();
    assert!(ranked.is_empty() && rows.is_empty());
    assert_eq!((ranked.compared(), ranked.possible_pairs()), (0, 0));
}

/// Memory is bounded: a catalog that takes more is an error.
#[test]
fn over_budget() {
    let images: Vec<ReadImage> = (0..100).map(photograph).collect();
    let least = (10..).find(|bits| rank(&images, &consensus(), &SearchContext::new(1 << bits)).is_ok()).unwrap();
    for limit in (0..1 << (least - 1)).step_by(512) {
        let error = rank(&images, &consensus(), &SearchContext::new(limit)).unwrap_err();
        assert!(matches!(error, SearchError::OverBudget { .. }), "{limit}: {error}");
    }
}

/// All that was counted is counted as freed, but for what is kept.
#[test]
fn what_is_freed_is_counted() {
    let images: Vec<ReadImage> = (0..5000).map(photograph).collect();
    let context = unlimited();
    let (ranked, rows) = rank(&images, &consensus(), &context).unwrap();
    assert_eq!(context.used(), ranked.len() * 64 + rows.len() * (4 + 2 * 8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn ranks_are_those_of_the_naive_twin(images in catalogs(), rule in rules()) {
        let rule = PairRule::from_json(&rule).unwrap();
        let context = unlimited();
        let (ranked, rows) = rank(&images, &rule, &context).unwrap();
        let naive = naive_ranks(&images);
        let shown: Vec<_> = (0..ranked.len() as u32)
            .map(|rank| (ranked.id(rank), ranked.size(rank), ranked.files(rank) as usize, ranked.row_version(rank)))
            .collect();
        let naive_shown: Vec<_> = naive
            .iter()
            .map(|read| (read.image.id, read.image.size, read.count_files(), read.image.row_version))
            .collect();
        prop_assert_eq!(shown, naive_shown);
        let compared = naive.iter().filter(|read| read.is_compared()).count();
        prop_assert_eq!(ranked.compared(), compared);
        let pairs = (0..compared as i128).sum::<i128>();
        prop_assert_eq!(ranked.possible_pairs(), pairs);

        // Two rows of an image with several files, one of any other, each with the image's hashes.
        let mut naive_rows = Vec::new();
        for (rank, read) in naive.iter().enumerate().filter(|(_, read)| read.is_compared()) {
            naive_rows.extend(std::iter::repeat_n(rank, read.count_undecided().min(2)));
        }
        let row_images: Vec<usize> = (0..rows.len() as u32).map(|row| ranked.image_of_row(row) as usize).collect();
        prop_assert_eq!(&row_images, &naive_rows);
        let values = lumina_search::Values::collapse(rows, &context).unwrap();
        for value in 0..values.count() as u32 {
            let hashes: Vec<Vec<u8>> = (0..rule.hashes().len()).map(|column| values.hash(value, column)).collect();
            for row in values.members(value).as_slice() {
                let read = naive[row_images[*row as usize]];
                prop_assert_eq!(&hashes, &named(read, &rule).map(<[u8]>::to_vec).collect::<Vec<_>>());
            }
        }
    }

    /// The order in which rows are read does not matter.
    #[test]
    fn ranks_do_not_depend_on_the_order_of_rows(images in catalogs().prop_shuffle(), by in 0usize..24) {
        let ids = |images: &[ReadImage]| {
            let (ranked, _) = rank(images, &consensus(), &unlimited()).unwrap();
            (0..ranked.len() as u32).map(|rank| ranked.id(rank)).collect::<Vec<_>>()
        };
        let mut turned = images.clone();
        turned.rotate_left(by % images.len().max(1));
        prop_assert_eq!(ids(&images), ids(&turned));
    }
}
