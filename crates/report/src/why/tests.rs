//! Each reason by hand, in the order of preference; and that reasons are told of whatever preference has chosen, and
//! are none of what it has not.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use lumina_catalog::preference::best_of;
use proptest::prelude::*;

const TOLERANT: Choice = Choice { weights: ScoreWeights::DEFAULT, has_tolerances: true, is_first: true };
const STAR: Choice = Choice { has_tolerances: false, ..TOLERANT };

/// A JPEG of 20 megapixels; all points of which are 50.
fn photo() -> Merits {
    Merits {
        format: "jpeg".into(),
        pixels: Some(20_000_000),
        size: 5_000_000,
        captured: Some(1_000),
        score: 5_000,
        points: [50.0; 4],
        checksum: 7,
        ..Merits::default()
    }
}

/// With other points, and the score that they make by the default weights.
fn scored(points: [f32; 4]) -> Merits {
    let score = ScoreWeights::DEFAULT.parts(points, 0, 0).sum() as i32;
    Merits { points, score, ..photo() }
}

/// The reasons for an image against the others.
fn told(keep: &Merits, others: &[&Merits], choice: &Choice) -> String {
    let images: Vec<Merits> = std::iter::once(keep).chain(others.iter().copied()).cloned().collect();
    why(&images, choice).join("; ")
}

fn in_folder(folder: u16) -> Merits {
    Merits { place: Place { folder, is_protected: false }, ..photo() }
}

#[test]
fn each_reason_is_the_one_that_decides() {
    let protected = || Merits { place: Place { is_protected: true, ..Place::default() }, ..photo() };
    let damaged = || Merits { damaged: true, ..photo() };
    for (keep, expected) in [
        (in_folder(0), "in a preferred folder"),
        (protected(), "protected"),
        (scored([60.0, 50.0, 50.0, 50.0]), "better format (score 54, better than 50)"),
        (Merits { raw: true, ..scored([100.0, 50.0, 50.0, 50.0]) }, "raw file (score 70, better than 50)"),
        (
            Merits { pixels: Some(30_000_000), ..scored([50.0, 60.0, 50.0, 50.0]) },
            "more pixels (score 53.5, better than 50)",
        ),
        (Merits { size: 6_000_000, ..scored([50.0, 50.0, 60.0, 50.0]) }, "larger file (score 51.5, better than 50)"),
        (
            Merits { format: "png".into(), ..scored([50.0, 50.0, 60.0, 50.0]) },
            "larger file for its format (score 51.5, better than 50)",
        ),
        (scored([50.0, 50.0, 50.0, 60.0]), "says more of how it was taken (score 51, better than 50)"),
        (Merits { captured: Some(999), ..photo() }, "older"),
        (Merits { size: 5_000_001, ..photo() }, "larger file"),
        (Merits { score: 5_001, ..photo() }, "score 50.01, better than 50"),
        (Merits { checksum: 6, ..photo() }, "as good as any: the smaller checksum"),
        (photo(), "as good as any"),
    ] {
        assert_eq!(told(&keep, &[&photo()], &TOLERANT), expected, "{keep:?}");
        assert_eq!(told(&keep, &[&photo(), &photo()], &TOLERANT), expected, "{keep:?}");
        if expected != "as good as any" {
            assert_eq!(told(&photo(), &[&keep], &TOLERANT), CHANGED, "{keep:?}");
        }
        // What comes before decides alone, however good the other one is.
        let good = Merits { captured: None, ..scored([40.0; 4]) };
        let keep = Merits { place: in_folder(1).place, ..good };
        assert_eq!(told(&keep, &[&photo()], &TOLERANT), "in a preferred folder");
    }
    assert_eq!(told(&photo(), &[&damaged(), &damaged()], &TOLERANT), "the only one that is whole");
    let preferred = Merits { damaged: true, ..in_folder(0) };
    assert_eq!(told(&photo(), &[&preferred], &TOLERANT), "the only one that is whole");
    assert_eq!(told(&preferred, &[&photo()], &TOLERANT), CHANGED);
    assert_eq!(
        told(&photo(), &[&damaged(), &in_folder(u16::MAX)], &TOLERANT),
        "whole, where another is damaged; as good as any"
    );
    assert_eq!(told(&in_folder(1), &[&in_folder(2), &photo()], &TOLERANT), "in a folder that is preferred to others");
    assert_eq!(told(&photo(), &[&Merits { captured: None, ..photo() }], &TOLERANT), "the date is known");
    assert_eq!(told(&photo(), &[], &TOLERANT), "");
    assert_eq!(why(&[], &TOLERANT), [""; 0]);
}

