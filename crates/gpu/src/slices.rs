//! How a pass over pairs is cut into launches: short enough to cancel between two, small enough for the results to fit.
//!
//! A pass compares blocks of left rows with a window of right ones: a rectangle. The rest of it is a stack of
//! rectangles. The results of a launch that do not fit are dropped: its rectangle is cut in two, and each half is
//! launched again. The smallest rectangle, one block by the smallest window, has at most as many pairs as the result
//! buffer holds, so that cutting always ends.

use std::ops::Range;
use std::time::Duration;

/// How long a launch should take.
pub(crate) const LAUNCH: Duration = Duration::from_millis(50);
/// The most by which a launch may be larger than the one before.
const GROWTH: f64 = 8.0;

/// Blocks of left rows, by a window of right ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) blocks: Range<u32>,
    pub(crate) window: Range<u32>,
}

impl Rectangle {
    fn area(&self) -> f64 {
        self.blocks.len() as f64 * self.window.len() as f64
    }
}

/// The rest of a pass.
#[derive(Debug)]
pub(crate) struct Slices {
    left: Vec<Rectangle>,
    /// Windows are cut at multiples of this.
    grain: u32,
    /// The most blocks of a launch.
    most_blocks: u32,
    /// Blocks times right rows of the next launch.
    area: f64,
}

impl Slices {
    /// All of `blocks` by all of `window`; the first launch has `area`, blocks times right rows. Windows are cut at
    /// multiples of `grain`, and a launch has at most `most_blocks` blocks.
    pub(crate) fn new(blocks: u32, window: u32, grain: u32, area: f64, most_blocks: u32) -> Self {
        let all = Rectangle { blocks: 0..blocks, window: 0..window };
        let is_empty = all.blocks.is_empty() || all.window.is_empty();
        Slices { left: if is_empty { Vec::new() } else { vec![all] }, grain, most_blocks, area }
    }

    /// The next rectangle to launch; `None` at the end. It is done, or comes back by [`overflowed`](Self::overflowed).
    pub(crate) fn next(&mut self) -> Option<Rectangle> {
        let mut next = self.left.pop()?;
        let blocks = (self.area / next.window.len() as f64).clamp(1.0, f64::from(self.most_blocks)) as u32;
        if next.blocks.len() as u32 > blocks {
            let middle = next.blocks.start + blocks;
            self.left.push(Rectangle { blocks: middle..next.blocks.end, window: next.window.clone() });
            next.blocks.end = middle;
        }
        // One block alone takes too long.
        let rows = (self.area.clamp(1.0, f64::from(u32::MAX)) as u32).div_ceil(self.grain).saturating_mul(self.grain);
        if next.blocks.len() == 1 && next.window.len() as u32 > rows {
            let middle = next.window.start + rows;
            self.left.push(Rectangle { blocks: next.blocks.clone(), window: middle..next.window.end });
            next.window.end = middle;
        }
        Some(next)
    }

    /// Records how long a launch took and which share of the buffer it filled: the next one is sized by that.
    pub(crate) fn done(&mut self, done: &Rectangle, took: Duration, share: f64) {
        let by_time = LAUNCH.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let by_room = 0.5 / share.max(1e-6);
        self.area = (done.area() * by_time.min(by_room).min(GROWTH)).max(1.0);
    }

    /// The results of a launch did not fit: they are dropped, and it is launched again in halves. `false` if it cannot
    /// be cut, which does not happen with the sizes that the kernels guarantee.
    #[must_use]
    pub(crate) fn overflowed(&mut self, done: Rectangle) -> bool {
        self.area = done.area() / 2.0;
        let Rectangle { blocks, window } = done;
        let count = blocks.end - blocks.start;
        let grains = (window.end - window.start).div_ceil(self.grain);
        if count > 1 {
            let middle = blocks.start + count / 2;
            self.left.push(Rectangle { blocks: middle..blocks.end, window: window.clone() });
            self.left.push(Rectangle { blocks: blocks.start..middle, window });
        } else if grains > 1 {
            let middle = window.start + grains / 2 * self.grain;
            self.left.push(Rectangle { blocks: blocks.clone(), window: middle..window.end });
            self.left.push(Rectangle { blocks, window: window.start..middle });
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// Each pair of a block and a row of the window is done once, with any overflows and launch times.
    #[test]
    fn everything_is_done_once() {
        for (blocks, window, grain, dense) in
            [(1, 1, 256, 0), (7, 1000, 256, 100), (40, 5000, 512, 3000), (3, 70_000, 256, 1)]
        {
            let mut times = vec![0u32; blocks * window];
            let mut slices = Slices::new(blocks as u32, window as u32, grain, 300.0, 5);
            let (mut launches, mut overflows) = (0, 0);
            while let Some(rectangle) = slices.next() {
                launches += 1;
                let pairs = rectangle.blocks.len() * rectangle.window.len();
                if dense > 0 && pairs > dense.max(grain as usize) {
                    overflows += 1;
                    assert!(slices.overflowed(rectangle));
                    continue;
                }
                for block in rectangle.blocks.clone() {
                    for row in rectangle.window.clone() {
                        times[block as usize * window + row as usize] += 1;
                    }
                }
                slices.done(&rectangle, Duration::from_millis(launches % 90), 0.1);
            }
            assert!(times.iter().all(|times| *times == 1), "{blocks} by {window}");
            assert_eq!(overflows > 0, dense > 0 && blocks * window > dense.max(grain as usize));
        }
    }

    #[test]
    fn nothing_to_do() {
        assert_eq!(Slices::new(0, 10, 1, 1.0, 9).next(), None);
        assert_eq!(Slices::new(10, 0, 1, 1.0, 9).next(), None);
        let mut smallest = Slices::new(1, 200, 256, 1.0, 9);
        let only = smallest.next().unwrap();
        assert!(!smallest.overflowed(only));
    }

    #[test]
    fn launches_take_as_long_as_they_should() {
        // A pair of a block and a row takes a nanosecond: blocks of 0.1 ms, and of a second, whose windows are cut.
        for rows in [100_000, 1_000_000_000] {
            let mut slices = Slices::new(1_000_000, rows, 256, 1e4, u32::MAX);
            let took = |rectangle: &Rectangle| Duration::from_nanos(rectangle.area() as u64);
            for _ in 0..12 {
                let rectangle = slices.next().unwrap();
                slices.done(&rectangle, took(&rectangle), 0.0);
            }
            let took = took(&slices.next().unwrap());
            assert!(took > LAUNCH / 2 && took <= LAUNCH + LAUNCH / 8, "{took:?}");
            let full = slices.next().unwrap();
            slices.done(&full, Duration::from_millis(1), 5.0);
            assert!(slices.next().unwrap().area() <= full.area() / 9.0, "the results would not fit");
        }
    }
}
