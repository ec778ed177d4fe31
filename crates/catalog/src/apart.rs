//! Images that are kept apart: different shots of a burst, and images that somebody has called different.
//!
//! [`crate::images`] collects the labels as they are read and puts them into the order of ranks; the search keeps rows
//! apart by them ([`lumina_search::group::Apart`]). Invariant: an image has at most one label of each set.

use lumina_search::group::Label;
use lumina_search::{SearchContext, SearchError};

/// What labels an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSet {
    /// A burst, by its id: parts are shots.
    Burst(i64),
    /// A decision, by the id of its action: parts are what was called different.
    Decision(i64),
}

impl LabelSet {
    /// Its number, different from that of every other set.
    fn number(self) -> i64 {
        match self {
            Self::Burst(id) => id.wrapping_mul(2),
            Self::Decision(id) => id.wrapping_mul(2).wrapping_add(1),
        }
    }
}

/// Labels as they are read: of images by their ids, in any order.
#[derive(Debug, Default)]
pub(crate) struct ReadLabels(Vec<(i64, Label)>);

impl ReadLabels {
    /// Adds a label. Of two labels of one image and one set, that with the smaller part counts.
    pub(crate) fn push(
        &mut self,
        image: i64,
        set: LabelSet,
        part: i32,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        context.push(&mut self.0, (image, Label { set: set.number(), part }))
    }

    /// Puts the labels into the order of ranks. `ids` are those of all images, by rank.
    pub(crate) fn rank(self, ids: &[i64], context: &SearchContext) -> Result<RankedLabels, SearchError> {
        let ReadLabels(mut read) = self;
        if read.is_empty() {
            return Ok(RankedLabels::default());
        }
        context.sort(&mut read, <(i64, Label)>::cmp)?;
        read.dedup_by_key(|(image, label)| (*image, label.set));
        let labels_of = |image: i64| {
            let first = read.partition_point(|(labelled, _)| *labelled < image);
            read[first..].iter().take_while(move |(labelled, _)| *labelled == image).map(|(_, label)| *label)
        };
        let mut labels = context.vec(read.len())?;
        let mut starts = context.vec(ids.len() + 1)?;
        starts.push(0);
        for (rank, &id) in ids.iter().enumerate() {
            if rank % (1 << 16) == 0 {
                context.check()?;
            }
            labels.extend(labels_of(id));
            starts.push(labels.len() as u32);
        }
        context.free(read);
        if labels.is_empty() {
            context.free(labels);
            context.free(starts);
            return Ok(RankedLabels::default());
        }
        let mut ranked = RankedLabels { starts, labels, keys: context.filled(ids.len(), 0u32)? };
        ranked.set_keys(context)?;
        Ok(ranked)
    }
}

/// Labels by rank; nothing where no image has any.
#[derive(Debug, Default)]
pub(crate) struct RankedLabels {
    starts: Vec<u32>,
    labels: Vec<Label>,
    /// Images have one key if they have the same labels; 0 where there are none.
    keys: Vec<u32>,
}

impl RankedLabels {
    fn set_keys(&mut self, context: &SearchContext) -> Result<(), SearchError> {
        let mut labelled = context.vec(self.keys.len())?;
        labelled.extend((0..self.keys.len() as u32).filter(|rank| !self.of(*rank).is_empty()));
        context.sort(&mut labelled, |a: &u32, b| self.of(*a).cmp(self.of(*b)))?;
        let mut key = 0;
        for at in 0..labelled.len() {
            if at == 0 || self.of(labelled[at - 1]) != self.of(labelled[at]) {
                key += 1;
            }
            self.keys[labelled[at] as usize] = key;
        }
        context.free(labelled);
        Ok(())
    }

    /// Whether no image has a label.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels of an image, ascending.
    pub(crate) fn of(&self, rank: u32) -> &[Label] {
        match self.starts.get(rank as usize..rank as usize + 2) {
            Some(ends) => &self.labels[ends[0] as usize..ends[1] as usize],
            None => &[],
        }
    }

    /// The key of an image's labels.
    pub(crate) fn key(&self, rank: u32) -> u32 {
        self.keys.get(rank as usize).copied().unwrap_or(0)
    }
}
