//! The hashes of turned and mirrored forms of a picture, from its hash alone.
//!
//! - Hashes of places ([`Method::Average`], [`Method::Median`], [`Method::Wavelet`]): a bit changes its place as what
//!   it stands for does.
//! - Hashes of frequencies ([`Method::Dct`], [`Method::Pdq`]): mirroring changes the sign of the odd frequencies
//!   along its side, and so their bits, as far as the median of all is near 0; turning by 90 degrees changes rows for
//!   columns.
//! - Hashes of gradients ([`Method::Difference`]): mirroring reverses them. They know nothing of gradients down, so
//!   that four forms are all there are.
//! - [`Method::Block`] compares blocks within bands of rows: four forms, too.
//!
//! Equal to the hash of the turned picture but for what resizing rounds, and for bits near the threshold.

use super::{Hash, Method, pack};
use crate::orientation::Orientation;

/// Why a hash has no forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no {} has {bits} bits", method.name())]
pub struct NoForms {
    /// The method.
    pub method: Method,
    /// The width of the hash.
    pub bits: usize,
}

/// What the bits of a hash stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Places,
    Frequencies,
    Gradients,
}

/// The hash of each form that can be told, in the order of [`Orientation::ALL`]; the first is the hash itself.
/// Errors: [`NoForms`], if its bits are no square of a side that the method has.
pub fn forms(hash: &[u8], method: Method) -> Result<Vec<(Orientation, Hash)>, NoForms> {
    let bits = 8 * hash.len();
    let side = bits.isqrt();
    if side * side != bits || side == 0 || method == Method::Pdq && side != super::pdq::SIZE {
        return Err(NoForms { method, bits });
    }
    let (kind, has_turns) = match method {
        Method::Average | Method::Median | Method::Wavelet => (Kind::Places, true),
        Method::Block => (Kind::Places, false),
        Method::Dct | Method::Pdq => (Kind::Frequencies, true),
        Method::Difference => (Kind::Gradients, false),
    };
    // PDQ's last bit is its first frequency, which is 1 both ways; the DCT hash begins with 0.
    let is_pdq = method == Method::Pdq;
    let at = |row: usize, column: usize| {
        let index = row * side + column;
        let index = if is_pdq { bits - 1 - index } else { index };
        hash[index / 8] >> (7 - index % 8) & 1 == 1
    };
    let form = |orientation: Orientation| {
        let ([a, b], [c, d]) = orientation.axes();
        let is_turned = orientation.swaps_sides();
        // Whether columns and rows of the form run the other way.
        let (across, down) = if is_turned { (c < 0, b < 0) } else { (a < 0, d < 0) };
        let value = |row: usize, column: usize| {
            let mirrored = |place: usize, is_mirrored: bool| if is_mirrored { side - 1 - place } else { place };
            let is_odd = |place: usize| place % 2 == usize::from(!is_pdq);
            let (from, flips) = match kind {
                Kind::Places => ((mirrored(row, down), mirrored(column, across)), false),
                Kind::Gradients => ((mirrored(row, down), mirrored(column, across)), across),
                Kind::Frequencies => ((row, column), (across && is_odd(column)) != (down && is_odd(row))),
            };
            let (row, column) = if is_turned { (from.1, from.0) } else { from };
            at(row, column) != flips
        };
        let all = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
        (orientation, pack(all.map(|(row, column)| value(row, column))))
    };
    let there = |orientation: &Orientation| has_turns || !orientation.swaps_sides();
    let mut forms: Vec<(Orientation, Hash)> = Orientation::ALL.into_iter().filter(there).map(form).collect();
    if is_pdq {
        forms.iter_mut().for_each(|(_, hash)| reverse(hash));
    }
    Ok(forms)
}

/// Reverses the order of all bits.
fn reverse(hash: &mut Hash) {
    hash.reverse();
    hash.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
}
