//! The quality setting with which a JPEG file was compressed, estimated from its quantization table.
//!
//! The encoder of the Independent JPEG Group, and most that followed it, scale the tables of ITU-T T.81, annex K, by a
//! quality from 1 to 100 (jcparam.c: `jpeg_quality_scaling`). The estimate is the quality whose table of luminance is
//! nearest to that of the file: exact for such encoders, close for those with tables of their own, as cameras have.
//! Only the headers are read.

#[cfg(test)]
mod tests;

use crate::segments;

/// Luminance, in the zigzag order in which files store it (ITU-T T.81, table K.1).
const LUMINANCE: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];

/// The quantization table of the first component, in zigzag order.
pub fn table(bytes: &[u8]) -> Option<[u16; 64]> {
    segments::first_quantization_table(bytes)
}

/// The quality of a JPEG file, 1 to 100; `None` where it has no quantization table for its first component.
pub fn estimate(bytes: &[u8]) -> Option<u8> {
    let table = table(bytes)?;
    let distance = |quality: &u8| -> u64 {
        let scaled = LUMINANCE.iter().map(|base| scale(*base, *quality));
        scaled.zip(&table).map(|(expected, found)| u64::from(expected.abs_diff(*found))).sum()
    };
    // Of equally near ones the best: above 99 several tables are all ones, nearly.
    (1..=100).rev().min_by_key(distance)
}

/// A value of a table, scaled to a quality as the encoder of the Independent JPEG Group does it.
fn scale(base: u16, quality: u8) -> u16 {
    let quality = u32::from(quality);
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ((u32::from(base) * percent + 50) / 100).clamp(1, 255) as u16
}
