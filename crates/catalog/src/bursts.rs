//! Bursts: photographs that a camera took one after the other, with a finger on the shutter.
//!
//! The job `detect_bursts` pushes images, then their files, and calls [`BurstFrames::detect`]. The frames of a camera
//! are ordered by time, and one pass over them cuts where a frame does not follow the one before: there are no batches.
//!
//! - *Frame*: an image with a date that is sure enough, a time of day, and a file.
//! - *Moment*: frames of one camera and one instant, known to fractions of a second; copies, whatever their names.
//! - *Shot*: frames of a burst that are copies of one another: of one moment, or of one number or name (an export, a
//!   raw file with its JPEG), and what these relations join. Frames of one whole second are different shots.
//!
//! Invariants: the result does not depend on the order in which images and files were pushed, nor on threads; an image
//! is in at most one burst; a burst has at least as many shots as asked for. What grows with the catalog is allocated
//! through a [`SearchContext`].

mod cameras;
mod choices;
mod names;
#[cfg(test)]
mod tests;

use cameras::Cameras;
use lumina_search::{SearchContext, SearchError};
use std::cmp::Ordering;
use std::ops::Range;

pub use choices::BurstChoice;

/// The least confidence of a date: below it are dates of directories and of files.
const MIN_CONFIDENCE: i64 = 70;
/// The shortest burst whose frames have whole seconds, in microseconds.
const MIN_DURATION: i64 = 500_000;
/// The farthest places of two frames that follow one another, in metres.
const MAX_DISTANCE: f64 = 10.0;
/// The farthest numbers in the names of two frames that follow one another.
const MAX_STEP: u32 = 5;
/// The radius of the Earth, in metres.
const EARTH: f64 = 6_371_000.0;
/// The number of a name that has none.
const NO_NUMBER: u32 = u32::MAX;
const SECOND: i64 = 1_000_000;

/// What makes frames a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstRule {
    /// The longest time from a frame to the next one, in microseconds.
    pub max_gap: i64,
    /// The fewest shots.
    pub min_shots: u32,
    /// Which frame is the best one.
    pub best: BestFrame,
}

/// Which frame of a burst is the best one: of those that are not rejected, where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BestFrame {
    /// That of the best quality, and of these the first.
    Quality,
    /// The first.
    First,
    /// The one in the middle; of an even number the second of the two.
    Middle,
}

impl BestFrame {
    /// The one of that name in SQL.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "quality" => Some(Self::Quality),
            "first" => Some(Self::First),
            "middle" => Some(Self::Middle),
            _ => None,
        }
    }
}

/// An image as its row describes it.
#[derive(Debug, Clone, Copy)]
pub struct BurstImage<'a> {
    /// Its id.
    pub id: i64,
    /// When it was taken, in microseconds.
    pub captured: i64,
    /// Whether the time of day is known.
    pub has_time: bool,
    /// How sure the date is, 0 to 100.
    pub confidence: i64,
    /// The camera's make and model; empty where not known.
    pub camera: (&'a [u8], &'a [u8]),
    /// Latitude and longitude, in degrees.
    pub place: Option<(f64, f64)>,
    /// The quality score, in hundredths.
    pub quality: i32,
    /// Whether it was decided against.
    pub is_rejected: bool,
}

/// A photograph that may be in a burst.
#[derive(Debug, Clone, Copy)]
struct Frame {
    image: i64,
    time: i64,
    /// NaN where not known.
    latitude: f64,
    longitude: f64,
    /// The import that has found the file whose name this is.
    import: i64,
    name: Name,
    camera: u32,
    quality: i32,
    has_file: bool,
    is_rejected: bool,
}

/// The name of a file: a stem in the list of all, with the number in it.
#[derive(Debug, Clone, Copy)]
struct Name {
    start: usize,
    length: u16,
    /// How much of it is before the number.
    prefix: u16,
    number: u32,
}

/// The frames of a catalog as they are read. All images come first, then the files of all.
#[derive(Debug, Default)]
pub struct BurstFrames {
    frames: Vec<Frame>,
    /// The stems of the names, one after the other.
    stems: Vec<u8>,
    cameras: Cameras,
    /// Whether frames are sorted by image.
    is_sorted: bool,
    /// The frame of the last file.
    last: usize,
    stem: Vec<u8>,
}

