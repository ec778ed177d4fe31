//! Rows of black and white in all codings, by an encoder that follows ITU-T T.4 and T.6 pixel by pixel.

use super::{ByteOrder, LIMITS};
use crate::decode::tiff::decode;
use crate::error::PhotoError;
use crate::ifd::build::{Builder, Value, long, short};
use crate::picture::{Picture, Pixels};
use fax::maps::{Mode, black, mode, white};

/// How the rows are coded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coding {
    /// Compression 2 or 32771: rows that begin at a multiple of this number of bits.
    Aligned(usize),
    /// Compression 3: differences between rows, end-of-line codes, these ending at a byte, the end of the page.
    Group3 { differences: bool, lines: bool, filled: bool, page: bool },
    /// Compression 4, with the code for the end of the page.
    Group4 { page: bool },
}

const CODINGS: [Coding; 11] = [
    Coding::Aligned(8),
    Coding::Aligned(16),
    Coding::Group3 { differences: false, lines: false, filled: false, page: false },
    Coding::Group3 { differences: false, lines: true, filled: false, page: true },
    Coding::Group3 { differences: false, lines: true, filled: true, page: false },
    Coding::Group3 { differences: false, lines: true, filled: true, page: true },
    Coding::Group3 { differences: true, lines: true, filled: false, page: false },
    Coding::Group3 { differences: true, lines: true, filled: true, page: true },
    Coding::Group3 { differences: true, lines: false, filled: false, page: false },
    Coding::Group4 { page: true },
    Coding::Group4 { page: false },
];

#[derive(Default)]
struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    fn put(&mut self, bits: fax::Bits) {
        self.bits.extend((0..bits.len).rev().map(|bit| bits.data >> bit & 1 == 1));
    }

    fn run(&mut self, mut length: usize, is_black: bool) {
        let code = if is_black { black::encode } else { white::encode };
        while length >= 2560 {
            self.put(code(2560).unwrap());
            length -= 2560;
        }
        if length >= 64 {
            self.put(code((length / 64 * 64) as u16).unwrap());
        }
        self.put(code((length % 64) as u16).unwrap());
    }

    fn runs(&mut self, row: &[bool]) {
        let (mut at, mut colour) = (0, false);
        while at < row.len() {
            let length = row[at..].iter().take_while(|&&pixel| pixel == colour).count();
            self.run(length, colour);
            (at, colour) = (at + length, !colour);
        }
    }

    /// T.4, 4.2.1.3: a0, a1, a2, b1 and b2 are its names; -1 is the white pixel before a row.
    fn differences(&mut self, above: &[bool], row: &[bool]) {
        let width = row.len() as i32;
        let at = |row: &[bool], x: i32| x >= 0 && row[x as usize];
        let change = |row: &[bool], from: i32, to: Option<bool>| {
            let changes = |&x: &i32| at(row, x) != at(row, x - 1) && to.is_none_or(|to| at(row, x) == to);
            (from..width).find(changes).unwrap_or(width)
        };
        let (mut a0, mut colour) = (-1, false);
        while a0 < width {
            let a1 = (a0.max(0)..width).find(|&x| at(row, x) != colour).unwrap_or(width);
            let b1 = change(above, a0 + 1, Some(!colour));
            let b2 = change(above, b1 + 1, None);
            if b2 < a1 {
                self.put(mode::encode(Mode::Pass).unwrap());
                a0 = b2;
            } else if (a1 - b1).abs() <= 3 {
                self.put(mode::encode(Mode::Vertical((a1 - b1) as i8)).unwrap());
                (a0, colour) = (a1, !colour);
            } else {
                let a2 = (a1..width).find(|&x| at(row, x) == colour).unwrap_or(width);
                self.put(mode::encode(Mode::Horizontal).unwrap());
                self.run((a1 - a0.max(0)) as usize, colour);
                self.run((a2 - a1) as usize, !colour);
                a0 = a2;
            }
        }
    }

    fn end_of_line(&mut self, filled: bool) {
        while filled && self.bits.len() % 8 != 4 {
            self.bits.push(false);
        }
        self.put(fax::maps::EOL);
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().enumerate().fold(0, |sum, (at, &bit)| sum | u8::from(bit) << (7 - at));
        self.bits.chunks(8).map(byte).collect()
    }
}

fn encode(rows: &[Vec<bool>], coding: Coding) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut above = vec![false; rows[0].len()];
    for (y, row) in rows.iter().enumerate() {
        match coding {
            Coding::Aligned(bits) => {
                writer.bits.resize(writer.bits.len().next_multiple_of(bits), false);
                writer.runs(row);
            }
            Coding::Group3 { differences, lines, filled, .. } => {
                if lines {
                    writer.end_of_line(filled);
                }
                let alone = !differences || y % 4 == 0;
                if differences {
                    writer.bits.push(alone);
                }
                if alone { writer.runs(row) } else { writer.differences(&above, row) }
            }
            Coding::Group4 { .. } => writer.differences(&above, row),
        }
        above.clone_from(row);
    }
    match coding {
        Coding::Group3 { page: true, differences, .. } => {
            for _ in 0..6 {
                writer.end_of_line(false);
                writer.bits.extend(differences.then_some(true));
            }
        }
        Coding::Group4 { page: true } => (0..2).for_each(|_| writer.end_of_line(false)),
        _ => {}
    }
    writer.bytes()
}

