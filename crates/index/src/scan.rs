//! A search: everything within a radius, the nearest first, or both.
//!
//! Hits are numbers, distance · 2⁴⁸ + TID (or the TID alone if no order is requested), and are returned in ascending
//! order. A *sweep* searches the whole index and keeps the smallest of them above the *floor*, the last one returned,
//! as many as memory holds; when these are returned, the next sweep continues from there. So memory is bounded, no hit
//! is returned twice, and a sweep that finds a moved page can restart: a hit is right whenever it is found, because a
//! heap TID that the scan may see keeps its hash and stays in the index.
//!
//! A search for the nearest of hashes up to 128 bits first searches a radius that costs little, then every search for
//! the nearest sweeps in passes: the first keeps a few hundred hits, and every further one sixteen times as many. NULLs
//! come last, as in a sort.

use crate::cost::{self, Probe};
use crate::entries::{Entries, StoredTid, tid_of};
use crate::error::Corrupted;
use crate::golay;
use crate::index::Index;
use crate::layout::{Layout, PackedHash};
use crate::meta::{Meta, RunRef};
use crate::page::{BODY, PageKind};
use crate::run::Root;
use crate::store::{Store, reserve};
use crate::view::{IndexView, KeyRange, LeafWalk, ProbeWalk, ReadError};
use lumina_hash::Hit;
use lumina_hash::bands::flips;
use lumina_hash::kernel::Kernels;
use std::ops::Range;

/// The bit position of the distance in a key.
const DISTANCE_SHIFT: u32 = 48;
/// Hits that the first pass for the nearest keeps.
const FIRST_KEPT: usize = 256;
/// The growth factor of each further pass.
const GROWTH: usize = 16;
/// The most hits that a pass keeps, whatever memory there is: a sort of twice as many has no cancel check.
const MAX_KEPT: usize = 1 << 21;
/// The most entries of a page.
const MAX_ENTRIES_PER_PAGE: usize = BODY / size_of::<StoredTid>();

/// The order of hits, as ORDER BY asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    /// By distance from this hash; NULLs last.
    DistanceFrom(PackedHash),
    /// By distance from NULL: every distance is NULL, so that all rows come, in any order.
    Null,
}

/// What a search is for: the scan keys and the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Only hashes within this many bits of this one.
    pub ball: Option<(PackedHash, u32)>,
    /// The order. With neither ball nor order, everything but NULLs is found.
    pub order: Option<OrderBy>,
}

/// What one phase of a search finds.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "a scan has two or three of them")]
enum Phase {
    /// Hashes within a radius.
    Near { center: PackedHash, radius: u32, order: Measure, may_probe: bool },
    /// NULLs.
    Nulls,
}

/// The measure that hits are ordered by.
#[derive(Clone, Copy)]
enum Measure {
    Tid,
    /// The distance from the centre.
    Distance,
    /// The distance from another hash.
    From(PackedHash),
}

/// Receives hits.
trait HitSink {
    /// Farther hits are not needed.
    fn radius(&self) -> u32;
    fn hit(&mut self, key: u64);
    /// Called before the first page and after each, with no page locked: reserves memory for the hits of the next one.
    fn make_room(&mut self, store: &impl Store);
}

/// Keeps the smallest hits above a floor.
struct Smallest {
    floor: Option<u64>,
    limit: u64,
    kept: usize,
    keys: Vec<u64>,
    is_full: bool,
}

impl HitSink for Smallest {
    fn radius(&self) -> u32 {
        (self.limit >> DISTANCE_SHIFT) as u32
    }

    fn hit(&mut self, key: u64) {
        if key > self.limit || self.floor.is_some_and(|floor| key <= floor) {
            return;
        }
        self.keys.push(key);
    }

    fn make_room(&mut self, store: &impl Store) {
        if self.keys.len() >= self.kept * 2 {
            let (_, last, _) = self.keys.select_nth_unstable(self.kept - 1);
            self.limit = *last;
            self.keys.truncate(self.kept);
            self.is_full = true;
        }
        reserve(store, &mut self.keys, MAX_ENTRIES_PER_PAGE);
    }
}

/// Passes on TIDs in batches, unordered.
struct TidStream<'f> {
    tids: Vec<u64>,
    each: &'f mut dyn FnMut(&[u64]),
}

impl HitSink for TidStream<'_> {
    fn radius(&self) -> u32 {
        u32::MAX
    }

    fn hit(&mut self, key: u64) {
        self.tids.push(key);
    }

    fn make_room(&mut self, store: &impl Store) {
        if self.tids.len() >= 1024 {
            (self.each)(&self.tids);
            self.tids.clear();
        }
        reserve(store, &mut self.tids, MAX_ENTRIES_PER_PAGE);
    }
}