impl BurstFrames {
    /// No frames yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many images can be in a burst.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds an image, if it can be in a burst.
    pub fn push_image(&mut self, image: &BurstImage<'_>, context: &SearchContext) -> Result<(), SearchError> {
        if !image.has_time || image.confidence < MIN_CONFIDENCE {
            return Ok(());
        }
        let (latitude, longitude) = image.place.unwrap_or((f64::NAN, f64::NAN));
        let frame = Frame {
            image: image.id,
            time: image.captured,
            latitude,
            longitude,
            import: 0,
            name: Name { start: 0, length: 0, prefix: 0, number: NO_NUMBER },
            camera: self.cameras.number(image.camera.0, image.camera.1, context)?,
            quality: image.quality,
            has_file: false,
            is_rejected: image.is_rejected,
        };
        self.is_sorted = false;
        context.push(&mut self.frames, frame)
    }

    /// Adds a file of an image, after all images, with the number of the import that has found it. Of several files one
    /// with a number in its name names the image, then that of the earliest import, then that of the least name.
    pub fn push_file(
        &mut self,
        image: i64,
        import: i64,
        path: &[u8],
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        if !self.is_sorted {
            self.frames.sort_unstable_by_key(|frame| frame.image);
            (self.is_sorted, self.last) = (true, 0);
        }
        // Files mostly come in the order of images.
        let is_next = self.frames.get(self.last + 1).is_some_and(|frame| frame.image == image);
        let found = match is_next {
            true => Ok(self.last + 1),
            false => self.frames.binary_search_by_key(&image, |frame| frame.image),
        };
        let Ok(at) = found else { return Ok(()) };
        self.last = at;
        names::stem(path, &mut self.stem);
        let sequence = names::sequence(&self.stem);
        let frame = self.frames[at];
        if frame.has_file {
            let new = (sequence.is_none(), import, &self.stem[..]);
            let old = (frame.name.number == NO_NUMBER, frame.import, stem(&self.stems, &frame));
            if new >= old {
                return Ok(());
            }
        }
        let (prefix, number) = sequence.unwrap_or((0, NO_NUMBER));
        let (start, length) = (self.stems.len(), self.stem.len());
        if self.stems.capacity() < start + length {
            context.grow(&mut self.stems, length + (start / 2).max(4096))?;
        }
        self.stems.extend_from_slice(&self.stem);
        let name = Name { start, length: length as u16, prefix: prefix as u16, number };
        self.frames[at] = Frame { name, import, has_file: true, ..frame };
        Ok(())
    }

    /// The bursts of the frames, oldest first. Runs on the current thread pool.
    pub fn detect(self, rule: &BurstRule, context: &SearchContext) -> Result<Bursts, SearchError> {
        let BurstFrames { mut frames, stems, cameras, .. } = self;
        cameras.free(context);
        frames.retain(|frame| frame.has_file);
        context.sort(&mut frames, |a: &Frame, b| order(&stems, a, b))?;
        let sequences = Sequences { frames: &frames, stems: &stems, rule };
        let mut found = Bursts { bursts: Vec::new(), frames: Vec::new() };
        let mut start = 0;
        while start < frames.len() {
            context.check()?;
            let end = sequences.end(start);
            sequences.take(start..end, &mut found, context)?;
            start = end;
        }
        context.free(frames);
        context.free(stems);
        // Cameras are in the order in which they were read.
        let key = |burst: &Burst, frames: &[BurstFrame]| (burst.started, frames[burst.first].image);
        let frames = &found.frames;
        context.sort(&mut found.bursts, |a: &Burst, b| key(a, frames).cmp(&key(b, frames)))?;
        Ok(found)
    }
}

/// The stem of the name of a frame.
fn stem<'a>(stems: &'a [u8], frame: &Frame) -> &'a [u8] {
    &stems[frame.name.start..][..usize::from(frame.name.length)]
}

/// What is before the number in the name of a frame.
fn prefix<'a>(stems: &'a [u8], frame: &Frame) -> &'a [u8] {
    &stem(stems, frame)[..usize::from(frame.name.prefix)]
}

