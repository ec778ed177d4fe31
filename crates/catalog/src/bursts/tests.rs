//! Bursts by hand, one example a rule, and against a naive twin that follows the definitions word by word.
#![allow(clippy::unwrap_used)]

mod choices;
mod names;
mod twin;

use super::{BestFrame, BurstFrames, BurstImage, BurstRule, Bursts};
use lumina_search::{SearchContext, SearchError};

/// A photograph with what is read of it.
#[derive(Debug, Clone)]
struct Photo {
    id: i64,
    /// In microseconds.
    time: i64,
    camera: (&'static str, &'static str),
    place: Option<(f64, f64)>,
    names: Vec<String>,
    quality: i32,
    confidence: i64,
    has_time: bool,
    is_rejected: bool,
}

/// Microseconds.
fn seconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// A photograph of one camera, at a time in seconds, of a name.
fn photo(id: i64, time: f64, name: &str) -> Photo {
    Photo {
        id,
        time: seconds(time),
        camera: ("Canon", "EOS R5"),
        place: None,
        names: vec![name.into()],
        quality: 5000,
        confidence: 95,
        has_time: true,
        is_rejected: false,
    }
}

/// Photographs at these times, named by consecutive numbers.
fn series(times: &[f64]) -> Vec<Photo> {
    times.iter().enumerate().map(|(at, &time)| photo(at as i64, time, &format!("IMG_{:04}.JPG", at + 1))).collect()
}

const DEFAULT: BurstRule = BurstRule { max_gap: 2_000_000, min_shots: 3, best: BestFrame::Quality };

fn read(photos: &[Photo], context: &SearchContext) -> Result<BurstFrames, SearchError> {
    let mut frames = BurstFrames::new();
    for photo in photos {
        let image = BurstImage {
            id: photo.id,
            captured: photo.time,
            has_time: photo.has_time,
            confidence: photo.confidence,
            camera: (photo.camera.0.as_bytes(), photo.camera.1.as_bytes()),
            place: photo.place,
            quality: photo.quality,
            is_rejected: photo.is_rejected,
        };
        frames.push_image(&image, context)?;
    }
    for photo in photos {
        for name in &photo.names {
            frames.push_file(photo.id, 0, format!("/photos/{name}").as_bytes(), context)?;
        }
    }
    frames.push_file(i64::MAX, 0, b"/photos/of-an-image-that-was-not-read.jpg", context)?;
    Ok(frames)
}

fn detect(photos: &[Photo], rule: &BurstRule) -> Bursts {
    let context = SearchContext::new(1 << 30);
    read(photos, &context).unwrap().detect(rule, &context).unwrap()
}

/// The images of each burst with the numbers of their shots.
fn shown(bursts: &Bursts) -> Vec<Vec<(i64, u32)>> {
    let frames = |number| bursts.frames(bursts.burst(number)).iter().map(|frame| (frame.image, frame.shot)).collect();
    (0..bursts.len()).map(frames).collect()
}

/// How many frames each burst has.
fn sizes(photos: &[Photo]) -> Vec<u32> {
    let bursts = detect(photos, &DEFAULT);
    (0..bursts.len()).map(|number| bursts.burst(number).frames).collect()
}

/// The shots of each burst.
fn shots(photos: &[Photo]) -> Vec<Vec<u32>> {
    shown(&detect(photos, &DEFAULT)).into_iter().map(|burst| burst.into_iter().map(|frame| frame.1).collect()).collect()
}