/// What tells an original from its copies, in words; however good the copy's score is.
#[test]
fn originals() {
    let of = |originality, fineness| Origin { originality, fineness, detail: 3000 };
    let with = |originality| Merits { origin: of(originality, 40), ..photo() };
    let copy = |originality| Merits { origin: of(originality, 40), ..scored([80.0, 50.0, 80.0, 50.0]) };
    for (keep, other, expected) in [
        (15, 1, "has the camera's data"),
        (15, 11, "as the camera wrote it"),
        (1, 0, "not compressed before, as the others were"),
        (13, 12, "not compressed before, as the others were"),
        (14, 13, "more original"),
    ] {
        assert_eq!(told(&with(keep), &[&copy(other)], &TOLERANT), expected, "{keep}, {other}");
        assert_eq!(told(&copy(other), &[&with(keep)], &TOLERANT), CHANGED, "{keep}, {other}");
        // In a star the image in its centre is kept, by its score.
        assert_eq!(told(&with(keep), &[&copy(other)], &STAR), CHANGED);
    }
    let enlarged = || Merits { origin: of(1, 15), pixels: Some(80_000_000), ..scored([50.0, 100.0, 80.0, 50.0]) };
    assert_eq!(told(&with(15), &[&enlarged()], &TOLERANT), "not enlarged, as another is");
    assert_eq!(told(&with(15), &[&enlarged(), &enlarged()], &TOLERANT), "not enlarged, as others are");
}

/// Others are struck out one by one: each by its own reason.
#[test]
fn several_reasons_in_their_order() {
    let younger = Merits { place: in_folder(0).place, captured: Some(2_000), ..photo() };
    assert_eq!(told(&in_folder(0), &[&photo(), &younger], &TOLERANT), "in a preferred folder; older");
    let smaller = Merits { pixels: Some(1_000_000), ..scored([50.0, 20.0, 50.0, 50.0]) };
    let fewer_bytes = Merits { size: 4_999_999, ..photo() };
    assert_eq!(
        told(&photo(), &[&smaller, &fewer_bytes], &TOLERANT),
        "more pixels (score 50 against 39.5); larger file"
    );
}

#[test]
fn the_one_that_was_chosen_may_be_gone() {
    let next = Choice { is_first: false, ..TOLERANT };
    assert_eq!(told(&scored([60.0; 4]), &[&photo()], &next), NEXT);
    assert_eq!(told(&photo(), &[&scored([60.0; 4])], &next), NEXT);
    // The only image of its group that is left: its files are what there is to say of.
    assert_eq!(told(&photo(), &[], &next), "");
}

/// An image that was trimmed a little is kept for what it tells, with a lower score.
#[test]
fn a_lower_score_is_not_called_better() {
    let trimmed = Merits { pixels: Some(19_500_000), size: 4_600_000, ..scored([50.0, 48.0, 49.0, 55.0]) };
    let larger = photo();
    assert!(trimmed.score < larger.score);
    let expected = "says more of how it was taken (score 49.65 against 50, where small differences count as none)";
    assert_eq!(told(&trimmed, &[&larger], &TOLERANT), expected);
    // Scores that decide as they are.
    assert_eq!(told(&trimmed, &[&larger], &STAR), CHANGED);
    assert_eq!(told(&larger, &[&trimmed], &STAR), "more pixels, larger file (score 50, better than 49.65)");
    // As good, and older.
    let older = Merits { captured: Some(1), ..trimmed.clone() };
    let like = Merits { points: [50.0, 50.0, 50.0, 55.0], score: 5_050, ..photo() };
    assert_eq!(told(&older, &[&like], &TOLERANT), "older");
}

