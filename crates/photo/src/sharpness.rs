//! The sharpness of a picture: the variance of its Laplacian.
//!
//! Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000: blur removes the high frequencies
//! to which the Laplacian responds. The grey picture is scaled to [`SIDE`] pixels on its longer side first, never
//! enlarged, so that pictures of different resolution can be compared; the kernel is that of the four neighbours, the
//! variance that of all pixels that have four.

use crate::lanczos::Resize;
use crate::simd::fastest;
use crate::strip::Strip;

/// Pixels of the longer side at which it is measured.
pub const SIDE: usize = 512;

/// The picture, being scaled to the size at which it is measured.
pub(crate) struct Sharpness {
    resize: Resize,
    width: usize,
}

fn target((width, height): (usize, usize)) -> (usize, usize) {
    let longer = width.max(height);
    if longer <= SIDE {
        return (width, height);
    }
    let scaled = |side: usize| ((side * SIDE + longer / 2) / longer).max(1);
    (scaled(width), scaled(height))
}

/// Bytes that it takes.
pub(crate) fn memory(from: (usize, usize)) -> usize {
    Resize::memory(from, target(from))
}

impl Sharpness {
    pub(crate) fn new(from: (usize, usize)) -> Self {
        let to = target(from);
        Sharpness { resize: Resize::new(from, to), width: to.0 }
    }

    pub(crate) fn take(&mut self, strip: &Strip<'_>) {
        self.resize.take(strip);
    }

    /// In grey levels squared; 0 for pictures of less than three pixels a side.
    pub(crate) fn variance(self) -> f64 {
        let width = self.width;
        let pixels = self.resize.into_pixels();
        let rows: Vec<&[u8]> = pixels.chunks_exact(width).collect();
        let (mut count, mut sum, mut squares) = (0, 0, 0);
        for three in rows.windows(3) {
            let mut sums = (0, 0);
            laplacian(three[0], three[1], three[2], &mut sums);
            count += width.saturating_sub(2);
            sum += i64::from(sums.0);
            squares += i64::from(sums.1);
        }
        if count == 0 {
            return 0.0;
        }
        let (count, sum, squares) = (count as f64, sum as f64, squares as f64);
        (squares / count - (sum / count) * (sum / count)).max(0.0)
    }
}

fastest! {
    /// The sum of the Laplacian at the pixels of a row, and of its squares: of [`SIDE`] pixels both fit into 32 bits.
    fn laplacian(above: &[u8], row: &[u8], below: &[u8], sums: &mut (i32, i32)) {
        let (mut sum, mut squares) = (0, 0);
        let neighbours = row.windows(3).zip(above[1..].iter().zip(&below[1..]));
        for (three, (&above, &below)) in neighbours {
            let [left, here, right] = [three[0], three[1], three[2]].map(i32::from);
            let laplacian = i32::from(above) + i32::from(below) + left + right - 4 * here;
            sum += laplacian;
            squares += laplacian * laplacian;
        }
        *sums = (sum, squares);
    }
}
