//! Which contents need not be decoded: those that the catalog has, and those that another file of the same import has.
//!
//! Two files of one content may be read at the same time: the second waits for what becomes of the first, and shares it.

use crate::facts::{Facts, Finding, Outcome};
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
    /// Files that have waited in vain.
    again: Vec<i64>,
    /// Facts of which were found, and have not been written.
    found: HashSet<Sha256>,
}

/// What is to be done now that a file is done with.
#[derive(Debug, Default, PartialEq)]
pub struct Done {
    /// Outcomes that are to be written: of the file, and of those that waited for it.
    pub write: Vec<Outcome>,
    /// Files that are to be looked at anew, as if nothing were known: what they were told is known has not come to anything.
    pub again: Vec<i64>,
}

impl Contents {
    /// Whether a content that was read of `item` is known here. If not, and the catalog has not got it either, say [`Contents::decode`].
    pub fn is_known(&self, item: i64, sha256: &Sha256) -> bool {
        self.found.contains(sha256) || self.decoding.get(sha256).is_some_and(|&other| other != item)
    }

    /// A content is decoded of `item`.
    pub fn decode(&mut self, item: i64, sha256: Sha256) {
        let before = self.of.insert(item, sha256);
        // A file that is looked at once more may be another by then.
        if let Some(before) = before.filter(|before| *before != sha256) {
            self.give_up(&before);
        }
        self.decoding.insert(sha256, item);
    }

    /// Nobody decodes a content any more.
    fn give_up(&mut self, sha256: &Sha256) {
        self.decoding.remove(sha256);
        let waiting = self.waiting.remove(sha256).unwrap_or_default();
        self.again.extend(waiting.iter().map(|outcome| outcome.item));
    }

    /// A file is done with. `is_in_catalog` is asked of contents that nothing is known of here. Errors: its own.
    pub fn done<E>(
        &mut self,
        mut outcome: Outcome,
        is_in_catalog: impl FnOnce(&Sha256) -> Result<bool, E>,
    ) -> Result<Done, E> {
        let decoded = self.of.remove(&outcome.item);
        let mut done = Done::default();
        match content(&mut outcome) {
            Some((sha256, Some(_))) if decoded == Some(sha256) => {
                self.found.insert(sha256);
                self.decoding.remove(&sha256);
                done.write = self.waiting.remove(&sha256).unwrap_or_default();
                done.write.insert(0, outcome);
            }
            // Facts, if it has any, are those that a preview has found. They may be known anew by now.
            Some((sha256, facts)) => {
                if self.decoding.contains_key(&sha256) {
                    *facts = None;
                    self.waiting.entry(sha256).or_default().push(outcome);
                } else if self.found.contains(&sha256) || is_in_catalog(&sha256)? {
                    *facts = None;
                    done.write.push(outcome);
                } else if facts.is_some() {
                    self.found.insert(sha256);
                    done.write.push(outcome);
                } else {
                    done.again.push(outcome.item);
                }
            }
            None => done.write.push(outcome),
        }
        if let Some(sha256) = decoded {
            self.give_up(&sha256);
        }
        done.again.append(&mut self.again);
        Ok(done)
    }

    /// A content of which facts are known elsewhere: of an earlier part of a preview.
    pub fn add(&mut self, sha256: Sha256) {
        self.found.insert(sha256);
    }

    /// What was found is in the catalog by now: these contents.
    pub fn written(&mut self) -> impl Iterator<Item = Sha256> {
        std::mem::take(&mut self.found).into_iter()
    }
}

/// Which contents a catalog has, but for some that it only seems to have: the first 64 bits of each checksum. Most files of an
/// import are new, and of those the catalog need not be asked.
#[derive(Debug, Default)]
pub struct Sieve {
    prefixes: HashSet<u64>,
    is_full: bool,
}

impl Sieve {
    /// The most contents that are kept: 200 MB of them.
    const MOST: usize = 12_000_000;

    /// The catalog has a content that begins so.
    pub fn add(&mut self, sha256: &[u8]) {
        self.is_full |= self.prefixes.len() >= Self::MOST || self.prefixes.try_reserve(1).is_err();
        if !self.is_full {
            self.prefixes.extend(prefix(sha256));
        }
    }

    /// Whether more can be kept. If not, every content may be there.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the catalog may have a content.
    pub fn may_have(&self, sha256: &Sha256) -> bool {
        self.is_full || prefix(sha256).is_none_or(|prefix| self.prefixes.contains(&prefix))
    }
}

