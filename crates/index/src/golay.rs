//! The order of the leaves of wide hashes: by the nearest code word of the binary Golay code.
//!
//! A leaf is a range of keys. Sorted by their first bits, the entries of a leaf share some bits, and a ball of radius 2
//! around a key touches the many leaves that one or two of these bits lead to. The words of the Golay code of 23 bits
//! are spread as evenly as possible: each of the 2²³ values is within 3 bits of exactly one of the 2¹² words (the code
//! is perfect), so that values that share a word are a ball themselves, and a ball of radius t touches only the words
//! within t + 3 of its centre: 22 of 4,096 for t = 2, where it would be 79 ranges of the same size. Sorted by their
//! words, only these are read; and of a word that spans many leaves, not all, because within a word, values are sorted
//! by the first bits of their difference from it. Of 2,423 leaves (a million hashes of 256 bits) a ball of radius 2
//! leads to 28 on average, and of 24,000 to 65; in the order of their bits to 73 and 118.
//!
//! M. J. E. Golay, Notes on digital coding, Proc. IRE 37 (1949) 657; F. J. MacWilliams and N. J. A. Sloane, The Theory
//! of Error-Correcting Codes, chapter 2 §6 and chapter 20.

/// Bits of a value.
pub(crate) const BITS: usize = 23;
/// Bits that determine its word.
const MESSAGE: usize = 12;
const CHECKS: usize = BITS - MESSAGE;
/// x¹¹ + x⁹ + x⁷ + x⁶ + x⁵ + x + 1.
const GENERATOR: u32 = 0b1010_1110_0011;
/// The number of words.
pub(crate) const WORDS: usize = 1 << MESSAGE;
/// 1 + 23 + 253 + 1,771: equal to the number of remainders, because the code is perfect.
const PATTERN_COUNT: usize = 1 << CHECKS;
/// The largest distance of a value from its word.
pub(crate) const RADIUS: u32 = 3;

/// The last bits of each word, by its first bits: the remainder of message · x¹¹ by the generator.
static PARITIES: [u16; WORDS] = parities();
/// Every pattern of at most three bits, in numeric order: the possible differences of a value from its word.
static PATTERNS: [u32; PATTERN_COUNT] = patterns();
/// The index of the pattern, by the remainder of the value.
static RANKS: [u16; PATTERN_COUNT] = ranks();

const fn parities() -> [u16; WORDS] {
    let mut parities = [0; WORDS];
    let mut message = 0;
    while message < WORDS {
        let mut rest = (message as u32) << CHECKS;
        let mut bit = BITS;
        while bit > CHECKS {
            bit -= 1;
            if rest >> bit & 1 == 1 {
                rest ^= GENERATOR << (bit - CHECKS);
            }
        }
        parities[message] = rest as u16;
        message += 1;
    }
    parities
}

const fn patterns() -> [u32; PATTERN_COUNT] {
    let mut patterns = [0; PATTERN_COUNT];
    let mut at = 0;
    // The first set bit, the second, the third: each from none, 0, on.
    let mut first = 0;
    while first <= BITS {
        let mut second = 0;
        while second == 0 || second < first {
            let mut third = 0;
            while third == 0 || third < second {
                patterns[at] = bit(first) | bit(second) | bit(third);
                at += 1;
                third += 1;
            }
            second += 1;
        }
        first += 1;
    }
    patterns
}

/// Bit `number` − 1; none for 0.
const fn bit(number: usize) -> u32 {
    if number == 0 { 0 } else { 1 << (number - 1) }
}

const fn ranks() -> [u16; PATTERN_COUNT] {
    let (parities, patterns) = (parities(), patterns());
    let mut ranks = [0; PATTERN_COUNT];
    let mut rank = 0;
    while rank < PATTERN_COUNT {
        ranks[remainder(&parities, patterns[rank])] = rank as u16;
        rank += 1;
    }
    ranks
}

const fn remainder(parities: &[u16; WORDS], value: u32) -> usize {
    (parities[(value >> CHECKS) as usize] as u32 ^ value & ((1 << CHECKS) - 1)) as usize
}

/// The place of a value of 23 bits in the order: its word, then its difference from the word.
pub(crate) fn place(value: u32) -> u32 {
    let rank = RANKS[remainder(&PARITIES, value)];
    (value ^ PATTERNS[usize::from(rank)]) >> CHECKS << CHECKS | u32::from(rank)
}

/// The inverse of [`place`].
fn value(place: u32) -> u32 {
    let message = place >> CHECKS;
    (message << CHECKS | u32::from(PARITIES[message as usize])) ^ PATTERNS[place as usize % PATTERN_COUNT]
}

/// A word of a row with its first 23 bits replaced by their place.
pub(crate) fn encode(word: u64) -> u64 {
    with_first(word, place)
}

/// The inverse of [`encode`].
#[inline]
pub(crate) fn decode(word: u64) -> u64 {
    with_first(word, value)
}

#[inline]
fn with_first(word: u64, change: impl Fn(u32) -> u32) -> u64 {
    const REST: usize = 64 - BITS;
    u64::from(change((word >> REST) as u32)) << REST | word & ((1 << REST) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumina_hash::bands::flips;
    use std::collections::BTreeSet;

    #[test]
    fn every_value_has_a_place_and_is_near_its_word() {
        let mut seen = vec![false; 1 << BITS];
        for at in 0..1u32 << BITS {
            let place = place(at);
            assert!(!std::mem::replace(&mut seen[place as usize], true), "{at} and another at {place}");
            assert_eq!(value(place), at);
            let message = place >> CHECKS;
            let word = message << CHECKS | u32::from(PARITIES[message as usize]);
            assert!((word ^ at).count_ones() <= RADIUS);
        }
        assert_eq!(decode(encode(0x0123_4567_89ab_cdef)), 0x0123_4567_89ab_cdef);
        assert_eq!(encode(5) & 0xffff, 5);
    }

    #[test]
    fn a_ball_touches_few_words() {
        let mut touched = 0;
        for at in 0..1000u32 {
            let center = at.wrapping_mul(0x9e37_79b9) >> 9;
            let words: BTreeSet<u32> = flips(BITS, 2).map(|flip| place(center ^ flip as u32) >> CHECKS).collect();
            touched += words.len();
        }
        assert!((20_000..23_000).contains(&touched), "{touched}");
    }
}
