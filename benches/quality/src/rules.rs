//! The pair rules that are measured: those of `lumina.detect_duplicates`, and a few for comparison.

use crate::hashes::Hashes;
use lumina_photo::Method;
use lumina_photo::Method::{Average, Dct, Difference, Pdq};

/// A pair rule.
pub(crate) struct Rule {
    /// The name that is printed.
    pub(crate) name: &'static str,
    /// Two images are a pair if in one of these alternatives every hash is within its distance, in bits.
    alternatives: &'static [&'static [(Method, u32)]],
}

/// The default rule.
pub(crate) const CONSENSUS: Rule =
    Rule { name: "`consensus`: aHash ≤ 5 and dHash ≤ 5", alternatives: &[&[(Average, 5), (Difference, 5)]] };

/// The rule `verified`.
pub(crate) const VERIFIED: Rule = Rule {
    name: "`verified`: (dHash ≤ 12 or DCT ≤ 14) and PDQ ≤ 100",
    alternatives: &[&[(Difference, 12), (Pdq, 100)], &[(Dct, 14), (Pdq, 100)]],
};

/// All rules, in the order of the tables.
pub(crate) const ALL: &[Rule] = &[
    CONSENSUS,
    VERIFIED,
    Rule { name: "aHash ≤ 8 and dHash ≤ 8", alternatives: &[&[(Average, 8), (Difference, 8)]] },
    Rule { name: "PDQ ≤ 31", alternatives: &[&[(Pdq, 31)]] },
    Rule { name: "PDQ ≤ 90", alternatives: &[&[(Pdq, 90)]] },
];

impl Rule {
    /// Whether two images are a pair.
    pub(crate) fn near(&self, a: &Hashes, b: &Hashes) -> bool {
        let within = |alternative: &&[(Method, u32)]| {
            alternative.iter().all(|&(method, distance)| a.distance(b, method) <= distance)
        };
        a.trusted() && b.trusted() && self.alternatives.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDQ_OF_100: [u8; 32] = {
        let mut hash = [0; 32];
        let mut byte = 0;
        while byte < 12 {
            hash[byte] = u8::MAX;
            byte += 1;
        }
        hash[12] = 0x0f;
        hash
    };

    fn of_bits(average: u32, difference: u32, dct: u32, pdq: [u8; 32]) -> Hashes {
        let first = |bits: u32| ((1 << bits) - 1) ^ (1 << 63);
        Hashes::fake(first(average), first(difference), first(dct), pdq, 100)
    }

    #[test]
    fn every_hash_of_an_alternative_must_be_within_its_distance() {
        let original = of_bits(0, 0, 0, [0; 32]);
        assert!(CONSENSUS.near(&original, &of_bits(5, 5, 40, [0xff; 32])));
        assert!(!CONSENSUS.near(&original, &of_bits(6, 5, 0, [0; 32])));
        assert!(!CONSENSUS.near(&original, &of_bits(5, 6, 0, [0; 32])));
        assert!(VERIFIED.near(&original, &of_bits(40, 12, 40, PDQ_OF_100)));
        assert!(VERIFIED.near(&original, &of_bits(40, 40, 14, PDQ_OF_100)));
        assert!(!VERIFIED.near(&original, &of_bits(40, 13, 15, PDQ_OF_100)));
        let mut farther = PDQ_OF_100;
        farther[31] = 1;
        assert!(!VERIFIED.near(&original, &of_bits(0, 0, 0, farther)));
    }

    #[test]
    fn what_is_not_trusted_is_near_nothing() {
        let flat = Hashes::fake(1, 1, 1, [0; 32], 49);
        assert!(ALL.iter().all(|rule| !rule.near(&flat, &flat)));
    }

    #[test]
    fn the_rules_of_the_extension_are_measured() {
        let sql = include_str!("../../../sql/catalog/duplicates.sql");
        let hash = |&(method, distance): &(Method, u32)| format!("\"{}\": {distance}", method.name());
        let alternative = |hashes: &&[(Method, u32)]| hashes.iter().map(hash).collect::<Vec<_>>().join(", ");
        let alternatives: Vec<String> =
            VERIFIED.alternatives.iter().map(|hashes| format!("{{{}}}", alternative(hashes))).collect();
        assert!(sql.contains(&format!("rule := '[{}]'", alternatives.join(", "))));
        let [(Average, of_average), (Difference, of_difference)] = CONSENSUS.alternatives[0] else { panic!() };
        let written =
            format!("'ahash', coalesce(max_distance, {of_average}), 'dhash', coalesce(max_distance, {of_difference})");
        assert!(sql.contains(&written));
    }
}