/// The order of frames: camera, time, name, id.
fn order(stems: &[u8], a: &Frame, b: &Frame) -> Ordering {
    (a.camera, a.time)
        .cmp(&(b.camera, b.time))
        .then_with(|| shot_order(stems, a, b))
        .then_with(|| stem(stems, a).cmp(stem(stems, b)))
        .then(a.image.cmp(&b.image))
}

/// The order of names, equal where they are of one shot: by number, or where there is none by the whole name.
fn shot_order(stems: &[u8], a: &Frame, b: &Frame) -> Ordering {
    prefix(stems, a).cmp(prefix(stems, b)).then(a.name.number.cmp(&b.name.number)).then_with(|| match a.name.number {
        NO_NUMBER => stem(stems, a).cmp(stem(stems, b)),
        _ => Ordering::Equal,
    })
}

/// The distance of two places in metres, by haversine; NaN where one is not known.
fn distance(a: &Frame, b: &Frame) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let across = a.latitude.to_radians().cos() * b.latitude.to_radians().cos() * half(a.longitude, b.longitude);
    2.0 * EARTH * (half(a.latitude, b.latitude) + across).sqrt().clamp(0.0, 1.0).asin()
}

/// Whether a frame has a fraction of a second. One that falls on a whole second is taken for one without.
fn has_subseconds(frame: &Frame) -> bool {
    frame.time.rem_euclid(SECOND) != 0
}

/// The frames of all cameras in their order, as they are cut into sequences.
struct Sequences<'a> {
    frames: &'a [Frame],
    stems: &'a [u8],
    rule: &'a BurstRule,
}

impl Sequences<'_> {
    /// Where the sequence ends that starts with a frame.
    fn end(&self, start: usize) -> usize {
        let mut moment = self.moment(start);
        while moment.end < self.frames.len() {
            let next = self.moment(moment.end);
            if !self.follows(moment.clone(), next.clone()) {
                break;
            }
            moment = next;
        }
        moment.end
    }

    /// The frames of the moment that starts with a frame.
    fn moment(&self, start: usize) -> Range<usize> {
        let first = &self.frames[start];
        let is_same = |frame: &&Frame| has_subseconds(first) && self.is_same_instant(first, frame);
        let others = self.frames[start + 1..].iter().take_while(is_same).count();
        start..start + 1 + others
    }

    fn is_same_instant(&self, a: &Frame, b: &Frame) -> bool {
        (a.camera, a.time) == (b.camera, b.time)
    }

    /// Whether a moment follows another: one of its frames follows the other's last one, or its first one any of the
    /// other's. So an export of another name does not cut a sequence of several moments with such exports.
    fn follows(&self, before: Range<usize>, after: Range<usize>) -> bool {
        let (last, first) = (&self.frames[before.end - 1], &self.frames[after.start]);
        last.camera == first.camera
            && first.time.saturating_sub(last.time) <= self.rule.max_gap
            && (self.frames[after].iter().any(|frame| self.frame_follows(last, frame))
                || self.frames[before].iter().any(|frame| self.frame_follows(frame, first)))
    }

    /// Whether two frames are of one place and of near numbers, as far as that is known.
    fn frame_follows(&self, before: &Frame, after: &Frame) -> bool {
        let is_counted = before.name.number == NO_NUMBER
            || after.name.number == NO_NUMBER
            || (before.name.number.abs_diff(after.name.number) <= MAX_STEP
                && prefix(self.stems, before) == prefix(self.stems, after));
        let distance = distance(before, after);
        is_counted && (distance.is_nan() || distance <= MAX_DISTANCE)
    }

    /// Adds a sequence to the bursts, if it is one.
    fn take(&self, range: Range<usize>, found: &mut Bursts, context: &SearchContext) -> Result<(), SearchError> {
        let frames = &self.frames[range];
        if frames.len() < self.rule.min_shots as usize {
            return Ok(());
        }
        let (numbers, shots) = self.number_shots(frames, context)?;
        if shots >= self.rule.min_shots {
            let (started, ended) = (frames[0].time, frames[frames.len() - 1].time);
            let is_suspect = ended - started < MIN_DURATION && !frames.iter().any(has_subseconds);
            let burst = Burst {
                started,
                ended,
                first: found.frames.len(),
                frames: frames.len() as u32,
                shots,
                best: self.best(frames),
                chosen: None,
                is_suspect,
            };
            context.push(&mut found.bursts, burst)?;
            for (frame, &shot) in frames.iter().zip(&numbers) {
                context.push(&mut found.frames, BurstFrame { image: frame.image, shot })?;
            }
        }
        context.free(numbers);
        Ok(())
    }

    /// The number of the shot of each frame, in the order of their first frames, and how many there are.
    fn number_shots(&self, frames: &[Frame], context: &SearchContext) -> Result<(Vec<u32>, u32), SearchError> {
        let mut shots = context.vec(frames.len())?;
        shots.extend(0..frames.len() as u32);
        for at in 1..frames.len() {
            if has_subseconds(&frames[at]) && self.is_same_instant(&frames[at - 1], &frames[at]) {
                join(&mut shots, at - 1, at);
            }
        }
        let mut by_name = context.vec(frames.len())?;
        by_name.extend(0..frames.len() as u32);
        let compare = |a: &u32, b: &u32| shot_order(self.stems, &frames[*a as usize], &frames[*b as usize]);
        by_name.sort_unstable_by(compare);
        for pair in by_name.windows(2) {
            if compare(&pair[0], &pair[1]) == Ordering::Equal {
                join(&mut shots, pair[0] as usize, pair[1] as usize);
            }
        }
        context.free(by_name);
        // The root of a shot is its first frame, which has its number by the time that the others ask for it.
        let mut count = 0;
        for at in 0..frames.len() {
            shots[at] = match shots[at] as usize {
                before if before < at => shots[before],
                _ => {
                    count += 1;
                    count - 1
                }
            };
        }
        Ok((shots, count))
    }

    /// The position of the best frame.
    fn best(&self, frames: &[Frame]) -> u32 {
        let all_rejected = frames.iter().all(|frame| frame.is_rejected);
        let mut wanted = (0..frames.len()).filter(|&at| all_rejected || !frames[at].is_rejected);
        let best = match self.rule.best {
            BestFrame::First => wanted.next(),
            BestFrame::Middle => wanted.nth(wanted.clone().count() / 2),
            // Of equal ones max_by_key returns the last.
            BestFrame::Quality => wanted.rev().max_by_key(|&at| frames[at].quality),
        };
        best.unwrap_or_default() as u32
    }
}

