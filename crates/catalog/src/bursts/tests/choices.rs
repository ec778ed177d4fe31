//! Best frames that somebody has chosen, over a new detection.

use super::super::BurstChoice;
use super::{DEFAULT, Photo, detect, series};
use lumina_search::SearchContext;

/// The chosen positions after a detection in these photographs.
fn kept(photos: &[Photo], choices: &[(i64, &[i64])]) -> Vec<Option<u32>> {
    let choice = |&(image, frames): &(i64, &[i64])| BurstChoice { image, frames: frames.to_vec() };
    let choices: Vec<BurstChoice> = choices.iter().map(choice).collect();
    let mut bursts = detect(photos, &DEFAULT);
    let context = SearchContext::new(1 << 20);
    let count = bursts.keep_choices(&choices, &context).unwrap();
    assert_eq!(context.used(), 0);
    let chosen: Vec<Option<u32>> = (0..bursts.len()).map(|number| bursts.burst(number).chosen).collect();
    assert_eq!(chosen.iter().flatten().count(), count);
    assert_eq!(bursts.keep_choices(&[], &context).unwrap(), 0);
    assert!((0..bursts.len()).all(|number| bursts.burst(number).chosen.is_none()));
    chosen
}

#[test]
fn a_choice_is_kept_while_its_burst_is() {
    let photos = series(&[0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0]);
    assert_eq!(kept(&photos, &[]), [None, None]);
    assert_eq!(kept(&photos, &[(2, &[0, 1, 2, 3])]), [Some(2), None]);
    // Half of the frames; less than half.
    assert_eq!(kept(&photos, &[(2, &[2, 3, 100, 101])]), [Some(2), None]);
    assert_eq!(kept(&photos, &[(2, &[2, 3, 100, 101, 102])]), [None, None]);
    // The frames are there, the image is not; another burst has it.
    assert_eq!(kept(&photos, &[(100, &[0, 1, 2, 100])]), [None, None]);
    assert_eq!(kept(&photos, &[(5, &[0, 1, 2, 5])]), [None, None]);
    // A burst that was split: the part with the image, if that is half of it.
    assert_eq!(kept(&photos, &[(5, &[0, 1, 2, 3, 4, 5, 6])]), [None, None]);
    assert_eq!(kept(&photos, &[(1, &[0, 1, 2, 3, 4, 5, 6])]), [Some(1), None]);
    // Two bursts that are one now: the larger one, then the smaller id.
    assert_eq!(kept(&photos, &[(0, &[0]), (2, &[1, 2, 3])]), [Some(2), None]);
    assert_eq!(kept(&photos, &[(3, &[2, 3]), (1, &[0, 1])]), [Some(1), None]);
    assert_eq!(kept(&photos, &[(6, &[4, 5, 6]), (3, &[0, 1, 2, 3])]), [Some(3), Some(2)]);
}
