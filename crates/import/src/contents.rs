//! Which contents need no decoding: those of the catalog, and those of another file of the same import.
//!
//! Two files of one content may be read at the same time: the second waits for the outcome of the first, and shares it.

use crate::facts::{Facts, FileOutcome, Finding};
use std::collections::{HashMap, HashSet};

/// A checksum.
pub type Sha256 = [u8; 32];

/// Contents of an import that are not in the catalog yet.
#[derive(Debug, Default)]
pub struct Contents {
    /// Contents that are being decoded, each with its file.
    decoding: HashMap<Sha256, i64>,
    of: HashMap<i64, Sha256>,
    /// Files whose content is being decoded from another file.
    waiting: HashMap<Sha256, Vec<FileOutcome>>,
    /// Files that waited for a decoding that failed.
    revisit: Vec<i64>,
    /// Contents with new facts that are not written yet.
    found: HashSet<Sha256>,
}

/// What to do after a file.
#[derive(Debug, Default, PartialEq)]
pub struct FollowUp {
    /// Outcomes to write: of the file, and of those that waited for it.
    pub write: Vec<FileOutcome>,
    /// Files to visit again as if nothing were known: the decoding that they relied on has failed.
    pub revisit: Vec<i64>,
}

impl Contents {
    /// Whether the content of `item` is known here. If not, and it is not in the catalog either, call
    /// [`Contents::decode`].
    pub fn is_known(&self, item: i64, sha256: &Sha256) -> bool {
        self.found.contains(sha256) || self.decoding.get(sha256).is_some_and(|&other| other != item)
    }

    /// Registers that a content is being decoded from `item`.
    pub fn decode(&mut self, item: i64, sha256: Sha256) {
        let before = self.of.insert(item, sha256);
        // A file that is visited again may have changed by then.
        if let Some(before) = before.filter(|before| *before != sha256) {
            self.give_up(&before);
        }
        self.decoding.insert(sha256, item);
    }

    /// No file decodes this content any more.
    fn give_up(&mut self, sha256: &Sha256) {
        self.decoding.remove(sha256);
        let waiting = self.waiting.remove(sha256).unwrap_or_default();
        self.revisit.extend(waiting.iter().map(|outcome| outcome.item));
    }

    /// Handles the outcome of a file. `is_in_catalog` is asked about contents that are unknown here. Errors: its own.
    pub fn finish<E>(
        &mut self,
        mut outcome: FileOutcome,
        is_in_catalog: impl FnOnce(&Sha256) -> Result<bool, E>,
    ) -> Result<FollowUp, E> {
        let decoded = self.of.remove(&outcome.item);
        let mut follow_up = FollowUp::default();
        match content(&mut outcome) {
            Some((sha256, Some(_))) if decoded == Some(sha256) => {
                self.found.insert(sha256);
                self.decoding.remove(&sha256);
                follow_up.write = self.waiting.remove(&sha256).unwrap_or_default();
                follow_up.write.insert(0, outcome);
            }
            // Facts, if any, are those of a preview. Another file may have made them known by now.
            Some((sha256, facts)) => {
                if self.decoding.contains_key(&sha256) {
                    *facts = None;
                    self.waiting.entry(sha256).or_default().push(outcome);
                } else if self.found.contains(&sha256) || is_in_catalog(&sha256)? {
                    *facts = None;
                    follow_up.write.push(outcome);
                } else if facts.is_some() {
                    self.found.insert(sha256);
                    follow_up.write.push(outcome);
                } else {
                    follow_up.revisit.push(outcome.item);
                }
            }
            None => follow_up.write.push(outcome),
        }
        if let Some(sha256) = decoded {
            self.give_up(&sha256);
        }
        follow_up.revisit.append(&mut self.revisit);
        Ok(follow_up)
    }

    /// Adds a content with facts from elsewhere: an earlier part of a preview.
    pub fn add(&mut self, sha256: Sha256) {
        self.found.insert(sha256);
    }

    /// Drains the new contents, which are in the catalog now.
    pub fn written(&mut self) -> impl Iterator<Item = Sha256> {
        std::mem::take(&mut self.found).into_iter()
    }
}

/// The contents of a catalog, with some false positives: the first 64 bits of each checksum. Most files of an import
/// are new, and for those the catalog need not be asked.
#[derive(Debug, Default)]
pub struct KnownChecksums {
    prefixes: HashSet<u64>,
    is_full: bool,
}

impl KnownChecksums {
    /// The most contents: 200 MB of them.
    const MOST: usize = 12_000_000;

    /// Adds a content of the catalog by its first bytes.
    pub fn add(&mut self, sha256: &[u8]) {
        self.is_full |= self.prefixes.len() >= Self::MOST || self.prefixes.try_reserve(1).is_err();
        if !self.is_full {
            self.prefixes.extend(prefix(sha256));
        }
    }

    /// Whether it is full. If so, every content may be in the catalog.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the catalog may have a content.
    pub fn may_contain(&self, sha256: &Sha256) -> bool {
        self.is_full || prefix(sha256).is_none_or(|prefix| self.prefixes.contains(&prefix))
    }
}

