//! The brightness of a colour for hashes: four formulas, each that of the library whose bits the hash reproduces.
//!
//! Called for each row or part of one. Every function is a plain loop and, if the processor has AVX2, that of [`avx2`].

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Declares a function that passes as many pixels to AVX2 as it takes at once, and the rest to the plain loop.
macro_rules! converts {
    ($(#[$doc:meta])* $name:ident, $plain:ident, $result:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(rgb: &[u8], result: &mut [$result]) {
            #[cfg(target_arch = "x86_64")]
            if let Some(avx2) = super::Avx2::detect() {
                let done = avx2.$name(rgb, result);
                return $plain(&rgb[3 * done..], &mut result[done..]);
            }
            $plain(rgb, result);
        }
    };
}

converts!(
    /// Pillow's conversion to mode L: ITU-R BT.601 in 16 bits behind the point, rounded.
    grey, plain_grey, u8
);
converts!(
    /// pdqhash's luminance: 0.299 r + 0.587 g + 0.114 b as a double, cut to single precision.
    ///
    /// That double is so near to the thousandth of a whole number, and such a number so far from the middle between two
    /// in single precision, that the thousandth of the whole number rounds to the same value.
    luminance, plain_luminance, f32
);
converts!(
    /// The crate image's grey: ITU-R BT.709 in ten-thousandths, cut off.
    grey_709, plain_grey_709, f32
);

converts!(
    /// The sum of the three.
    sum, plain_sum, u32
);

fastest! {
    fn plain_sum(rgb: &[u8], result: &mut [u32]) {
        for (pixel, result) in rgb.chunks_exact(3).zip(result) {
            *result = u32::from(pixel[0]) + u32::from(pixel[1]) + u32::from(pixel[2]);
        }
    }
}

fastest! {
    fn plain_grey(rgb: &[u8], result: &mut [u8]) {
        for (pixel, result) in rgb.chunks_exact(3).zip(result) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            *result = ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) as u8;
        }
    }
}

fastest! {
    fn plain_luminance(rgb: &[u8], result: &mut [f32]) {
        for (pixel, result) in rgb.chunks_exact(3).zip(result) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
            *result = (r * 0.299 + g * 0.587 + b * 0.114) as f32;
        }
    }
}

fastest! {
    fn plain_grey_709(rgb: &[u8], result: &mut [f32]) {
        for (pixel, result) in rgb.chunks_exact(3).zip(result) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            *result = ((2126 * r + 7152 * g + 722 * b) / 10000) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_colours() {
        let mut rgb = Vec::new();
        let (mut greys, mut floats) = ([[0; 1 << 16]; 2], [[0.0; 1 << 16]; 2]);
        for red in 0..=255u8 {
            rgb.clear();
            rgb.extend((0..1 << 16).flat_map(|colour: u32| [red, (colour >> 8) as u8, colour as u8]));
            grey(&rgb, &mut greys[0]);
            plain_grey(&rgb, &mut greys[1]);
            assert!(greys[0] == greys[1], "grey, red {red}");
            luminance(&rgb, &mut floats[0]);
            plain_luminance(&rgb, &mut floats[1]);
            assert!(floats[0] == floats[1], "luminance, red {red}");
            grey_709(&rgb, &mut floats[0]);
            plain_grey_709(&rgb, &mut floats[1]);
            assert!(floats[0] == floats[1], "grey of BT.709, red {red}");
        }
    }

    #[test]
    fn all_lengths() {
        let rgb: Vec<u8> = (0..300u32).map(|index| ((index * 7919) >> 3) as u8).collect();
        for pixels in 0..=100 {
            let (mut greys, mut floats, mut sums) = ([[1; 100]; 2], [[1.0; 100]; 2], [[1; 100]; 2]);
            let rgb = &rgb[..3 * pixels];
            grey(rgb, &mut greys[0][..pixels]);
            plain_grey(rgb, &mut greys[1][..pixels]);
            assert_eq!(greys[0], greys[1]);
            luminance(rgb, &mut floats[0][..pixels]);
            plain_luminance(rgb, &mut floats[1][..pixels]);
            assert_eq!(floats[0], floats[1]);
            grey_709(rgb, &mut floats[0][..pixels]);
            plain_grey_709(rgb, &mut floats[1][..pixels]);
            assert_eq!(floats[0], floats[1]);
            sum(rgb, &mut sums[0][..pixels]);
            plain_sum(rgb, &mut sums[1][..pixels]);
            assert_eq!(sums[0], sums[1]);
        }
    }
}