/// A file of `height` rows in strips of `each`, which are these.
fn file(width: usize, height: usize, each: u32, coding: Coding, reversed: bool, strips: &[Vec<u8>]) -> Vec<u8> {
    let mut build = Builder::new(ByteOrder::Little);
    let turned =
        |strip: &Vec<u8>| strip.iter().map(|byte| if reversed { byte.reverse_bits() } else { *byte }).collect();
    let offsets = strips.iter().map(|strip| build.blob(&Vec::from_iter::<Vec<u8>>(turned(strip)))).collect();
    let (compression, options) = match coding {
        Coding::Aligned(8) => (2, 0),
        Coding::Aligned(_) => (32771, 0),
        Coding::Group3 { differences, filled, .. } => (3, u32::from(differences) + 4 * u32::from(filled)),
        Coding::Group4 { .. } => (4, 0),
    };
    let tags = [
        (256, long(width as u32)),
        (257, long(height as u32)),
        (259, short(compression)),
        (262, short(0)),
        (266, short(if reversed { 2 } else { 1 })),
        (273, Value::Long(offsets)),
        (278, long(each)),
        (279, Value::Long(strips.iter().map(|strip| strip.len() as u32).collect())),
        (292, long(options)),
    ];
    let directory = build.directory(&tags, 0);
    build.finish(42, directory)
}

fn assert_rows(name: &str, picture: &Picture, rows: &[Vec<bool>]) {
    assert_eq!((picture.width as usize, picture.height as usize), (rows[0].len(), rows.len()), "{name}");
    let Pixels::Grey(samples) = &picture.pixels else { panic!("{name}: coloured") };
    let expected = rows.iter().flatten().map(|&black| if black { 0 } else { 255 });
    assert!(samples.iter().copied().eq(expected), "{name}: other pixels");
}

/// Rows with long and short runs, some like the row above, some not.
fn page(width: usize, height: usize, seed: u64) -> Vec<Vec<bool>> {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut rows: Vec<Vec<bool>> = Vec::new();
    for y in 0..height {
        let mut row = match (random(5), rows.last()) {
            (0, _) | (_, None) => vec![random(2) == 0; width],
            (_, Some(above)) => above.clone(),
        };
        for _ in 0..random(6) {
            let most = 1 << random(14);
            let (start, length) = (random(width as u64) as usize, random(most) as usize);
            let black = random(2) == 0;
            row[start..].iter_mut().take(length + 1).for_each(|pixel| *pixel = black);
        }
        if y % 7 == 6 {
            row.iter_mut().for_each(|pixel| *pixel = random(2) == 0); // noise
        }
        rows.push(row);
    }
    rows
}

#[test]
fn all_codings() {
    let widths = [1, 2, 7, 8, 9, 31, 64, 100, 700, 5200, 70_001];
    for (first, coding) in CODINGS.into_iter().enumerate() {
        for (number, width) in widths.into_iter().enumerate() {
            let height = if width > 5000 { 9 } else { 40 };
            let rows = page(width, height, number as u64);
            // Each width has another of these with another coding.
            let strips = [(5, false), (7, true), (height as u32, false), (i32::MAX as u32, true)];
            let (each, reversed) = strips[(first + number) % 4];
            let strips: Vec<Vec<u8>> = rows.chunks(each as usize).map(|rows| encode(rows, coding)).collect();
            let name = format!("{coding:?}, {width} wide, strips of {each}, {reversed}");
            let picture = decode(&file(width, height, each, coding, reversed, &strips), &LIMITS);
            assert_rows(&name, &picture.unwrap_or_else(|error| panic!("{name}: {error}")), &rows);
        }
    }
}

#[test]
fn more_rows_than_sixteen_bits_count() {
    let rows = page(9, 65_537, 3);
    for coding in [Coding::Group4 { page: true }, CODINGS[3]] {
        let strip = encode(&rows, coding);
        let picture = decode(&file(9, 65_537, 65_537, coding, false, &[strip]), &LIMITS).unwrap();
        assert_rows("65,537 rows", &picture, &rows);
    }
}

/// Rows after the code for the end of a page are white; without it they are missing.
#[test]
fn rows_that_are_left_out() {
    let rows = page(100, 20, 9);
    for coding in CODINGS {
        let strip = encode(&rows, coding);
        let result = decode(&file(100, 30, 30, coding, false, &[strip]), &LIMITS);
        let ends = matches!(coding, Coding::Group3 { page: true, .. } | Coding::Group4 { page: true });
        match result {
            Ok(picture) if ends => {
                let mut all = rows.clone();
                all.resize(30, vec![false; 100]);
                assert_rows(&format!("{coding:?}"), &picture, &all);
            }
            Err(PhotoError::Damaged { .. }) if !ends => {}
            other => panic!("{coding:?}: {:?}", other.err()),
        }
    }
    // Rows of another length, and codes that do not exist.
    let wide = page(101, 20, 9);
    for coding in [CODINGS[0], CODINGS[3], CODINGS[9]] {
        for strip in [encode(&wide, coding), vec![0; 400], vec![0, 0, 0, 0xff, 0xff]] {
            let result = decode(&file(100, 20, 20, coding, false, &[strip]), &LIMITS);
            assert!(matches!(result, Err(PhotoError::Damaged { .. })), "{coding:?}");
        }
    }
}
