//! Colours against tables of libyuv's weights, and rows against a naive interpolation.

use super::*;
use crate::limits::NeverCancels;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 20, memory: 1 << 20, caller: &NeverCancels };

fn nclx(matrix: u16, full: bool) -> Nclx {
    Nclx { primaries: 2, transfer: 2, matrix, full }
}

/// The constants kYuvI601, H709, 2020, JPEG, F709 and V2020 of libyuv, for x86.
#[test]
fn weights_are_those_of_libyuv() {
    for (matrix, full, expected) in [
        (6, false, [18_997, -1160, 128, 25, 52, 102]),
        (1, false, [18_997, -1160, 128, 14, 34, 115]),
        (9, false, [19_003, -1160, 128, 12, 42, 107]),
        (6, true, [16_320, 32, 113, 22, 46, 90]),
        (1, true, [16_320, 32, 119, 12, 30, 101]),
        (9, true, [16_320, 32, 120, 11, 37, 94]),
    ] {
        let Some(found) = Weights::of(nclx(matrix, full)) else { panic!("matrix {matrix}") };
        let Weights { luma, bias, blue_cb, green_cb, green_cr, red_cr } = found;
        assert_eq!([luma, bias, blue_cb, green_cb, green_cr, red_cr], expected, "matrix {matrix}, full {full}");
    }
    for matrix in [3, 8, 10, 11, 13, 14, 15, 255] {
        assert!(Weights::of(nclx(matrix, false)).is_none());
    }
    // Derived from the primaries: those of BT.709 where nothing is said.
    let derived = |primaries| Weights::of(Nclx { primaries, ..nclx(12, true) }).map(|weights| weights.red_cr);
    assert_eq!((derived(2), derived(1), derived(6)), (Some(101), Some(101), Some(90)));
}

/// A sample of chroma between the samples of a plane, in sixteenths of weight.
fn naive(plane: &[Vec<u8>], layout: Layout, width: usize, (row, column): (usize, usize)) -> u8 {
    let beside = |at: usize, count: usize| {
        let near = at / 2;
        (near, if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(count - 1) })
    };
    let (x, mut far_x) = beside(column, plane[0].len());
    if column + 1 == width && width % 2 == 1 {
        far_x = x;
    }
    let (y, far_y) = if layout == Layout::Yuv420 { beside(row, plane.len()) } else { (row, row) };
    let sample = |y: usize, x: usize| u32::from(plane[y][x]);
    ((9 * sample(y, x) + 3 * (sample(far_y, x) + sample(y, far_x)) + sample(far_y, far_x) + 8) >> 4) as u8
}

#[test]
fn rows_are_interpolated() {
    let mut state = 1u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for (width, height) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (5, 4), (4, 5), (17, 9), (16, 10)] {
        for layout in [Layout::Yuv420, Layout::Yuv422, Layout::Yuv444] {
            let full_range = true;
            let frame = Frame { width, height, bits: 8, layout, primaries: 2, transfer: 2, matrix: 0, full_range };
            let Some((across, down)) = layout.chroma(width, height) else { panic!("no chroma") };
            let mut plane =
                |w: u32, h: u32| -> Vec<Vec<u8>> { (0..h).map(|_| (0..w).map(|_| random()).collect()).collect() };
            let (luma, cb, cr) = (plane(width, height), plane(across, down), plane(across, down));
            // The planes as they are, so that chroma shows.
            let by = Conversion { formula: Formula::Planes, table: (0..=255).collect() };
            let Ok(mut lines) = Lines::new(&frame, &LIMITS) else { panic!("no lines") };
            let mut found = vec![Vec::new(); height as usize];
            let rows = layout.rows();
            for strip in 0..height.div_ceil(rows) {
                for row in strip * rows..height.min(strip * rows + rows) {
                    let read = lines.read_luma(row, &by, &mut |out| {
                        out.copy_from_slice(&luma[row as usize]);
                        Ok(())
                    });
                    assert!(read.is_ok());
                }
                let mut planes = [&cb, &cr].into_iter();
                let read = lines.read_chroma(&by, &mut |out| {
                    planes.next().into_iter().for_each(|plane| out.copy_from_slice(&plane[strip as usize]));
                    Ok(())
                });
                assert!(read.is_ok());
                let (begin, end) = ready(layout, strip, height);
                for row in begin..end {
                    let mut out = vec![0; width as usize * 3];
                    lines.convert(row, strip, &by, 0, &mut out);
                    found[row as usize] = out;
                }
            }
            for (row, found) in found.iter().enumerate() {
                let expected: Vec<u8> = (0..width as usize)
                    .flat_map(|column| {
                        let chroma = |plane: &[Vec<u8>]| match layout {
                            Layout::Yuv444 => plane[row][column],
                            _ => naive(plane, layout, width as usize, (row, column)),
                        };
                        [chroma(&cr), luma[row][column], chroma(&cb)]
                    })
                    .collect();
                assert_eq!(found, &expected, "{layout:?}, {width} x {height}, row {row}");
            }
        }
    }
}

/// Planes of green, blue and red have one size, or there is green alone: libavif refuses others.
#[test]
fn identity_is_not_subsampled() {
    for full_range in [false, true] {
        for said in [None, Some(nclx(0, full_range)), Some(nclx(1, full_range))] {
            for bits in [8, 10] {
                let conversion = |layout| {
                    let (width, height, matrix) = (2, 2, 0);
                    Conversion::new(
                        said,
                        &Frame { width, height, bits, layout, primaries: 2, transfer: 2, matrix, full_range },
                    )
                };
                let is_identity = said.is_none_or(|said| said.matrix == 0);
                for layout in [Layout::Yuv420, Layout::Yuv422] {
                    let error = conversion(layout).err();
                    assert_eq!(
                        matches!(error, Some(PhotoError::Unsupported { .. })),
                        is_identity,
                        "{layout:?} {said:?}"
                    );
                }
                assert!(conversion(Layout::Yuv444).is_ok() && conversion(Layout::Monochrome).is_ok());
            }
        }
    }
}

/// Grey is scaled, not cut.
#[test]
fn grey_is_scaled() {
    let frame = |bits, full_range| Frame {
        width: 1,
        height: 1,
        bits,
        layout: Layout::Monochrome,
        primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range,
    };
    let table = |bits, full| Conversion::new(None, &frame(bits, full)).map(|by| by.table).unwrap_or_default();
    assert_eq!(table(8, true), (0..=255).collect::<Vec<u8>>());
    let limited = table(10, false);
    assert_eq!((limited[0], limited[64], limited[940], limited[1023], limited[502]), (0, 0, 255, 255, 128));
    assert_eq!(table(12, true)[2056], 128);
}