/// Joins the shots of two frames. Each frame refers to one before it, or to itself.
fn join(shots: &mut [u32], a: usize, b: usize) {
    let mut root = |mut at: usize| {
        while shots[at] as usize != at {
            shots[at] = shots[shots[at] as usize];
            at = shots[at] as usize;
        }
        at
    };
    let (a, b) = (root(a), root(b));
    shots[a.max(b)] = a.min(b) as u32;
}

/// The bursts of a catalog, oldest first.
#[derive(Debug)]
pub struct Bursts {
    bursts: Vec<Burst>,
    /// Those of each burst one after the other, in its order.
    frames: Vec<BurstFrame>,
}

/// A burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// The time of its first frame, in microseconds.
    pub started: i64,
    /// The time of its last frame.
    pub ended: i64,
    first: usize,
    /// How many images it has.
    pub frames: u32,
    /// How many shots: copies of one shot count once.
    pub shots: u32,
    /// The position of its best frame, by the rule.
    pub best: u32,
    /// The position of the frame that somebody has chosen instead.
    pub chosen: Option<u32>,
    /// Whether all frames are of one second, and nothing tells them from pictures of a wrong clock.
    pub is_suspect: bool,
}

/// An image of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstFrame {
    /// Its id.
    pub image: i64,
    /// The number of its shot in the burst.
    pub shot: u32,
}

impl Bursts {
    /// How many.
    pub fn len(&self) -> usize {
        self.bursts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bursts.is_empty()
    }

    /// How many images are in bursts.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// A burst.
    pub fn burst(&self, number: usize) -> &Burst {
        &self.bursts[number]
    }

    /// The frames of a burst, by their positions.
    pub fn frames(&self, burst: &Burst) -> &[BurstFrame] {
        &self.frames[burst.first..][..burst.frames as usize]
    }
}