/// A search in progress. It holds no page, no lock and no memory beyond its hits.
pub struct HammingScan {
    query: Query,
    most_kept: usize,
    kept: usize,
    floor: Option<u64>,
    /// The phases that are still to come, each with its initial floor, the next one last; `None` before the first.
    phases: Option<Vec<(Phase, Option<u64>)>>,
    current: Option<Phase>,
    batch: Vec<u64>,
    at: usize,
}

impl HammingScan {
    /// A search that keeps at most `memory` bytes of hits.
    pub fn new(query: Query, memory: usize) -> Self {
        let most_kept = (memory / 16).clamp(FIRST_KEPT, MAX_KEPT);
        HammingScan { query, most_kept, kept: 0, floor: None, phases: None, current: None, batch: Vec::new(), at: 0 }
    }

    /// Whether hits are candidates that the caller must recheck: wide hashes found by the first bits of a band.
    pub fn needs_recheck(&self, layout: &Layout) -> bool {
        !layout.is_exact() && self.query.ball.is_some() && !matches!(self.query.order, Some(OrderBy::DistanceFrom(_)))
    }

    /// The phases of the search, the first one last; each with its initial floor.
    fn plan<S: Store>(&self, index: &Index<'_, S>) -> Result<Vec<(Phase, Option<u64>)>, Corrupted> {
        let layout = index.layout();
        let bits = layout.bits() as u32;
        let near = |center, radius, order, may_probe| Phase::Near { center, radius, order, may_probe };
        Ok(match (self.query.ball, self.query.order) {
            (Some((center, radius)), Some(OrderBy::DistanceFrom(row))) => {
                let order = if row == center { Measure::Distance } else { Measure::From(row) };
                vec![(near(center, radius.min(bits), order, layout.is_exact()), None)]
            }
            (Some((center, radius)), _) => vec![(near(center, radius.min(bits), Measure::Tid, true), None)],
            (None, Some(OrderBy::DistanceFrom(row))) => {
                let first_radius = cost::first_radius(&Meta::load(index.store())?);
                let floor = first_radius.map(|radius| ((u64::from(radius) + 1) << DISTANCE_SHIFT) - 1);
                let mut phases = vec![(Phase::Nulls, None), (near(row, bits, Measure::Distance, false), floor)];
                phases.extend(first_radius.map(|radius| (near(row, radius, Measure::Distance, true), None)));
                phases
            }
            (None, order) => {
                let all = near([0; _], bits, Measure::Tid, false);
                let nulls = order.map(|_| (Phase::Nulls, None));
                nulls.into_iter().chain([(all, None)]).collect()
            }
        })
    }

    /// The next TID; `None` at the end.
    pub fn next<S: Store>(&mut self, index: &Index<'_, S>) -> Result<Option<u64>, Corrupted> {
        loop {
            if let Some(key) = self.batch.get(self.at) {
                self.at += 1;
                return Ok(Some(key & ((1 << DISTANCE_SHIFT) - 1)));
            }
            let Some(phase) = self.next_phase(index)? else { return Ok(None) };
            let mut sink = Smallest {
                floor: self.floor,
                limit: u64::MAX,
                kept: self.kept,
                keys: std::mem::take(&mut self.batch),
                is_full: false,
            };
            sink.keys.clear();
            sweep(index, &phase, &mut sink)?;
            sink.keys.sort_unstable();
            sink.keys.dedup();
            if sink.is_full {
                // The last hit is the floor of the next sweep.
                self.floor = Some(sink.limit);
                self.kept = self.kept.saturating_mul(GROWTH).min(self.most_kept);
                self.current = Some(phase);
            }
            self.batch = sink.keys;
            self.at = 0;
        }
    }

    fn next_phase<S: Store>(&mut self, index: &Index<'_, S>) -> Result<Option<Phase>, Corrupted> {
        if let Some(phase) = self.current.take() {
            return Ok(Some(phase));
        }
        let mut phases = match self.phases.take() {
            Some(phases) => phases,
            None => self.plan(index)?,
        };
        let next = phases.pop();
        self.phases = Some(phases);
        Ok(next.map(|(phase, floor)| {
            self.floor = floor;
            let keeps_few = matches!(phase, Phase::Near { order: Measure::Distance, may_probe: false, .. });
            self.kept = if keeps_few { FIRST_KEPT } else { self.most_kept };
            phase
        }))
    }