#[test]
fn the_composite_score() {
    let weights = ScoreWeights::from_eight(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    let choice = Choice { weights, ..TOLERANT };
    let photo = Merits { points: [25.0, 20.0, 5.0, 5.0], score: 5_500, ..photo() };
    for (points, expected) in [
        ([30.0, 20.0, 5.0, 5.0], "saved in better quality (score 60, better than 55)"),
        ([25.0, 20.0, 6.0, 5.0], "more bytes a megapixel (score 56, better than 55)"),
        ([25.0, 20.0, 5.0, 6.0], "sharper (score 56, better than 55)"),
    ] {
        // Twice the size, so that the difference in it counts.
        let score = (points.iter().sum::<f32>() * 100.0) as i32;
        let keep = Merits { points, score, size: 10_000_000, ..photo.clone() };
        assert_eq!(told(&keep, &[&photo], &choice), expected);
    }
}

#[test]
fn files() {
    let file = |folder, is_protected, import, number| FileMerits { folder, is_protected, import, number };
    let none = Place::NO_FOLDER;
    for (files, expected) in [
        (vec![file(none, false, 3, 0)], ""),
        (vec![file(none, false, 3, 0), file(none, false, 4, 0)], "imported first"),
        (vec![file(none, false, 3, 0), file(none, false, 3, 0)], "first by its path"),
        (vec![file(none, false, 0, 8), file(none, false, 3, 0)], "added first"),
        (vec![file(none, false, 0, 8), file(none, false, 0, 9), file(none, false, 1, 0)], "added first"),
        (vec![file(none, true, 9, 0), file(none, false, 1, 0)], "in a protected source"),
        (vec![file(0, false, 9, 0), file(none, true, 1, 0)], "in a preferred folder"),
        (vec![file(0, false, 9, 0), file(1, true, 1, 0)], "in a folder that is preferred to others"),
        (
            vec![file(0, true, 2, 0), file(0, false, 1, 0), file(0, true, 3, 0), file(0, true, 2, 0)],
            "in a protected source; imported first; first by its path",
        ),
        (vec![file(none, false, 4, 0), file(none, false, 3, 0)], CHANGED),
    ] {
        assert_eq!(why_file(&files).join("; "), expected, "{files:?}");
    }
}

/// Images that differ in few things, and in most of them by little.
fn merits() -> impl Strategy<Value = Merits> {
    let format = prop::sample::select(vec!["jpeg", "png"]);
    let place = (prop::sample::select(vec![0, 1, Place::NO_FOLDER]), prop::bool::weighted(0.2));
    let sizes = (prop::sample::select(vec![0u64, 94, 96, 100]), prop::sample::select(vec![89u64, 91, 99, 100]));
    let rest = (prop::sample::select(vec![50.0f32, 50.0, 60.0]), prop::option::of(0i64..3), 0u64..3);
    let origin = (prop::sample::select(vec![1u8, 1, 1, 9, 13]), prop::sample::select(vec![15u8, 22, 40]))
        .prop_map(|(originality, fineness)| Origin { originality, fineness, detail: 3000 });
    let all = (place, prop::bool::weighted(0.2), format, sizes, rest, origin);
    all.prop_map(|(place, damaged, format, sizes, rest, origin)| {
        let (pixels, size) = sizes;
        let points = [if format == "png" { 85.0 } else { 70.0 }, pixels as f32, size as f32, rest.0];
        Merits {
            place: Place { folder: place.0, is_protected: place.1 },
            damaged,
            format: format.into(),
            pixels: (pixels > 0).then_some(pixels * 100_000),
            size: size * 50_000,
            captured: rest.1,
            checksum: rest.2,
            origin,
            ..scored(points)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn of_what_preference_has_chosen(images in prop::collection::vec(merits(), 2..6), has_tolerances: bool) {
        let choice = Choice { has_tolerances, ..TOLERANT };
        // The total order, by which ties are decided, or all.
        let mut images = images;
        images.sort_by_key(|m| {
            let captured = m.captured.unwrap_or(UNKNOWN_TIME);
            let class = Class::new(m.place, m.damaged);
            (class, Reverse(m.score), captured, Reverse(m.size), m.checksum)
        });
        let chosen = if has_tolerances {
            let all = entries(&images, &choice);
            let ranked = all.iter().enumerate();
            best_of(ranked.map(|(at, entry)| Candidate { rank: at as u32, ..entry.candidate })).unwrap() as usize
        } else {
            0
        };
        let mut all = entries(&images, &choice);
        count(&mut all, &choice);
        let key = |at: usize| {
            let Entry { merits, candidate, score, .. } = &all[at];
            let of_origin = (all[at].is_enlarged, all[at].originality);
            (candidate.class, of_origin, *score, candidate.captured, merits.size, merits.score, merits.checksum)
        };
        for keep in 0..images.len() {
            let mut order = images.clone();
            order[..=keep].rotate_right(1);
            let reasons = why(&order, &choice);
            let is_chosen = key(keep) == key(chosen);
            prop_assert_eq!(reasons == [CHANGED], !is_chosen, "{:?}", reasons);
            let is_highest = order[1..].iter().all(|other| order[0].score > other.score);
            prop_assert!(is_highest || !reasons.iter().any(|reason| reason.contains("better than")), "{:?}", reasons);
        }
    }
}
