//! A ball: every hash within `radius` bits of a centre. The right operand of `<@`.
//!
//! Text form `<hex,radius>`, like a Postgres circle; binary form: the radius as a big-endian `i32`, then the centre's
//! bytes. Radii run from 0 to the width, so a ball is never empty and never more than the whole space.

use crate::hex::{self, HexError};
use crate::width::{MAX_BYTES, WidthError, check_bytes};

/// A ball that borrows its centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ball<'a> {
    center: &'a [u8],
    radius: u32,
}

/// Why a centre and a radius make no ball.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RadiusError {
    /// Less than 0.
    #[error("the radius {0} is negative")]
    Negative(i64),
    /// More bits than the centre has.
    #[error("the radius {radius} is larger than the {bits} bits of the hash")]
    Large {
        /// The radius asked for.
        radius: i64,
        /// The width of the centre.
        bits: usize,
    },
}

/// Why a text or a message is no ball.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BallError {
    /// Not of the form `<hex,radius>`.
    #[error("it is not of the form <hex,radius>")]
    Form,
    /// The centre is no hash.
    #[error("its centre is no hash: {0}")]
    Center(#[from] HexError),
    /// The centre has a width that no hash has.
    #[error("its centre is no hash: {0}")]
    Width(#[from] WidthError),
    /// The radius does not fit the centre.
    #[error(transparent)]
    Radius(#[from] RadiusError),
}

/// Checks a radius against a width in bits.
pub fn check_radius(radius: i64, bits: usize) -> Result<u32, RadiusError> {
    match u32::try_from(radius) {
        Ok(small) if small as usize <= bits => Ok(small),
        _ if radius < 0 => Err(RadiusError::Negative(radius)),
        _ => Err(RadiusError::Large { radius, bits }),
    }
}

impl<'a> Ball<'a> {
    /// The ball around `center`, which must be a hash, with a radius of 0 to its width.
    pub fn new(center: &'a [u8], radius: i64) -> Result<Self, RadiusError> {
        Ok(Ball { center, radius: check_radius(radius, center.len() * 8)? })
    }

    /// The centre's bytes.
    pub fn center(&self) -> &'a [u8] {
        self.center
    }

    /// The radius in bits.
    pub fn radius(&self) -> u32 {
        self.radius
    }

    /// Whether `hash` is in the ball. A hash of another width never is.
    #[inline]
    pub fn contains(&self, hash: &[u8]) -> bool {
        hash.len() == self.center.len() && crate::distance(hash, self.center) <= self.radius
    }

    /// Reads the text form; `buffer` takes the centre. Blanks around the parts and any case of hex are accepted.
    pub fn parse(text: &str, buffer: &'a mut [u8; MAX_BYTES]) -> Result<Self, BallError> {
        let inner = text.trim().strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).ok_or(BallError::Form)?;
        let (center, radius) = inner.split_once(',').ok_or(BallError::Form)?;
        let radius: i64 = radius.trim().parse().map_err(|_| BallError::Form)?;
        Ok(Ball::new(hex::decode(center.trim(), buffer)?, radius)?)
    }

    /// Reads the binary form.
    pub fn from_binary(message: &'a [u8]) -> Result<Self, BallError> {
        let (radius, center) = message.split_first_chunk::<4>().ok_or(BallError::Form)?;
        check_bytes(center)?;
        Ok(Ball::new(center, i64::from(i32::from_be_bytes(*radius)))?)
    }

    /// Writes the binary form.
    pub fn to_binary(&self) -> Vec<u8> {
        [&self.radius.to_be_bytes(), self.center].concat()
    }
}

/// The text form.
impl std::fmt::Display for Ball<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{},{}>", hex::to_string(self.center), self.radius)
    }
}

/// The share of all hashes of `bits` bits that lies in a ball of radius `radius`: Σ C(bits, i) / 2^bits, i ≤ radius.
///
/// Summed in logarithms, since C(4096, 2048) is no `f64`. This is what a query finds among uniformly random hashes;
/// photographs are not that, so it is a floor for estimates rather than an estimate.
pub fn volume(bits: usize, radius: u32) -> f64 {
    if radius as usize >= bits {
        return 1.0;
    }
    let mut ln_term = -(bits as f64) * std::f64::consts::LN_2;
    let mut sum = ln_term.exp();
    for i in 0..radius as usize {
        ln_term += ((bits - i) as f64 / (i + 1) as f64).ln();
        sum += ln_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(Vec<u8>, u32), BallError> {
        Ball::parse(text, &mut [0; MAX_BYTES]).map(|ball| (ball.center().to_vec(), ball.radius()))
    }

    #[test]
    fn golden() {
        assert_eq!(parse("<c3a1,5>"), Ok((vec![0xc3, 0xa1], 5)));
        assert_eq!(parse(" < C3A1 , 16 > "), Ok((vec![0xc3, 0xa1], 16)));
        assert_eq!(Ball::new(&[0xc3, 0xa1], 5).map(|ball| ball.to_string()), Ok("<c3a1,5>".to_owned()));
    }

    #[test]
    fn wrong_balls_name_what_is_wrong() {
        assert_eq!(parse("<c3a1,17>"), Err(BallError::Radius(RadiusError::Large { radius: 17, bits: 16 })));
        assert_eq!(parse("<c3a1,-1>"), Err(BallError::Radius(RadiusError::Negative(-1))));
        assert_eq!(parse("<,1>"), Err(BallError::Center(HexError::Empty)));
        for text in ["", "<", "<>", "<ab>", "ab,1", "<ab,1", "<ab,1,2>", "<ab,99999999999999999999>", "<ab,>"] {
            assert_eq!(parse(text), Err(BallError::Form), "{text}");
        }
        assert_eq!(Ball::from_binary(&[0, 0, 0]), Err(BallError::Form));
        assert_eq!(Ball::from_binary(&[0, 0, 0, 1]), Err(BallError::Width(WidthError::Bytes(0))));
        assert_eq!(Ball::from_binary(&[255, 255, 255, 255, 0]), Err(BallError::Radius(RadiusError::Negative(-1))));
    }

    #[test]
    fn volume_is_the_binomial_sum() {
        for bits in (8..=64).step_by(8) {
            let mut exact = 0u128;
            let mut term = 1u128;
            for radius in 0..=bits as u32 {
                exact += term;
                term = term * (bits as u128 - u128::from(radius)) / u128::from(radius + 1);
                let share = exact as f64 / 2f64.powi(bits as i32);
                assert!((volume(bits, radius) / share - 1.0).abs() < 1e-9, "{bits} {radius}");
            }
        }
        // Half of all hashes lie within half of the (even) width, and half of the middle shell: C(2n, n) / 4^n ≈
        // 1/√(πn).
        let middle = 1.0 / (std::f64::consts::PI * 2048.0).sqrt();
        assert!((volume(4096, 2048) - (0.5 + middle / 2.0)).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn round_trips(center in prop::collection::vec(any::<u8>(), 1..=512), share in 0.0..=1.0f64) {
            let radius = (share * (center.len() * 8) as f64) as i64;
            let ball = Ball::new(&center, radius)?;
            prop_assert_eq!(parse(&ball.to_string()), Ok((center.clone(), radius as u32)));
            let binary = ball.to_binary();
            prop_assert_eq!(Ball::from_binary(&binary), Ok(ball));
        }
    }
}