fn prefix(sha256: &[u8]) -> Option<u64> {
    sha256.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The checksum of a picture, and its facts.
fn content(outcome: &mut FileOutcome) -> Option<(Sha256, &mut Option<Box<Facts>>)> {
    match &mut outcome.finding {
        Finding::Image { sha256, facts, .. } => Some((from_hex(sha256)?, facts)),
        _ => None,
    }
}

/// The checksum of 64 hex digits.
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

    fn image(item: i64, sha256: Sha256, has_facts: bool) -> FileOutcome {
        let facts = has_facts.then(|| Box::new(Facts::default()));
        FileOutcome {
            item,
            file_status: None,
            finding: Finding::Image { sha256: hex(&sha256), reason: None, error: None, facts, date: None },
        }
    }

    /// Calls `finish` with an empty catalog.
    fn done(contents: &mut Contents, outcome: FileOutcome) -> (Vec<i64>, Vec<i64>) {
        let follow_up = contents.finish(outcome, |_| Ok::<_, ()>(false)).unwrap();
        (follow_up.write.iter().map(|outcome| outcome.item).collect(), follow_up.revisit)
    }

    fn failed(item: i64) -> FileOutcome {
        FileOutcome { item, file_status: None, finding: Finding::failed("damaged", "so".into()) }
    }

    #[test]
    fn the_second_of_two_waits_for_the_first() {
        let (mut contents, sha256) = (Contents::default(), [7; 32]);
        assert!(!contents.is_known(1, &sha256));
        contents.decode(1, sha256);
        assert!(!contents.is_known(1, &sha256), "it may be looked at once more");
        assert!(contents.is_known(2, &sha256));
        assert_eq!(done(&mut contents, image(2, sha256, false)), (vec![], vec![]));
        assert_eq!(done(&mut contents, image(1, sha256, true)), (vec![1, 2], vec![]));
        assert!(contents.is_known(3, &sha256));
        assert_eq!(done(&mut contents, image(3, sha256, false)), (vec![3], vec![]));
        assert_eq!(contents.written().collect::<Vec<_>>(), [sha256]);
        assert!(!contents.is_known(4, &sha256), "the catalog is asked from here on");
        let in_catalog = contents.finish(image(5, sha256, false), |asked| Ok::<_, ()>(*asked == sha256)).unwrap();
        assert_eq!((in_catalog.write.len(), in_catalog.revisit), (1, vec![]));
    }

    #[test]
    fn those_who_wait_in_vain_are_looked_at_again() {
        let (mut contents, sha256) = (Contents::default(), [8; 32]);
        contents.decode(1, sha256);
        assert_eq!(done(&mut contents, image(2, sha256, false)), (vec![], vec![]));
        assert_eq!(done(&mut contents, failed(1)), (vec![1], vec![2]));
        assert!(!contents.is_known(2, &sha256));
        // A file that was told of the first one, and arrives when that has failed.
        assert_eq!(done(&mut contents, image(3, sha256, false)), (vec![], vec![3]));
    }

    #[test]
    fn of_what_a_preview_has_found_one_is_the_first() {
        let (mut contents, sha256) = (Contents::default(), [5; 32]);
        let has_facts = |follow_up: &FollowUp| {
            follow_up
                .write
                .iter()
                .map(|o| matches!(&o.finding, Finding::Image { facts: Some(_), .. }))
                .collect::<Vec<_>>()
        };
        // A copy arrives first: it is visited again and decodes, and the file with facts becomes its copy.
        assert_eq!(done(&mut contents, image(2, sha256, false)), (vec![], vec![2]));
        contents.decode(2, sha256);
        assert_eq!(done(&mut contents, image(1, sha256, true)), (vec![], vec![]));
        let all = contents.finish(image(2, sha256, true), |_| Ok::<_, ()>(false)).unwrap();
        assert_eq!(has_facts(&all), [true, false]);
        assert_eq!(contents.written().count(), 1);
        let late = contents.finish(image(3, sha256, true), |_| Ok::<_, ()>(true)).unwrap();
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
        // The new content may also be known.
        let mut contents = Contents::default();
        contents.decode(1, was);
        assert_eq!(done(&mut contents, image(2, was, false)), (vec![], vec![]));
        contents.add(is);
        assert_eq!(done(&mut contents, image(1, is, false)), (vec![1], vec![2]));
        assert!(contents.decoding.is_empty() && contents.of.is_empty() && contents.waiting.is_empty());
    }

    #[test]
    fn known_checksums_contain_every_one_that_was_added() {
        let mut known = KnownChecksums::default();
        assert!(!known.may_contain(&[1; 32]));
        known.add(&[1; 8]);
        assert!(known.may_contain(&[1; 32]) && !known.may_contain(&[2; 32]));
        known.is_full = true;
        known.add(&[3; 8]);
        assert!(known.may_contain(&[2; 32]) && !known.prefixes.contains(&0x0303_0303_0303_0303));
    }

    #[test]
    fn checksums_go_to_hex_and_back() {
        assert_eq!(from_hex(&hex(&[0xab; 32])), Some([0xab; 32]));
        assert_eq!(from_hex("ab"), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