#[test]
fn a_day_of_photographs() {
    let photos = series(&[0.0, 0.5, 1.0, 11.0, 12.0, 13.0, 14.0, 60.0]);
    assert_eq!(sizes(&photos), [3, 4]);
    let bursts = detect(&photos, &DEFAULT);
    let first = bursts.burst(0);
    assert_eq!((first.started, first.ended, first.shots, first.is_suspect), (0, 1_000_000, 3, false));
    assert_eq!(shown(&bursts)[0], [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(bursts.frame_count(), 7);
    assert!(detect(&[], &DEFAULT).is_empty());
}

#[test]
fn cameras_are_apart() {
    let mut photos = series(&[0.0, 0.3, 0.6, 0.9, 1.2, 1.5]);
    for photo in photos.iter_mut().filter(|photo| photo.id % 2 == 1) {
        photo.camera = ("SONY", "A7");
    }
    assert_eq!(sizes(&photos), [3, 3]);
    // Case and spaces do not tell cameras apart; no make and model is a camera, too.
    photos.iter_mut().for_each(|photo| photo.camera = ("", ""));
    assert_eq!(sizes(&photos), [6]);
    photos[0].camera = (" sony", "a7 ");
    photos[1].camera = ("SONY", "A7");
    photos[2].camera = ("Sony", "A7");
    assert_eq!(sizes(&photos), [3, 3]);
}

#[test]
fn the_gap() {
    assert_eq!(sizes(&series(&[0.0, 2.0, 4.0])), [3]);
    assert_eq!(sizes(&series(&[0.0, 2.0, 4.000001])), [0; 0]);
    let rule = BurstRule { max_gap: 500_000, min_shots: 2, best: BestFrame::First };
    let bursts = detect(&series(&[0.0, 0.5, 1.000001, 1.5]), &rule);
    assert_eq!(shown(&bursts), [vec![(0, 0), (1, 1)], vec![(2, 0), (3, 1)]]);
}

#[test]
fn two_are_no_burst() {
    assert_eq!(sizes(&series(&[0.0, 1.0])), [0; 0]);
    assert_eq!(sizes(&series(&[0.0, 1.0, 2.0])), [3]);
}

#[test]
fn numbers_of_names() {
    let named = |names: [&str; 3]| {
        let photos: Vec<Photo> =
            names.iter().enumerate().map(|(at, name)| photo(at as i64, at as f64, &format!("{name}.jpg"))).collect();
        sizes(&photos)
    };
    assert_eq!(named(["IMG_0001", "IMG_0006", "IMG_0011"]), [3], "a step of 5");
    assert_eq!(named(["IMG_0001", "IMG_0007", "IMG_0008"]), [0; 0], "a step of 6");
    assert_eq!(named(["IMG_0011", "IMG_0006", "IMG_0001"]), [3], "backwards");
    assert_eq!(named(["IMG_0001", "DSC_0002", "DSC_0003"]), [0; 0], "another prefix");
    assert_eq!(named(["IMG_0001", "img_0002", "Img_0003"]), [3], "case");
    assert_eq!(named(["beach", "IMG_0001", "sunset"]), [3], "names without numbers");
    assert_eq!(named(["20230415_143218", "20230415_143219", "20230415_143220"]), [3], "dates");
    assert_eq!(named(["PXL_20230415_143218123", "PXL_20230415_143219500", "PXL_20230415_143220001"]), [3]);
}

#[test]
fn places() {
    // A metre to the north is 1 / 111,194.93 of a degree.
    let at = |metres: f64| Some((47.0 + metres / 111_194.926_644_558_74, 8.0));
    let placed = |places: [Option<(f64, f64)>; 3]| {
        let mut photos = series(&[0.0, 1.0, 2.0]);
        photos.iter_mut().zip(places).for_each(|(photo, place)| photo.place = place);
        sizes(&photos)
    };
    assert_eq!(placed([at(0.0), at(9.0), at(18.0)]), [3]);
    assert_eq!(placed([at(0.0), at(11.0), at(12.0)]), [0; 0]);
    assert_eq!(placed([at(0.0), None, at(5000.0)]), [3], "each only with the one before");
    assert_eq!(placed([None, None, None]), [3]);
    // To the east a degree is shorter, and -180 is +180.
    assert_eq!(placed([Some((60.0, 179.99995)), Some((60.0, -179.99995)), None]), [3]);
    assert_eq!(placed([Some((0.0, 179.9999)), Some((0.0, -179.9999)), None]), [0; 0]);
    assert_eq!(placed([Some((90.0, 0.0)), Some((90.0, 120.0)), None]), [3], "the pole");
    // Across the border of a cell of a geohash, which is no border here: 0 N.
    assert_eq!(placed([Some((-0.00001, 0.0)), Some((0.00001, 0.0)), None]), [3]);
    assert_eq!(placed([Some((0.0, 0.0)), Some((0.0, 180.0)), None]), [0; 0]);
}

#[test]
fn what_is_no_frame() {
    let count = |change: fn(&mut Photo)| {
        let mut photos = series(&[0.0, 1.0, 2.0]);
        change(&mut photos[1]);
        sizes(&photos).len()
    };
    assert_eq!(count(|_| ()), 1);
    assert_eq!(count(|photo| photo.confidence = 70), 1);
    assert_eq!(count(|photo| photo.confidence = 69), 0);
    assert_eq!(count(|photo| photo.has_time = false), 0);
    assert_eq!(count(|photo| photo.names.clear()), 0);
    assert_eq!(count(|photo| photo.is_rejected = true), 1, "decisions do not change bursts");
}

/// A fast burst has sub-seconds, or is a suspect.
#[test]
fn short_bursts() {
    let bursts = detect(&series(&[5.01, 5.02, 5.03]), &DEFAULT);
    assert!(!bursts.burst(0).is_suspect);
    let bursts = detect(&series(&[5.0, 5.1, 5.2]), &DEFAULT);
    assert!(!bursts.burst(0).is_suspect, "one frame on the whole second");
    let bursts = detect(&series(&[5.0, 5.0, 5.0]), &DEFAULT);
    assert!(bursts.burst(0).is_suspect);
    assert_eq!(shown(&bursts), [[(0, 0), (1, 1), (2, 2)]], "frames of one second are different shots");
    assert!(!detect(&series(&[5.0, 5.0, 6.0]), &DEFAULT).burst(0).is_suspect);
    // Before 1970.
    assert!(!detect(&series(&[-5.5, -5.4, -5.3]), &DEFAULT).burst(0).is_suspect);
    assert!(detect(&series(&[-5.0, -5.0, -5.0]), &DEFAULT).burst(0).is_suspect);
}

/// Raw files with their JPEGs: three shots are a burst of six frames, two are none.
#[test]
fn siblings_count_once() {
    let siblings = |shots: usize| -> Vec<Photo> {
        let frames = (0..shots).flat_map(|at| [(at, "CR2"), (at, "JPG")]);
        let photos = frames.enumerate();
        photos.map(|(id, (at, format))| photo(id as i64, at as f64, &format!("IMG_{at:04}.{format}"))).collect()
    };
    assert_eq!(shots(&siblings(3)), [[0, 0, 1, 1, 2, 2]]);
    assert_eq!(sizes(&siblings(2)), [0; 0]);
    let mut dated = siblings(3);
    for (at, photo) in dated.iter_mut().enumerate() {
        let format = ["DNG", "jpg"][at % 2];
        photo.names = vec![format!("PXL_20230415_14321{}123.{format}", at / 2)];
    }
    assert_eq!(shots(&dated), [[0, 0, 1, 1, 2, 2]], "by the whole name");
}

/// An export of a frame of a burst is a copy of that shot, and different from the others.
#[test]
fn exports() {
    let mut photos = series(&[0.11, 0.22, 0.33]);
    photos.push(photo(10, 0.22, "IMG_0002-edit.jpg"));
    assert_eq!(shown(&detect(&photos, &DEFAULT)), [[(0, 0), (1, 1), (10, 1), (2, 2)]], "by the number");
    photos[3].names = vec!["beach.jpg".into()];
    assert_eq!(shots(&photos), [[0, 1, 1, 2]], "by the instant");
    // An export that has lost its sub-seconds: by the number.
    photos[3] = photo(10, 0.0, "IMG_0002.tif");
    assert_eq!(shown(&detect(&photos, &DEFAULT)), [[(10, 0), (0, 1), (1, 0), (2, 2)]]);
    // All of them, by a counter of the program.
    let mut photos = series(&[0.11, 0.22, 0.33]);
    photos
        .extend((0..3).map(|at| photo(10 + at, [0.11, 0.22, 0.33][at as usize], &format!("Beach_{:03}.jpg", at + 7))));
    assert_eq!(shots(&photos), [[0, 0, 1, 1, 2, 2]]);
    // What is edited on a telephone.
    let mut photos = series(&[0.0, 1.0, 2.0]);
    photos.push(photo(10, 1.0, "IMG_E0002.JPG"));
    assert_eq!(shots(&photos), [[0, 1, 1, 2]]);
}

/// Relations join: by the instant and by the name, through one that has both.
#[test]
fn relations_of_copies_are_transitive() {
    let photos = [
        photo(1, 0.11, "IMG_0001.JPG"),
        photo(2, 0.22, "IMG_0002.JPG"),
        photo(3, 0.22, "beach.jpg"),
        photo(4, 0.9, "beach.png"),
        photo(5, 0.9, "IMG_0002-2.jpg"),
        photo(6, 0.33, "IMG_0003.JPG"),
    ];
    assert_eq!(shown(&detect(&photos, &DEFAULT)), [[(1, 0), (3, 1), (2, 1), (6, 2), (4, 1), (5, 1)]]);
    // Of whole seconds the instant tells nothing.
    let whole: Vec<Photo> = photos.iter().map(|photo| Photo { time: 0, ..photo.clone() }).collect();
    assert_eq!(shown(&detect(&whole, &DEFAULT)), [[(3, 0), (4, 0), (1, 1), (2, 2), (5, 2), (6, 3)]]);
}

/// A series of exposures is a burst, whose frames are different shots.
#[test]
fn brackets() {
    assert_eq!(shots(&series(&[10.0, 10.0, 11.0])), [[0, 1, 2]]);
    assert_eq!(shots(&series(&[10.0, 10.0, 11.0, 14.0, 14.0, 15.0])), [[0, 1, 2], [0, 1, 2]]);
}

#[test]
fn the_best_frame() {
    let best = |photos: &[Photo], best| {
        let bursts = detect(photos, &BurstRule { best, ..DEFAULT });
        bursts.burst(0).best
    };
    let mut photos = series(&[0.0, 1.0, 2.0, 3.0]);
    photos.iter_mut().zip([7000, 9500, 8000, 9500]).for_each(|(photo, quality)| photo.quality = quality);
    assert_eq!(best(&photos, BestFrame::Quality), 1, "the first of equal ones");
    assert_eq!(best(&photos, BestFrame::First), 0);
    assert_eq!(best(&photos, BestFrame::Middle), 2);
    assert_eq!(best(&photos[..3], BestFrame::Middle), 1);
    photos[1].is_rejected = true;
    assert_eq!(best(&photos, BestFrame::Quality), 3);
    photos.iter_mut().for_each(|photo| photo.is_rejected = true);
    assert_eq!(best(&photos, BestFrame::Quality), 1, "all are rejected");
    assert_eq!(
        [BestFrame::Quality, BestFrame::First, BestFrame::Middle].map(Some),
        ["quality", "first", "middle"].map(BestFrame::named)
    );
    assert_eq!(BestFrame::named("manual"), None);
}

/// An image with several files has the name with a number, whichever file comes first.
#[test]
fn several_files() {
    for turn in 0..3 {
        let mut photos = series(&[0.0, 1.0, 2.0]);
        photos[1].names = vec!["beach.jpg".into(), "IMG_0002.JPG".into(), "zoo.jpg".into()];
        photos[1].names.rotate_left(turn);
        photos.push(photo(10, 1.0, "IMG_0002-edit.jpg"));
        assert_eq!(shots(&photos), [[0, 1, 1, 2]], "{turn}");
    }
    let context = SearchContext::new(1 << 20);
    let mut frames = read(&series(&[0.0, 1.0, 2.0]), &context).unwrap();
    // Known by the earliest import.
    frames.push_file(1, -1, b"/DSC_0002.JPG", &context).unwrap();
    assert!(frames.detect(&DEFAULT, &context).unwrap().is_empty());
}

#[test]
fn memory_is_bounded_and_counted() {
    let photos = series(&(0..5000).map(f64::from).collect::<Vec<_>>());
    let run = |limit| {
        let context = SearchContext::new(limit);
        let bursts = read(&photos, &context).and_then(|frames| frames.detect(&DEFAULT, &context));
        bursts.map(|bursts| (bursts.frame_count(), context.used()))
    };
    let (frames, used) = run(1 << 30).unwrap();
    assert_eq!(frames, 5000);
    assert!(used < 5000 * 32, "{used} bytes are kept of {frames} frames");
    assert!(matches!(run(100_000), Err(SearchError::OverBudget { .. })));
    let context = SearchContext::new(1 << 30);
    let frames = read(&photos, &context).unwrap();
    context.cancel();
    assert!(matches!(frames.detect(&DEFAULT, &context), Err(SearchError::Cancelled)));
}