fn prefix(sha256: &[u8]) -> Option<u64> {
    sha256.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The checksum of a picture, and where the facts of it are.
fn content(outcome: &mut Outcome) -> Option<(Sha256, &mut Option<Box<Facts>>)> {
    match &mut outcome.finding {
        Finding::Image { sha256, facts, .. } => Some((from_hex(sha256)?, facts)),
        _ => None,
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

    fn image(item: i64, sum: Sha256, has_facts: bool) -> Outcome {
        let facts = has_facts.then(|| Box::new(Facts::default()));
        Outcome {
            item,
            stamp: None,
            finding: Finding::Image { sha256: hex(&sum), reason: None, error: None, facts, date: None },
        }
    }

    /// With a catalog that has nothing.
    fn done(contents: &mut Contents, outcome: Outcome) -> (Vec<i64>, Vec<i64>) {
        let done = contents.done(outcome, |_| Ok::<_, ()>(false)).unwrap();
        (done.write.iter().map(|outcome| outcome.item).collect(), done.again)
    }

    fn failed(item: i64) -> Outcome {
        Outcome { item, stamp: None, finding: Finding::failed("damaged", "so".into()) }
    }

    #[test]
    fn the_second_of_two_waits_for_the_first() {
        let (mut contents, sum) = (Contents::default(), [7; 32]);
        assert!(!contents.is_known(1, &sum));
        contents.decode(1, sum);
        assert!(!contents.is_known(1, &sum), "it may be looked at once more");
        assert!(contents.is_known(2, &sum));
        assert_eq!(done(&mut contents, image(2, sum, false)), (vec![], vec![]));
        assert_eq!(done(&mut contents, image(1, sum, true)), (vec![1, 2], vec![]));
        assert!(contents.is_known(3, &sum));
        assert_eq!(done(&mut contents, image(3, sum, false)), (vec![3], vec![]));
        assert_eq!(contents.written().collect::<Vec<_>>(), [sum]);
        assert!(!contents.is_known(4, &sum), "the catalog is asked from here on");
        let in_catalog = contents.done(image(5, sum, false), |asked| Ok::<_, ()>(*asked == sum)).unwrap();
        assert_eq!((in_catalog.write.len(), in_catalog.again), (1, vec![]));
    }

    #[test]
    fn those_who_wait_in_vain_are_looked_at_again() {
        let (mut contents, sum) = (Contents::default(), [8; 32]);
        contents.decode(1, sum);
        assert_eq!(done(&mut contents, image(2, sum, false)), (vec![], vec![]));
        assert_eq!(done(&mut contents, failed(1)), (vec![1], vec![2]));
        assert!(!contents.is_known(2, &sum));
        // One that was told of the first, and comes when that has failed.
        assert_eq!(done(&mut contents, image(3, sum, false)), (vec![], vec![3]));
    }

    #[test]
    fn of_what_a_preview_has_found_one_is_the_first() {
        let (mut contents, sum) = (Contents::default(), [5; 32]);
        let has_facts = |done: &Done| {
            done.write.iter().map(|o| matches!(&o.finding, Finding::Image { facts: Some(_), .. })).collect::<Vec<_>>()
        };
        // A copy comes before the one that was decoded then: it is looked at anew, and that one is its copy.
        assert_eq!(done(&mut contents, image(2, sum, false)), (vec![], vec![2]));
        contents.decode(2, sum);
        assert_eq!(done(&mut contents, image(1, sum, true)), (vec![], vec![]));
        let all = contents.done(image(2, sum, true), |_| Ok::<_, ()>(false)).unwrap();
        assert_eq!(has_facts(&all), [true, false]);
        assert_eq!(contents.written().count(), 1);
        let late = contents.done(image(3, sum, true), |_| Ok::<_, ()>(true)).unwrap();
        assert_eq!(has_facts(&late), [false]);
    }

    #[test]
    fn a_file_that_is_another_the_second_time_leaves_nobody_waiting() {
        let (mut contents, was, is) = (Contents::default(), [1; 32], [2; 32]);
        contents.decode(1, was);
        assert_eq!(done(&mut contents, image(2, was, false)), (vec![], vec![]));
        contents.decode(1, is);
        assert!(!contents.is_known(3, &was) && contents.is_known(3, &is));
        assert_eq!(done(&mut contents, image(1, is, true)), (vec![1], vec![2]));
        // Or its new content is known.
        let mut contents = Contents::default();
        contents.decode(1, was);
        assert_eq!(done(&mut contents, image(2, was, false)), (vec![], vec![]));
        contents.add(is);
        assert_eq!(done(&mut contents, image(1, is, false)), (vec![1], vec![2]));
        assert!(contents.decoding.is_empty() && contents.of.is_empty() && contents.waiting.is_empty());
    }

    #[test]
    fn a_sieve_lets_nothing_through_that_is_there() {
        let mut sieve = Sieve::default();
        assert!(!sieve.may_have(&[1; 32]));
        sieve.add(&[1; 8]);
        assert!(sieve.may_have(&[1; 32]) && !sieve.may_have(&[2; 32]));
        sieve.is_full = true;
        sieve.add(&[3; 8]);
        assert!(sieve.may_have(&[2; 32]) && !sieve.prefixes.contains(&0x0303_0303_0303_0303));
    }

    #[test]
    fn checksums_go_to_hex_and_back() {
        assert_eq!(from_hex(&hex(&[0xab; 32])), Some([0xab; 32]));
        assert_eq!(from_hex("ab"), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
