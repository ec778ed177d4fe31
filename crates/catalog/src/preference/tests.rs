//! The order of preference by hand; the choice among members at the limits of the tolerances, and against a naive twin.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// Each of two images differs from the other in one fact, which decides, and in all less important ones, which are
/// against it.
#[test]
fn whole_folder_protected_better_older_larger_then_the_smaller_checksum() {
    let worst = CatalogImage {
        id: 9,
        size: 1,
        captured: UNKNOWN_TIME,
        checksum: 9,
        quality: -1,
        parts: ScoreParts::default(),
        origin: Origin::default(),
        row_version: 0,
        is_damaged: true,
        has_hashes: false,
    };
    let nowhere = Place::default();
    let smaller_id = CatalogImage { id: 8, ..worst };
    let smaller_checksum = CatalogImage { checksum: 8, ..worst };
    let larger = CatalogImage { size: 2, ..worst };
    let older = CatalogImage { captured: i64::MAX - 1, ..worst };
    let better = CatalogImage { quality: 0, ..worst };
    let whole = CatalogImage { is_damaged: false, ..worst };
    let order = [better, older, larger, smaller_checksum, smaller_id, worst].map(|image| (image, nowhere));
    let places = [(0, false), (1, true), (1, false), (u16::MAX - 1, false), (u16::MAX, true)]
        .map(|(folder, is_protected)| (worst, Place { folder, is_protected }));
    let order: Vec<_> = [(whole, nowhere)].into_iter().chain(places).chain(order).collect();
    for (rank, (image, place)) in order.iter().enumerate() {
        for (other, other_place) in &order[rank + 1..] {
            assert!(image.preference(*place) < other.preference(*other_place), "{image:?} is preferred to {other:?}");
        }
    }
}

/// What is not compared does not count.
#[test]
fn versions_hashes_and_parts_do_not_matter() {
    let image = CatalogImage {
        id: 1,
        size: 1,
        captured: 1,
        checksum: 1,
        quality: 1,
        parts: ScoreParts::default(),
        origin: Origin::default(),
        row_version: 1,
        is_damaged: false,
        has_hashes: true,
    };
    let parts = ScoreParts { pixels: 9, ..ScoreParts::default() };
    let other = CatalogImage { row_version: 2, has_hashes: false, parts, ..image };
    assert_eq!(image.preference(Place::default()), other.preference(Place::default()));
}

#[test]
fn the_first_word_of_a_checksum() {
    assert_eq!(first_word(&[0, 0, 0, 0, 0, 0, 1, 2, 255]), 0x102);
    assert_eq!(first_word(&[1; 7]), 0);
}

