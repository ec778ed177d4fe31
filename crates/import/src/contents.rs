//! Which contents need not be decoded: those that the catalog has, and those that another file of the same import has.
//!
//! Two files of one content may be read at the same time: the second waits for what becomes of the first, and shares it.

use crate::facts::{Finding, Outcome};
use std::collections::{HashMap, HashSet};

/// A checksum.
pub type Sha256 = [u8; 32];

/// Contents of an import that are not in the catalog yet.
#[derive(Debug, Default)]
pub struct Contents {
    /// Being decoded, with the file that they are decoded of.
    decoding: HashMap<Sha256, i64>,
    of: HashMap<i64, Sha256>,
    /// Files of a content that is being decoded of another.
    waiting: HashMap<Sha256, Vec<Outcome>>,
    /// Facts of which were found, and have not been written.
    found: HashSet<Sha256>,
}

impl Contents {
    /// Whether a content that was read of `item` is known here. If not, and the catalog has not got it either, say [`Contents::decode`].
    pub fn is_known(&self, item: i64, sha256: &Sha256) -> bool {
        self.found.contains(sha256) || self.decoding.get(sha256).is_some_and(|&other| other != item)
    }

    /// A content is decoded of `item`.
    pub fn decode(&mut self, item: i64, sha256: Sha256) {
        self.decoding.insert(sha256, item);
        self.of.insert(item, sha256);
    }

    /// A file is done with: the outcomes that are to be written now, of it and of those that waited for it.
    pub fn done(&mut self, outcome: Outcome) -> Vec<Outcome> {
        let Some(sha256) = self.of.remove(&outcome.item) else {
            return match &outcome.finding {
                Finding::Image { sha256, facts: None, .. } => self.of_another(sha256.clone(), outcome),
                _ => vec![outcome],
            };
        };
        self.decoding.remove(&sha256);
        let mut all = self.waiting.remove(&sha256).unwrap_or_default();
        match &outcome.finding {
            Finding::Image { facts: Some(_), .. } => {
                self.found.insert(sha256);
            }
            // What is wrong with the one is wrong with the others.
            finding => all.iter_mut().for_each(|other| other.finding = finding.clone()),
        }
        all.insert(0, outcome);
        all
    }

    fn of_another(&mut self, sha256: String, outcome: Outcome) -> Vec<Outcome> {
        match from_hex(&sha256).filter(|sha256| self.decoding.contains_key(sha256)) {
            Some(sha256) => {
                self.waiting.entry(sha256).or_default().push(outcome);
                Vec::new()
            }
            None => vec![outcome],
        }
    }

    /// A content of which facts are known elsewhere: of an earlier part of a preview.
    pub fn add(&mut self, sha256: Sha256) {
        self.found.insert(sha256);
    }

    /// What was found is in the catalog by now.
    pub fn written(&mut self) {
        self.found.clear();
    }
}

/// The checksum of so many digits.
pub fn from_hex(text: &str) -> Option<Sha256> {
    let mut sha256 = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in sha256.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(sha256)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::analyze::hex;
    use crate::facts::Facts;

    fn image(item: i64, sum: Sha256, has_facts: bool) -> Outcome {
        let facts = has_facts.then(|| Box::new(Facts::default()));
        Outcome { item, stamp: None, finding: Finding::Image { sha256: hex(&sum), reason: None, error: None, facts } }
    }

    #[test]
    fn the_second_of_two_waits_for_the_first() {
        let (mut contents, sum) = (Contents::default(), [7; 32]);
        assert!(!contents.is_known(1, &sum));
        contents.decode(1, sum);
        assert!(!contents.is_known(1, &sum), "it may be looked at once more");
        assert!(contents.is_known(2, &sum));
        assert_eq!(contents.done(image(2, sum, false)), []);
        let done: Vec<i64> = contents.done(image(1, sum, true)).iter().map(|outcome| outcome.item).collect();
        assert_eq!(done, [1, 2]);
        assert!(contents.is_known(3, &sum));
        assert_eq!(contents.done(image(3, sum, false)).len(), 1);
        contents.written();
        assert!(!contents.is_known(4, &sum), "the catalog is asked from here on");
    }

    #[test]
    fn what_fails_fails_for_all() {
        let (mut contents, sum) = (Contents::default(), [8; 32]);
        contents.decode(1, sum);
        assert_eq!(contents.done(image(2, sum, false)), []);
        let failed = Finding::failed("damaged", "so".into());
        let done = contents.done(Outcome { item: 1, stamp: None, finding: failed.clone() });
        assert_eq!(
            done.iter().map(|outcome| (outcome.item, &outcome.finding)).collect::<Vec<_>>(),
            [(1, &failed), (2, &failed)]
        );
        assert!(!contents.is_known(3, &sum));
    }

    #[test]
    fn checksums_go_to_hex_and_back() {
        assert_eq!(from_hex(&hex(&[0xab; 32])), Some([0xab; 32]));
        assert_eq!(from_hex("ab"), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
