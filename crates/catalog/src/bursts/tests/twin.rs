//! The naive twin: every definition as it is written, every pair looked at.

use super::super::names;
use super::{BestFrame, BurstRule, Photo, detect, photo, seconds, shown};
use proptest::prelude::*;

/// The name of a photograph, with its number, if it has one.
fn name(photo: &Photo) -> (Vec<u8>, Option<(Vec<u8>, u32)>) {
    let parsed = |name: &String| {
        let mut stem = Vec::new();
        names::stem(name.as_bytes(), &mut stem);
        let sequence = names::sequence(&stem).map(|(prefix, number)| (stem[..prefix].to_vec(), number));
        (stem, sequence)
    };
    photo.names.iter().map(parsed).min_by_key(|(stem, sequence)| (sequence.is_none(), stem.clone())).unwrap()
}

fn has_subseconds(photo: &Photo) -> bool {
    photo.time.rem_euclid(1_000_000) != 0
}

fn camera(photo: &Photo) -> (String, String) {
    (photo.camera.0.trim().to_lowercase(), photo.camera.1.trim().to_lowercase())
}

fn is_one_moment(a: &Photo, b: &Photo) -> bool {
    a.time == b.time && has_subseconds(a)
}

/// Metres, by the law of cosines for short distances: another formula than that of the code.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let vector = |(latitude, longitude): (f64, f64)| {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
    };
    let chord: f64 = vector(a).iter().zip(vector(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    2.0 * 6_371_000.0 * (chord / 2.0).asin()
}

fn frame_follows(a: &Photo, b: &Photo) -> bool {
    let names = match (name(a).1, name(b).1) {
        (Some(a), Some(b)) => a.0 == b.0 && a.1.abs_diff(b.1) <= 5,
        _ => true,
    };
    let places = match (a.place, b.place) {
        (Some(a), Some(b)) => distance(a, b) <= 10.0,
        _ => true,
    };
    names && places
}

fn is_one_shot(a: &Photo, b: &Photo) -> bool {
    let ((stem_a, number_a), (stem_b, number_b)) = (name(a), name(b));
    is_one_moment(a, b) || stem_a == stem_b || (number_a.is_some() && number_a == number_b)
}

/// The images of a burst with their shots.
type Shots = Vec<(i64, u32)>;

/// The images of each burst with their shots, the position of the best one, and whether it is a suspect.
fn naive(photos: &[Photo], rule: &BurstRule) -> Vec<(Shots, u32, bool)> {
    let is_frame = |photo: &&Photo| photo.has_time && photo.confidence >= 70 && !photo.names.is_empty();
    let mut frames: Vec<&Photo> = photos.iter().filter(is_frame).collect();
    let order = |photo: &Photo| {
        let (stem, number) = name(photo);
        let (prefix, number) = number.unwrap_or((Vec::new(), u32::MAX));
        (camera(photo), photo.time, prefix, number, stem, photo.id)
    };
    frames.sort_by_key(|photo| order(photo));
    // Moments, then sequences of moments.
    let mut sequences: Vec<Vec<Vec<&Photo>>> = Vec::new();
    for frame in frames {
        let Some(last) = sequences.last_mut().and_then(|sequence| sequence.last_mut()) else {
            sequences.push(vec![vec![frame]]);
            continue;
        };
        if camera(last[0]) == camera(frame) && is_one_moment(last[0], frame) {
            last.push(frame);
        } else {
            sequences.push(vec![vec![frame]]);
        }
    }
    let mut joined: Vec<Vec<Vec<&Photo>>> = Vec::new();
    for moment in sequences.into_iter().flatten() {
        let before = joined.last().and_then(|sequence| sequence.last());
        let follows = before.is_some_and(|before| {
            camera(before[0]) == camera(moment[0])
                && moment[0].time - before[0].time <= rule.max_gap
                && (before.iter().any(|frame| frame_follows(frame, moment[0]))
                    || moment.iter().any(|frame| frame_follows(before[before.len() - 1], frame)))
        });
        match joined.last_mut().filter(|_| follows) {
            Some(sequence) => sequence.push(moment),
            None => joined.push(vec![moment]),
        }
    }
    let mut bursts: Vec<(i64, Shots, u32, bool)> = Vec::new();
    for frames in joined.into_iter().map(|sequence| sequence.concat()) {
        // Shots: the least fixed point.
        let mut shots: Vec<usize> = (0..frames.len()).collect();
        let mut changes = true;
        while std::mem::take(&mut changes) {
            for a in 0..frames.len() {
                for b in 0..frames.len() {
                    if shots[b] > shots[a] && is_one_shot(frames[a], frames[b]) {
                        (shots[b], changes) = (shots[a], true);
                    }
                }
            }
        }
        let mut firsts = shots.clone();
        firsts.sort_unstable();
        firsts.dedup();
        if firsts.len() < rule.min_shots as usize {
            continue;
        }
        let number = |shot: &usize| firsts.iter().position(|first| first == shot).unwrap() as u32;
        let all = frames.iter().all(|frame| frame.is_rejected);
        let wanted: Vec<usize> = (0..frames.len()).filter(|&at| all || !frames[at].is_rejected).collect();
        let best = match rule.best {
            BestFrame::First => wanted[0],
            BestFrame::Middle => wanted[wanted.len() / 2],
            BestFrame::Quality => {
                let most = wanted.iter().map(|&at| frames[at].quality).max();
                *wanted.iter().find(|&&at| Some(frames[at].quality) == most).unwrap()
            }
        };
        let is_short = frames[frames.len() - 1].time - frames[0].time < 500_000;
        let is_suspect = is_short && !frames.iter().any(|frame| has_subseconds(frame));
        let images = frames.iter().zip(&shots).map(|(frame, shot)| (frame.id, number(shot))).collect();
        bursts.push((frames[0].time, images, best as u32, is_suspect));
    }
    bursts.sort_by_key(|(started, images, ..)| (*started, images[0].0));
    bursts.into_iter().map(|(_, images, best, is_suspect)| (images, best, is_suspect)).collect()
}

/// Photographs in which everything has ties: few times, cameras, places and names.
fn catalogs() -> impl Strategy<Value = Vec<Photo>> {
    let name = prop_oneof![
        4 => (1u32..12, prop::sample::select(vec!["", "-edit", "-2"]))
            .prop_map(|(n, rest)| format!("IMG_{n:04}{rest}.jpg")),
        1 => (1u32..12).prop_map(|n| format!("DSC{n:05}.ARW")),
        1 => prop::sample::select(vec!["beach.jpg", "beach.png", "zoo.jpg"]).prop_map(str::to_owned),
        1 => (0u32..10).prop_map(|second| format!("IMG_20230415_14321{second}.jpg")),
    ];
    let time =
        prop_oneof![(0i64..12).prop_map(|t| t * 1_000_000), (-20i64..120).prop_map(|t| seconds(t as f64 / 10.0))];
    let place = prop::option::weighted(0.3, (0u32..6).prop_map(|step| (47.0 + f64::from(step) * 5e-5, 8.0)));
    let camera = prop::sample::select(vec![("Canon", "R5"), ("canon ", "R5"), ("SONY", "A7"), ("", "")]);
    let facts =
        (4000i32..4003, prop::sample::select(vec![95i64, 95, 70, 50]), prop::bool::weighted(0.9), any::<bool>());
    let photo = (time, place, camera, prop::collection::vec(name, 0..3), facts);
    prop::collection::vec(photo, 0..30).prop_map(|photos| {
        let made = |(at, (time, place, camera, names, facts)): (usize, _)| {
            let (quality, confidence, has_time, is_rejected) = facts;
            let id = at as i64 * 7919 % 1009;
            Photo { time, place, camera, names, quality, confidence, has_time, is_rejected, ..photo_of(id) }
        };
        photos.into_iter().enumerate().map(made).collect()
    })
}

fn photo_of(id: i64) -> Photo {
    photo(id, 0.0, "")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn bursts_are_those_of_the_naive_twin(
        photos in catalogs(),
        max_gap in prop::sample::select(vec![500_000, 1_000_000, 2_000_000]),
        min_shots in 2u32..5,
        best in prop::sample::select(vec![BestFrame::Quality, BestFrame::First, BestFrame::Middle]),
        turn in 0usize..30,
    ) {
        let rule = BurstRule { max_gap, min_shots, best };
        let bursts = detect(&photos, &rule);
        let found: Vec<_> = shown(&bursts).into_iter().enumerate().map(|(number, images)| {
            let burst = bursts.burst(number);
            (images, burst.best, burst.is_suspect)
        }).collect();
        prop_assert_eq!(&found, &naive(&photos, &rule));
        // In any order of rows.
        let mut turned = photos.clone();
        turned.rotate_left(turn.min(photos.len()));
        turned.iter_mut().for_each(|photo| photo.names.reverse());
        prop_assert_eq!(shown(&bursts), shown(&detect(&turned, &rule)));
    }
}

/// A million photographs take well below the two seconds that the job has for them.
#[test]
#[ignore = "a measurement: cargo test --release -p lumina-catalog -- --ignored --nocapture bursts"]
fn a_million() {
    let photos: Vec<Photo> = (0..1_000_000)
        .map(|id| {
            // Bursts of one to eight frames, a minute apart.
            let (burst, frame) = (id / 8, id % 8);
            let time = burst as f64 * 60.0 + if frame < burst % 8 { frame as f64 * 0.15 } else { frame as f64 * 7.0 };
            photo(id * 7919 % 1_000_003, time, &format!("IMG_{:04}.JPG", id % 10_000))
        })
        .collect();
    let context = lumina_search::SearchContext::new(1 << 30);
    let began = std::time::Instant::now();
    let frames = super::read(&photos, &context).unwrap();
    let read = began.elapsed();
    let bursts = frames.detect(&super::DEFAULT, &context).unwrap();
    let (all, peak) = (began.elapsed(), context.peak());
    println!(
        "{} bursts of {} frames in {all:?}, {read:?} of it reading, {peak} bytes",
        bursts.len(),
        bursts.frame_count()
    );
    assert!(bursts.len() > 10_000);
}
