//! Values sorted by a band: the buckets of a banded join ([`crate::join`]).

use crate::band::HashBand;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::values::Values;
use lumina_hash::kernel::{PADDING, Planes};
use rayon::prelude::*;
use std::ops::Range;

/// Hashes in buckets by the value of a band, or all in one bucket.
pub(crate) struct Buckets<'a> {
    planes: BucketPlanes<'a>,
    /// The value in each place; empty where value and place are the same.
    order: Vec<u32>,
    /// `starts[v]..starts[v + 1]` are the places of bucket v.
    starts: Vec<u32>,
}

enum BucketPlanes<'a> {
    Copied { words: Vec<u64>, stride: usize },
    Borrowed(Planes<'a>),
}

impl<'a> Buckets<'a> {
    /// All values in one bucket.
    pub(crate) fn single(values: &'a Values) -> Self {
        let starts = vec![0, values.count() as u32];
        Buckets { planes: BucketPlanes::Borrowed(values.planes()), order: Vec::new(), starts }
    }

    /// A bucket for each value of a band of the column whose first plane is `first_plane`.
    ///
    /// Each thread reads all values and keeps those of its own buckets, so that no two write to one place.
    pub(crate) fn sorted(
        values: &'a Values,
        first_plane: usize,
        band: HashBand,
        context: &SearchContext,
    ) -> Result<Self, SearchError> {
        let (count, source) = (values.count(), values.planes());
        let bucket_of = |value: usize| band.value(|plane| source.word(first_plane + plane, value)) as usize;
        let buckets = 1usize << band.width;
        let threads = rayon::current_num_threads();

        let mut starts = context.filled(buckets + 1, 0u32)?;
        let share = buckets.div_ceil(threads);
        starts[1..].par_chunks_mut(share).enumerate().try_for_each(|(thread, counts)| {
            let first = thread * share;
            context.each(0..count, |value| {
                if let Some(bucket) = counts.get_mut(bucket_of(value).wrapping_sub(first)) {
                    *bucket += 1;
                }
            })
        })?;
        for bucket in 1..=buckets {
            starts[bucket] += starts[bucket - 1];
        }

        let depth = source.words.len() / source.stride;
        let stride = count + PADDING;
        let mut words = context.filled(depth * stride, 0u64)?;
        let mut order = context.filled(count, 0u32)?;
        let mut next = context.vec(buckets)?;
        next.extend_from_slice(&starts[..buckets]);
        // Ranges of buckets with about equally many values; what follows the last one is empty.
        let cuts: Vec<usize> = (0..=threads)
            .map(|thread| starts.partition_point(|start| (*start as usize) < count * thread / threads).min(buckets))
            .collect();
        let mut tasks = Vec::with_capacity(threads);
        let (mut rest_order, mut rest_next) = (&mut order[..], &mut next[..]);
        let mut rest_planes: Vec<&mut [u64]> = words.chunks_mut(stride).collect();
        for pair in cuts.windows(2) {
            let range = pair[0]..pair[1];
            let places = starts[range.end] as usize - starts[range.start] as usize;
            let (task_order, after) = std::mem::take(&mut rest_order).split_at_mut(places);
            rest_order = after;
            let (task_next, after) = std::mem::take(&mut rest_next).split_at_mut(range.len());
            rest_next = after;
            let mut task_planes = Vec::with_capacity(depth);
            for plane in &mut rest_planes {
                let (task_plane, after) = std::mem::take(plane).split_at_mut(places);
                *plane = after;
                task_planes.push(task_plane);
            }
            tasks.push((range, task_order, task_next, task_planes));
        }
        tasks.into_par_iter().try_for_each(|(range, order, next, mut planes)| {
            let first_place = starts[range.start];
            context.each(0..count, |value| {
                if let Some(place) = next.get_mut(bucket_of(value).wrapping_sub(range.start)) {
                    let at = (*place - first_place) as usize;
                    *place += 1;
                    order[at] = value as u32;
                    for (p, plane) in planes.iter_mut().enumerate() {
                        plane[at] = source.word(p, value);
                    }
                }
            })
        })?;
        context.free(next);
        Ok(Buckets { planes: BucketPlanes::Copied { words, stride }, order, starts })
    }

    /// The hashes, in their places.
    #[inline(always)]
    pub(crate) fn planes(&self) -> Planes<'_> {
        match &self.planes {
            BucketPlanes::Copied { words, stride } => Planes { words, stride: *stride },
            BucketPlanes::Borrowed(planes) => *planes,
        }
    }

    /// The value in a place.
    #[inline(always)]
    pub(crate) fn value(&self, place: u32) -> u32 {
        self.order.get(place as usize).copied().unwrap_or(place)
    }

    /// How many buckets.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The places of a bucket.
    #[inline(always)]
    pub(crate) fn places(&self, bucket: usize) -> Range<usize> {
        self.starts[bucket] as usize..self.starts[bucket + 1] as usize
    }

    /// The buckets cut into about `parts` ranges with about equally many values.
    pub(crate) fn ranges(&self, parts: usize) -> Vec<Range<usize>> {
        let count = *self.starts.last().unwrap_or(&0) as usize;
        let cut = |part: usize| self.starts.partition_point(|start| (*start as usize) < count * part / parts);
        let mut cuts: Vec<usize> = (1..parts).map(cut).map(|cut| cut.min(self.len())).collect();
        cuts.push(self.len());
        let mut first = 0;
        let ranges = cuts.into_iter().map(|end| std::mem::replace(&mut first, end)..end);
        ranges.filter(|range| !range.is_empty()).collect()
    }

    pub(crate) fn free(self, context: &SearchContext) {
        if let BucketPlanes::Copied { words, .. } = self.planes {
            context.free(words);
            context.free(self.order);
            context.free(self.starts);
        }
    }
}