    /// Passes on all TIDs in batches, unordered, some of them repeatedly.
    pub fn each<S: Store>(&self, index: &Index<'_, S>, each: &mut dyn FnMut(&[u64])) -> Result<(), Corrupted> {
        let mut sink = TidStream { tids: Vec::new(), each };
        for (phase, _) in self.plan(index)?.into_iter().rev() {
            let phase = match phase {
                Phase::Near { center, radius, may_probe, .. } => {
                    Phase::Near { center, radius, order: Measure::Tid, may_probe }
                }
                Phase::Nulls => Phase::Nulls,
            };
            sweep(index, &phase, &mut sink)?;
        }
        (sink.each)(&sink.tids);
        Ok(())
    }
}

/// Searches the whole index, again if a page has moved: parts that are done and still listed are not repeated.
fn sweep<S: Store>(index: &Index<'_, S>, phase: &Phase, sink: &mut impl HitSink) -> Result<(), Corrupted> {
    let mut done = Vec::new();
    sink.make_room(index.store());
    loop {
        let view = IndexView::new(index.store())?;
        match (Sweep { view: &view, phase, hits: Vec::new() }).all(&mut done, sink) {
            Ok(()) => return Ok(()),
            Err(error) => error.retry_if_moved(index.store())?,
        }
        index.store().check_for_interrupts();
    }
}

/// One search of the index by one copy of block 0.
struct Sweep<'v, 's, S: Store> {
    view: &'v IndexView<'s, S>,
    phase: &'v Phase,
    hits: Vec<Hit>,
}

impl<S: Store> Sweep<'_, '_, S> {
    fn all(&mut self, done: &mut Vec<u64>, sink: &mut impl HitSink) -> Result<(), ReadError> {
        // The most volatile part first: it is the most likely to move.
        let meta = &self.view.meta;
        let wanted = if matches!(self.phase, Phase::Nulls) { PageKind::StagingNulls } else { PageKind::Staging };
        for batch in [&meta.staging, &meta.sealed] {
            for page in batch.pages().filter(|(_, kind)| *kind == wanted) {
                self.staging(page, batch.generation, sink)?;
            }
        }
        for run in meta.runs.iter().rev() {
            if !done.contains(&run.generation) {
                self.run(run, sink)?;
                done.push(run.generation);
            }
        }
        Ok(())
    }

    fn staging(&mut self, page: (u32, PageKind), generation: u64, sink: &mut impl HitSink) -> Result<(), ReadError> {
        let words = self.view.layout().words();
        let (phase, hits) = (self.phase, &mut self.hits);
        self.view.staging(page, generation, |entries| {
            let tid = |at: usize| tid_of(entries.tids[entries.len() - 1 - at]);
            match phase {
                Phase::Nulls => (0..entries.len()).for_each(|at| sink.hit(tid(at))),
                Phase::Near { center, radius, order, .. } => {
                    hits.clear();
                    let radius = radius_to_search(*radius, order, sink);
                    Kernels::best().within(&center[..words], entries.words, radius, hits);
                    for hit in hits.iter() {
                        sink.hit(key(order, hit.distance, entries.row(hit.row), tid(hit.row)));
                    }
                }
            }
        })?;
        sink.make_room(self.view.store);
        self.view.store.check_for_interrupts();
        Ok(())
    }

    fn run(&mut self, run: &RunRef, sink: &mut impl HitSink) -> Result<(), ReadError> {
        let layout = *self.view.layout();
        let roots = self.view.roots(run)?;
        match self.phase {
            Phase::Nulls => self.pass(run, layout.null_band(), roots[layout.null_band()], sink),
            Phase::Near { radius, may_probe: true, .. } => match cost::probing(&layout, run.entries, *radius) {
                Some((probes, _)) => {
                    if self.view.store.read_ahead() > 0 {
                        probes.iter().for_each(|probe| self.view.prefetch(roots[probe.band].block));
                    }
                    probes.iter().try_for_each(|probe| self.probe(run, *probe, roots[probe.band], sink))
                }
                None => self.pass(run, 0, roots[0], sink),
            },
            Phase::Near { .. } => self.pass(run, 0, roots[0], sink),
        }
    }

