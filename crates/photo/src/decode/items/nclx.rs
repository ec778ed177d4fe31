//! What a property `colr` says of the samples, and the weights of luma that follow (ITU-T H.273).

/// Colour primaries, transfer characteristics, matrix coefficients and range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct Nclx {
    pub(in crate::decode) primaries: u16,
    pub(in crate::decode) transfer: u16,
    pub(in crate::decode) matrix: u16,
    pub(in crate::decode) full: bool,
}

impl Nclx {
    /// Those of a property `colr`; `None` if it holds a profile.
    pub(in crate::decode) fn read(property: &[u8]) -> Option<Self> {
        let (kind, rest) = property.split_first_chunk::<4>()?;
        let &[a, b, c, d, e, f, ref range @ ..] = rest else { return None };
        let [primaries, transfer, matrix] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
        let full = match kind {
            b"nclx" => range.first()? & 0x80 != 0,
            b"nclc" => matrix == 0,
            _ => return None,
        };
        Some(Nclx { primaries, transfer, matrix, full })
    }
}

/// What luma takes of red and blue (H.273, table 4). `None`: not said.
pub(in crate::decode) fn luma(matrix: u16, primaries: u16) -> Option<(f32, f32)> {
    match matrix {
        1 => Some((0.2126, 0.0722)),
        4 => Some((0.30, 0.11)),
        5 | 6 => Some((0.299, 0.114)),
        7 => Some((0.212, 0.087)),
        9 | 10 => Some((0.2627, 0.0593)),
        12 | 13 => derived(primaries),
        _ => None,
    }
}

/// The same from the chromaticities of the primaries (H.273, equations 32 to 37).
fn derived(primaries: u16) -> Option<(f32, f32)> {
    // x and y of green, blue, red and white (table 2).
    let [gx, gy, bx, by, rx, ry, wx, wy]: [f32; 8] = match primaries {
        1 => [0.3, 0.6, 0.15, 0.06, 0.64, 0.33, 0.3127, 0.329],
        4 => [0.21, 0.71, 0.14, 0.08, 0.67, 0.33, 0.31, 0.316],
        5 => [0.29, 0.6, 0.15, 0.06, 0.64, 0.33, 0.3127, 0.329],
        6 | 7 => [0.31, 0.595, 0.155, 0.07, 0.63, 0.34, 0.3127, 0.329],
        8 => [0.243, 0.692, 0.145, 0.049, 0.681, 0.319, 0.31, 0.316],
        9 => [0.17, 0.797, 0.131, 0.046, 0.708, 0.292, 0.3127, 0.329],
        10 => [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.333_333, 0.33333],
        11 => [0.265, 0.69, 0.15, 0.06, 0.68, 0.32, 0.314, 0.351],
        12 => [0.265, 0.69, 0.15, 0.06, 0.68, 0.32, 0.3127, 0.329],
        22 => [0.295, 0.605, 0.155, 0.077, 0.63, 0.34, 0.3127, 0.329],
        _ => return None,
    };
    let z = |x: f32, y: f32| 1.0 - (x + y);
    let (gz, bz, rz, wz) = (z(gx, gy), z(bx, by), z(rx, ry), z(wx, wy));
    let below = wy * (rx * (gy * bz - by * gz) + gx * (by * rz - ry * bz) + bx * (ry * gz - gy * rz));
    let red = ry * (wx * (gy * bz - by * gz) + wy * (bx * gz - gx * bz) + wz * (gx * by - bx * gy)) / below;
    let blue = by * (wx * (ry * gz - gy * rz) + wy * (gx * rz - rx * gz) + wz * (rx * gy - gx * ry)) / below;
    (below != 0.0).then_some((red, blue))
}