#[test]
fn weights_and_parts() {
    let default = ScoreWeights::from_eight(&[0.4, 0.35, 0.15, 0.1, 0.0, 0.0, 0.0, 0.0]).unwrap();
    assert_eq!(default, ScoreWeights::DEFAULT);
    let parts = default.parts([70.0, 93.077, 81.25, 80.0], 24_000_000, 3);
    let expected = ScoreParts { pixels: 24_000_000, resolution: 3258, size: 1219, rest: 3600, format: 3 };
    assert_eq!(parts, expected);
    let composite = ScoreWeights::from_eight(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    assert!(composite.is_composite);
    let parts = composite.parts([40.0, 30.0, 20.0, 10.0], u64::MAX, 0);
    assert_eq!((parts.pixels, parts.resolution, parts.size, parts.rest), (u32::MAX, 3000, 2000, 5000));
    assert_eq!(ScoreWeights::from_eight(&[1.0; 7]), None);
    assert_eq!(default.parts([f32::NAN; 4], 0, 0), ScoreParts::default());
}

/// A photograph of the quality score: JPEG, this many thousands of pixels and of bytes, points of resolution and size
/// in proportion.
fn photograph(rank: u32, pixels: u32, size: i64) -> Candidate {
    let parts =
        ScoreParts { pixels, resolution: (pixels / 10) as u16, size: (size / 10) as u16, rest: 3000, format: 0 };
    let (class, origin) = (Class::new(Place::default(), false), Origin::default());
    Candidate { rank, class, parts, origin, size, captured: 1000 + i64::from(rank) }
}

fn best(members: &[Candidate]) -> u32 {
    best_of(members.iter().copied()).unwrap()
}

/// The second image is older: it is kept where the first is no larger, as far as that counts.
#[test]
fn tolerances_at_their_limits() {
    let largest = photograph(0, 10_000, 10_000);
    let older = |pixels, size| Candidate { captured: 1, ..photograph(1, pixels, size) };
    for (pixels, size, kept) in [
        (9510, 10_000, 1), // 4.9 % fewer pixels
        (9501, 10_000, 1),
        (9500, 10_000, 0), // 5 %
        (9490, 10_000, 0), // 5.1 %
        (10_000, 9010, 1), // 9.9 % fewer bytes
        (10_000, 9001, 1),
        (10_000, 9000, 0), // 10 %
        (10_000, 8990, 0), // 10.1 %
        (9510, 9010, 1),
        (9490, 9010, 0),
        (9510, 8990, 0),
    ] {
        assert_eq!(best(&[largest, older(pixels, size)]), kept, "{pixels} pixels, {size} bytes");
    }
    // Sizes are not compared between formats: without that tolerance the larger file has the better score.
    let mut other = older(10_000, 9900);
    other.parts.format = 1;
    assert_eq!(best(&[largest, other]), 0);
    // Nothing is known of either.
    assert_eq!(best(&[photograph(0, 0, 0), Candidate { captured: 1, ..photograph(1, 0, 0) }]), 1);
}

/// Pairwise, 100 equals 96 and 96 equals 92, but 100 does not equal 92: what counts is the largest.
#[test]
fn the_largest_is_the_measure() {
    let sides = [10_000, 9600, 9200];
    let group: Vec<Candidate> = (0..3u32)
        .map(|at| Candidate { captured: 10 - i64::from(at), ..photograph(at, sides[at as usize], 5000) })
        .collect();
    assert_eq!(best(&group), 1, "as large as the first, and older");
    assert_eq!(best(&group[1..]), 2, "without the first");
}

#[test]
fn what_comes_before_and_after_the_score() {
    let large = photograph(0, 10_000, 10_000);
    let small = |class| Candidate { class, ..photograph(1, 10, 10) };
    let place = |folder, is_protected| Class::new(Place { folder, is_protected }, false);
    assert_eq!(best(&[large, small(Class::new(Place::default(), false))]), 0);
    assert_eq!(best(&[large, small(place(99, false))]), 1, "a preferred folder");
    assert_eq!(best(&[large, small(place(Place::NO_FOLDER, true))]), 1, "protected");
    let in_folder = Candidate { class: place(1, false), ..large };
    assert_eq!(best(&[in_folder, small(place(Place::NO_FOLDER, true))]), 0, "the folder before protection");
    assert_eq!(best(&[in_folder, small(place(0, false))]), 1, "the better folder");
    let truncated = Candidate { class: Class::new(Place::default(), true), ..large };
    assert_eq!(best(&[truncated, small(Class::new(Place::default(), false))]), 1, "whole");
    let protected = Candidate { class: Class::new(Place { is_protected: true, folder: 0 }, true), ..large };
    assert_eq!(best(&[protected, small(Class::new(Place::default(), false))]), 1, "wholeness before any place");
    assert_eq!(best(&[protected, small(Class::new(Place::default(), true))]), 0, "folders among damaged ones");
    // The largest of a worse class is no measure for the others.
    let middle = Candidate { class: place(0, false), ..photograph(2, 5000, 5000) };
    let smaller = Candidate { class: place(0, false), captured: 1, ..photograph(3, 4900, 5000) };
    assert_eq!(best(&[large, middle, smaller]), 3);
    // Equally good and old: larger, then the better rank.
    let same = Candidate { captured: 1, ..large };
    assert_eq!(best(&[Candidate { rank: 7, ..same }, Candidate { rank: 8, size: 10_001, ..same }]), 8);
    assert_eq!(best(&[Candidate { rank: 8, ..same }, Candidate { rank: 7, ..same }]), 7);
    assert_eq!(best(&[large]), 0, "alone");
    assert_eq!(best_of(std::iter::empty()), None);
}

/// An original, and copies of it with more bytes or pixels: by what is known of each.
#[test]
fn originals_are_kept() {
    let origin = |originality, fineness, detail| Origin { originality, fineness, detail };
    let original = Candidate { origin: origin(15, 30, 4000), ..photograph(1, 10_000, 10_000) };
    let copy = |origin| Candidate { origin, ..photograph(0, 10_000, 20_000) };
    for originality in [0, 1, 9, 11, 14] {
        assert_eq!(best(&[copy(origin(originality, 30, 4000)), original]), 1, "{originality}");
    }
    assert_eq!(best(&[copy(origin(15, 30, 4000)), original]), 0, "as original, and larger");
    // Not a camera's: what was compressed twice goes behind what was compressed once.
    let plain = Candidate { origin: origin(1, 30, 4000), ..original };
    assert_eq!(best(&[copy(origin(0, 30, 4000)), plain]), 1);
    // A copy that was cut has lost the traces that its original has: the score decides.
    let traced = Candidate { origin: origin(0, 30, 4000), ..original };
    let cut = |pixels, size| Candidate { origin: origin(1, 30, 4000), ..photograph(0, pixels, size) };
    assert_eq!(best(&[cut(9200, 9500), traced]), 1);
    assert_eq!(best(&[cut(10_000, 9500), traced]), 0, "of the same size");
    let small = Candidate { rank: 2, ..cut(2500, 9000) };
    assert_eq!(best(&[cut(9200, 9500), small, traced]), 1);
    assert_eq!(best(&[Candidate { origin: origin(9, 30, 4000), ..cut(9200, 9500) }, traced]), 0, "a camera's data");
    // A small copy has kept the camera's data, which the large one has lost: the score decides, as ever.
    let small = Candidate { origin: origin(9, 40, 3000), ..photograph(0, 2500, 9000) };
    assert_eq!(best(&[small, Candidate { origin: origin(1, 22, 3500), ..original }]), 1);
    // Enlarged four times: smooth, with no more detail. Next to a camera's file it may be a little sharper.
    let enlarged = |origin| Candidate { origin, ..photograph(0, 40_000, 30_000) };
    assert_eq!(best(&[enlarged(origin(9, 25, 4300)), original]), 1);
    assert_eq!(best(&[enlarged(origin(9, 26, 4300)), original]), 0, "sharp: a larger picture of the same");
    assert_eq!(best(&[enlarged(origin(12, 15, 4000)), original]), 0, "as a camera wrote it");
    assert_eq!(best(&[enlarged(origin(1, 19, 4040)), plain]), 1);
    assert_eq!(best(&[enlarged(origin(1, 19, 4059)), plain]), 0, "more detail");
    assert_eq!(best(&[enlarged(origin(1, 20, 4040)), plain]), 0, "not smooth");
    assert_eq!(best(&[enlarged(Origin::new(1, None)), plain]), 0, "nothing is known of its detail");
    // Enlarged and sharpened: so much detail that it would not be smooth. Only a camera's data beside it tell.
    let camera = Candidate { origin: origin(9, 30, 4000), ..original };
    assert_eq!(best(&[enlarged(origin(1, 19, 4206)), camera]), 1);
    assert_eq!(best(&[enlarged(origin(1, 19, 4203)), camera]), 0, "as smooth pictures have it");
    assert_eq!(best(&[enlarged(origin(1, 20, 4206)), camera]), 0, "not smooth");
    assert_eq!(best(&[enlarged(origin(9, 19, 4206)), camera]), 0, "with a camera's data");
    assert_eq!(best(&[enlarged(origin(1, 19, 4206)), plain]), 0, "beside one without");
    assert_eq!(Origin::new(3, Some((1023.0, 0.125))), origin(3, 12, 2560));
    assert_eq!(Origin::new(3, Some((f32::MAX, 9.0))), origin(3, 255, 32768));
}

/// Copies of the one to keep are those that it comes before whatever their score is; and of its class.
#[test]
fn what_is_a_copy_of_the_first() {
    let origin = |originality, fineness, detail| Origin { originality, fineness, detail };
    let original = Candidate { origin: origin(15, 30, 4000), ..photograph(0, 10_000, 10_000) };
    let of = |other: Candidate| copies_of_first([original, other].into_iter()).collect::<Vec<bool>>() == [false, true];
    assert!(of(Candidate { origin: origin(14, 30, 4000), ..original }));
    assert!(of(Candidate { origin: origin(1, 19, 4000), ..photograph(1, 40_000, 30_000) }), "enlarged");
    assert!(of(Candidate { origin: origin(9, 30, 4000), ..photograph(1, 2500, 9000) }), "small, and less original");
    assert!(!of(Candidate { rank: 1, captured: 9, ..original }), "as original: by its score, or what comes after");
    let damaged = Class::new(Place::default(), true);
    assert!(!of(Candidate { class: damaged, origin: origin(1, 30, 4000), ..original }), "of another class");
    // A small copy with the camera's data is no copy of a large one without, nor the other way round.
    let large = Candidate { origin: origin(1, 30, 4000), ..photograph(0, 10_000, 10_000) };
    let small = Candidate { origin: origin(9, 40, 3000), ..photograph(1, 2500, 9000) };
    assert_eq!(copies_of_first([small, large].into_iter()).collect::<Vec<_>>(), [false, false]);
    assert_eq!(copies_of_first(std::iter::empty()).count(), 0);
}

/// Better in one thing, and equal in all others: never worse.
#[test]
fn monotone() {
    let base = photograph(5, 5000, 5000);
    let worse = [
        Candidate { rank: 6, ..base },
        Candidate { rank: 0, captured: base.captured + 1, ..base },
        Candidate { rank: 0, parts: ScoreParts { rest: 2999, ..base.parts }, ..base },
        Candidate { rank: 0, captured: 0, ..photograph(0, 4000, 5000) },
        Candidate { rank: 0, captured: 0, ..photograph(0, 5000, 4000) },
    ];
    for other in worse {
        assert_eq!(best(&[other, base]), 5, "{other:?}");
    }
    let all: Vec<Candidate> = std::iter::once(base).chain(worse).collect();
    assert_eq!(best(&all), 5);
}

fn groups() -> impl Strategy<Value = Vec<Candidate>> {
    let member = (
        (prop::sample::select(vec![0u16, 1, Place::NO_FOLDER]), any::<bool>(), prop::bool::weighted(0.2)),
        (prop::sample::select(vec![0u32, 250, 799, 800, 902, 949, 950, 951, 1000]), 0u16..4, 0u16..4, 0u16..3, 0u8..3),
        prop::sample::select(vec![0i64, 81, 89, 90, 91, 100, i64::MAX]),
        0i64..3,
        (
            prop::sample::select(vec![0u8, 1, 8, 9, 11, 12, 15]),
            prop::sample::select(vec![7u8, 19, 20, 25, 26, 255]),
            prop::sample::select(vec![0u16, 2000, 2005, 2020, 2300]),
        ),
    );
    prop::collection::vec(member, 1..12).prop_map(|members| {
        let candidate = |(at, ((folder, is_protected, is_damaged), parts, size, captured, origin)): (usize, _)| {
            let (originality, fineness, detail) = origin;
            let (pixels, resolution, of_size, rest, format) = parts;
            Candidate {
                rank: at as u32 * 13 % 101,
                class: Class::new(Place { folder, is_protected }, is_damaged),
                parts: ScoreParts { pixels, resolution, size: of_size, rest, format },
                origin: Origin { originality, fineness, detail },
                size,
                captured,
            }
        };
        members.into_iter().enumerate().map(candidate).collect()
    })
}

/// The ranks of enlarged members.
fn naive_enlarged(left: &[Candidate]) -> Vec<u32> {
    let is_smaller = |a: &Candidate, b: &Candidate| f64::from(a.parts.pixels) < 0.9 * f64::from(b.parts.pixels);
    let sharp = left.iter().filter(|other| other.origin.fineness >= 20 && other.origin.detail > 0);
    let sharp = sharp.max_by_key(|other| (other.parts.pixels, other.origin.detail));
    let camera = left
        .iter()
        .filter(|other| other.origin.fineness >= 20 && other.origin.detail > 0 && other.origin.originality >= 8);
    let camera = camera.max_by_key(|other| (other.parts.pixels, other.origin.detail));
    let is_enlarged = |member: &&Candidate| {
        let origin = member.origin;
        let by_written =
            |other: &Candidate| other.origin.originality >= 12 && other.parts.pixels > 0 && is_smaller(other, member);
        let by_detail = |other: &Candidate| {
            let doublings = (f64::from(member.parts.pixels) / f64::from(other.parts.pixels)).log2();
            let more = f64::from(origin.detail) - f64::from(other.origin.detail);
            other.parts.pixels > 0 && is_smaller(other, member) && more >= -11.0 && more < 29.44 * doublings
        };
        let by_too_much = |other: &Candidate| {
            let doublings = (f64::from(member.parts.pixels) / f64::from(other.parts.pixels)).log2();
            let more = f64::from(origin.detail) - f64::from(other.origin.detail);
            other.parts.pixels > 0 && is_smaller(other, member) && more > 102.4 * doublings
        };
        origin.originality < 12
            && (origin.fineness <= 25 && left.iter().any(by_written)
                || origin.fineness < 20
                    && (sharp.is_some_and(by_detail) || origin.originality < 8 && camera.is_some_and(by_too_much)))
    };
    left.iter().filter(is_enlarged).map(|member| member.rank).collect()
}

/// The definition, word by word.
fn naive_best(members: &[Candidate]) -> u32 {
    let mut left = members.to_vec();
    left.retain(|member| members.iter().all(|other| member.class <= other.class));
    let enlarged = naive_enlarged(&left);
    left.retain(|member| !enlarged.contains(&member.rank));
    let most = left.iter().map(|member| member.parts.pixels).max().unwrap();
    let is_large = |member: &Candidate| f64::from(member.parts.pixels) >= 0.8 * f64::from(most);
    let largest = left.iter().filter(|member| member.parts.pixels == most);
    let of_largest = largest.map(|member| member.origin.originality).max().unwrap();
    // Where the largest has traces of an earlier compression, that a smaller one has none is no merit of it.
    let of_large = |member: &Candidate| match member.origin.originality {
        own if own == of_largest + 1 && of_largest % 2 == 0 && member.parts.pixels < most => of_largest,
        own => own,
    };
    let best = left.iter().filter(|member| is_large(member)).map(of_large).max().unwrap();
    let originality = |member: &Candidate| {
        if is_large(member) { of_large(member) } else { member.origin.originality.min(best) }
    };
    let by_pixels = left.iter().max_by_key(|member| (member.parts.pixels, member.parts.resolution)).unwrap();
    let score = |member: &Candidate| {
        let same = left.iter().filter(|other| other.parts.format == member.parts.format);
        let by_size = same.max_by_key(|other| (other.size, other.parts.size)).unwrap();
        let share = |number: f64, most: f64| if most == 0.0 { 1.0 } else { number / most };
        let of = |by: &Candidate| (f64::from(member.parts.pixels), f64::from(by.parts.pixels));
        let (pixels, most) = of(by_pixels);
        let resolution = if share(pixels, most) > 0.95 { by_pixels } else { member }.parts.resolution;
        let size = if share(member.size as f64, by_size.size as f64) > 0.9 { by_size } else { member }.parts.size;
        i64::from(member.parts.rest) + i64::from(resolution) + i64::from(size)
    };
    let beats = |a: &Candidate, b: &Candidate| {
        let key = |c: &Candidate| (-i32::from(originality(c)), -score(c), c.captured, -c.size, c.rank);
        key(a) < key(b)
    };
    left.iter().find(|member| left.iter().all(|other| other == *member || beats(member, other))).unwrap().rank
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn as_defined_and_whatever_the_order(members in groups(), by in 0usize..12) {
        let found = best(&members);
        prop_assert_eq!(found, naive_best(&members));
        let mut turned = members.clone();
        turned.rotate_left(by % members.len());
        prop_assert_eq!(best(&turned), found);
        turned.reverse();
        prop_assert_eq!(best(&turned), found);
        // A member that is not kept, and not the largest in anything, can go.
        let class = members.iter().find(|member| member.rank == found).unwrap().class;
        let without: Vec<Candidate> = members.iter().copied().filter(|member| member.class == class).collect();
        prop_assert_eq!(best(&without), found);
        // Beside what is no copy of the one that is kept it is kept as well: copies lose whatever else is there.
        let kept = members.iter().position(|member| member.rank == found).unwrap();
        let mut order = members.clone();
        order[..=kept].rotate_right(1);
        let are_copies: Vec<bool> = copies_of_first(order.iter().copied()).collect();
        for (member, is_copy) in order.iter().zip(are_copies) {
            let better = Candidate { parts: ScoreParts { rest: 9999, ..member.parts }, ..*member };
            let others = order.iter().filter(|other| other.rank != member.rank).copied();
            let changed: Vec<Candidate> = others.chain([better]).collect();
            prop_assert!(!is_copy || best(&changed) != member.rank, "{:?}", member);
        }
    }
}