    /// Every entry of a band: of band 0, or of the NULLs.
    fn pass(&mut self, run: &RunRef, band: usize, root: Root, sink: &mut impl HitSink) -> Result<(), ReadError> {
        let words = self.view.layout().words();
        let mut leaves = LeafWalk::of(root);
        while let Some(block) = leaves.next(self.view, run, band)? {
            let (phase, hits) = (self.phase, &mut self.hits);
            self.view.leaf(run, band, block, |entries| {
                match phase {
                    Phase::Nulls => entries.tids.iter().for_each(|tid| sink.hit(tid_of(*tid))),
                    Phase::Near { center, radius, order, .. } => {
                        hits.clear();
                        let radius = radius_to_search(*radius, order, sink);
                        Kernels::best().within(&center[..words], entries.words, radius, hits);
                        for hit in hits.iter() {
                            sink.hit(key(order, hit.distance, entries.row(hit.row), tid_of(entries.tids[hit.row])));
                        }
                    }
                }
                Ok(())
            })?;
            sink.make_room(self.view.store);
            self.view.store.check_for_interrupts();
        }
        Ok(())
    }

    fn probe(&mut self, run: &RunRef, probe: Probe, root: Root, sink: &mut impl HitSink) -> Result<(), ReadError> {
        let Phase::Near { center, radius, order, .. } = self.phase else { return Ok(()) };
        if root.block == Root::NONE {
            return Ok(());
        }
        let layout = *self.view.layout();
        let first = layout.rotated(center, probe.band)[0];
        let order = match order {
            Measure::From(row) => Measure::From(layout.rotated(row, probe.band)),
            other => *other,
        };
        let (kept, half) = layout.kept(center, probe.band);
        let words = &kept[..layout.shape(probe.band).words];
        let hits = &mut self.hits;
        let ranges = ranges(self.view.store, first, probe);
        let mut leaves = ProbeWalk::of(root, &ranges);
        while let Some(leaf) = leaves.next(self.view, run, probe.band)? {
            self.view.entries_in_ranges(run, probe.band, leaf, &ranges, |entries, found| {
                hits_among(entries, found, (words, half, probe.is_coded), *radius, hits);
                for hit in hits.iter() {
                    sink.hit(key(&order, hit.distance, entries.row(hit.row), tid_of(entries.tids[hit.row])));
                }
            })?;
            sink.make_room(self.view.store);
            self.view.store.check_for_interrupts();
        }
        Ok(())
    }
}

/// The radius to search: hits are returned by distance from the centre alone, so those that are too far need not be
/// found.
fn radius_to_search(radius: u32, order: &Measure, sink: &impl HitSink) -> u32 {
    if matches!(order, Measure::Distance) { radius.min(sink.radius()) } else { radius }
}

fn key(order: &Measure, distance: u32, row: &[u64], tid: u64) -> u64 {
    let distance = match order {
        Measure::Tid => return tid,
        Measure::Distance => distance,
        Measure::From(from) => row.iter().zip(from).map(|(a, b)| (a ^ b).count_ones()).sum(),
    };
    u64::from(distance) << DISTANCE_SHIFT | tid
}

/// Sets `hits` to the entries among `found` within `radius`, by the bits that they keep.
fn hits_among(
    entries: Entries<'_>,
    found: Range<usize>,
    (words, half, is_coded): (&[u64], u32, bool),
    radius: u32,
    hits: &mut Vec<Hit>,
) {
    hits.clear();
    if entries.shape.half {
        let plain = |word: u64| if is_coded { golay::decode(word) } else { word };
        let center = plain(words[0]);
        for row in found {
            let distance = (plain(entries.words[row]) ^ center).count_ones() + (entries.half(row) ^ half).count_ones();
            if distance <= radius {
                hits.push(Hit { row, distance });
            }
        }
        return;
    }
    let stretch = &entries.words[found.start * words.len()..found.end * words.len()];
    Kernels::best().within(words, stretch, radius, hits);
    hits.iter_mut().for_each(|hit| hit.row += found.start);
}

/// The ranges of keys that a probe searches, ascending; adjacent values form one range.
fn ranges(store: &impl Store, key: u64, probe: Probe) -> Vec<KeyRange> {
    let shift = 64 - probe.width as u32;
    let mut values: Vec<u64> = Vec::new();
    for flip in flips(probe.width, probe.tolerance) {
        reserve(store, &mut values, 1);
        let value = (key >> shift) ^ flip;
        values.push(if probe.is_coded { golay::place(value as u32).into() } else { value });
    }
    values.sort_unstable();
    let mut ranges: Vec<KeyRange> = Vec::new();
    reserve(store, &mut ranges, values.len());
    for value in values {
        let first = value << shift;
        let last = first | ((1 << shift) - 1);
        match ranges.last_mut() {
            Some(before) if before.1 + 1 == first => before.1 = last,
            _ => ranges.push((first, last)),
        }
    }
    ranges
}
