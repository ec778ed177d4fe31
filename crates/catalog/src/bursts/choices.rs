//! Choices of somebody: the best frames of bursts of an earlier detection, carried over to the new bursts. Called by
//! the job in its last transaction.

use super::Bursts;
use lumina_search::{SearchContext, SearchError};
use std::cmp::Reverse;

/// The best frame that somebody has chosen of a burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurstChoice {
    /// The image.
    pub image: i64,
    /// All images of that burst, as far as they are still there.
    pub frames: Vec<i64>,
}

/// What a new burst has of the burst of a choice.
struct ChoiceShare {
    choice: u32,
    frames: usize,
    /// The position of the chosen image.
    best: Option<u32>,
}

impl Bursts {
    /// Makes each chosen image the best one of the burst that continues that of the choice: which has the image, and at
    /// least half of the frames. Where a burst continues several, the choice of the largest counts, then that of the
    /// smaller id. Returns how many bursts have a chosen image. Called again, it forgets the choices before.
    pub fn keep_choices(&mut self, choices: &[BurstChoice], context: &SearchContext) -> Result<usize, SearchError> {
        let mut choice_of = context.vec(choices.iter().map(|choice| choice.frames.len()).sum())?;
        for (number, choice) in choices.iter().enumerate() {
            choice_of.extend(choice.frames.iter().map(|&image| (image, number as u32)));
        }
        choice_of.sort_unstable();
        let mut kept = 0;
        let mut shares: Vec<ChoiceShare> = Vec::new();
        // Of each choice the burst that was last found to have a share of it, and where that is among its shares.
        let mut last = context.filled(choices.len(), (usize::MAX, 0))?;
        for at in 0..self.bursts.len() {
            shares.clear();
            for (position, frame) in self.frames(&self.bursts[at]).iter().enumerate() {
                let Ok(found) = choice_of.binary_search_by_key(&frame.image, |(image, _)| *image) else { continue };
                let choice = choice_of[found].1;
                let place = &mut last[choice as usize];
                if place.0 != at {
                    *place = (at, shares.len());
                    shares.push(ChoiceShare { choice, frames: 0, best: None });
                }
                let share = &mut shares[place.1];
                share.frames += 1;
                if choices[choice as usize].image == frame.image {
                    share.best = Some(position as u32);
                }
            }
            let is_continued = |share: &&ChoiceShare| {
                share.best.is_some() && 2 * share.frames >= choices[share.choice as usize].frames.len()
            };
            let key = |share: &&ChoiceShare| {
                let choice = &choices[share.choice as usize];
                (choice.frames.len(), Reverse(choice.image))
            };
            let chosen = shares.iter().filter(is_continued).max_by_key(key).and_then(|share| share.best);
            self.bursts[at].chosen = chosen;
            kept += usize::from(chosen.is_some());
        }
        context.free(choice_of);
        context.free(last);
        Ok(kept)
    }
}
