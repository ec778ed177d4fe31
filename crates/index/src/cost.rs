//! The cost of a search, and the choice of a method by it.
//!
//! A run is searched by *probing* its bands or by a *pass* over the leaves of band 0. Probing a band of a run of n
//! entries within tolerance t uses the first w bits of the band, just enough to distinguish n entries (of a coded band
//! all bits); it reads the
//! leaves that the flipped values lead to. A leaf is distinguished from its neighbours by the upper bits of the band
//! alone, so that flips of the lower bits stay in a leaf that is read anyway: of L leaves about Σ C(log₂ L, j), j ≤ t,
//! are read, far fewer than there are probes, and of a band that is coded ([`crate::golay`]) fewer still. The constants
//! are nanoseconds on one core with all pages in memory, measured (`cargo bench -p lumina-index`); only their ratios
//! matter for the choice.

use crate::golay;
use crate::layout::Layout;
use crate::meta::Meta;

/// Nanoseconds of reading a page: finding it, locking it, its checksum, and the kernel's pass over it.
pub const PAGE_NS: f64 = 600.0;
/// Nanoseconds of looking up one value in a leaf.
pub const PROBE_NS: f64 = 25.0;
/// Nanoseconds of comparing an entry that a probe has found.
pub const CANDIDATE_NS: f64 = 2.5;
/// The share of a pass that is spent on a range search before it, in searches for the nearest.
const FIRST_RADIUS_SHARE: f64 = 0.125;

/// The work of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SearchWork {
    /// Pages that are read.
    pub pages: f64,
    /// Lookups in leaves.
    pub probes: f64,
    /// Entries that are compared.
    pub candidates: f64,
    /// The pages that are read sequentially.
    pub sequential: f64,
}

impl SearchWork {
    /// Nanoseconds of one core.
    pub fn time(&self) -> f64 {
        self.pages * PAGE_NS + self.probes * PROBE_NS + self.candidates * CANDIDATE_NS
    }

    fn add(&mut self, other: SearchWork) {
        self.pages += other.pages;
        self.probes += other.probes;
        self.candidates += other.candidates;
        self.sequential += other.sequential;
    }
}

/// How a band is probed: the first `width` bits of it, up to `tolerance` of them flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) band: usize,
    pub(crate) width: usize,
    pub(crate) tolerance: u32,
    /// Whether these values are looked up by their place in the order of the code.
    pub(crate) is_coded: bool,
}

impl Probe {
    /// The number of leaves that are read, of a band with `leaves` leaves.
    fn leaves(&self, leaves: f64) -> f64 {
        let visited = if self.is_coded {
            // The code words that a ball touches, each of them part of a leaf or of several (the root fits the measured
            // counts, within a quarter); at most the number of values.
            let words = ball_size(golay::BITS, self.tolerance + golay::RADIUS) * golay::WORDS as f64
                / (1u64 << golay::BITS) as f64;
            (words * (1.0 + leaves / golay::WORDS as f64).sqrt()).min(ball_size(golay::BITS, self.tolerance))
        } else {
            ball_size(leaves.log2().ceil() as usize, self.tolerance)
        };
        visited.min(leaves)
    }
}

/// Σ C(n, j) for j ≤ k.
fn ball_size(n: usize, k: u32) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for j in 1..=(k as usize).min(n) {
        term *= (n - j + 1) as f64 / j as f64;
        sum += term;
    }
    sum
}

/// The pass over the leaves of band 0.
pub(crate) fn pass(layout: &Layout, entries: u64) -> SearchWork {
    let leaves = (entries as f64 / layout.shape(0).capacity() as f64).ceil();
    SearchWork { pages: leaves * 1.002 + 1.0, sequential: leaves, ..SearchWork::default() }
}

/// How to probe a run of `entries` entries within `radius`, and its work; `None` if a pass costs no more.
pub(crate) fn probing(layout: &Layout, entries: u64, radius: u32) -> Option<(Vec<Probe>, SearchWork)> {
    let most = pass(layout, entries).time();
    let distinguishing_bits = (entries.max(2).ilog2() as usize).saturating_sub(2).max(1);
    let mut probes = Vec::new();
    let mut work = SearchWork { pages: 1.0, ..SearchWork::default() };
    for (band, tolerance) in layout.cover(radius).enumerate() {
        let Some(tolerance) = tolerance else { continue };
        let is_coded = layout.is_coded(band);
        let width = if is_coded { golay::BITS } else { layout.range(band).len().min(distinguishing_bits).min(32) };
        let probe = Probe { band, width, tolerance, is_coded };
        let leaves = (entries as f64 / layout.shape(band).capacity() as f64).ceil();
        let flips = ball_size(width, tolerance);
        let visited = probe.leaves(leaves);
        work.add(SearchWork {
            pages: visited + 1.0 + visited.min(leaves / 600.0),
            probes: flips,
            candidates: entries as f64 * flips / (1u64 << width) as f64,
            sequential: 0.0,
        });
        if tolerance as usize >= width || work.time() >= most {
            return None;
        }
        probes.push(probe);
    }
    Some((probes, work))
}

/// The work of block 0 and the staging pages, for every search.
fn staging(meta: &Meta) -> SearchWork {
    let pages = meta.staging_pages() as f64;
    SearchWork { pages: pages + 1.0, ..SearchWork::default() }
}

/// The work of a search for everything within `radius`.
pub fn range(meta: &Meta, radius: u32) -> SearchWork {
    let mut work = staging(meta);
    for run in &meta.runs {
        let probes = probing(&meta.layout, run.entries, radius).map(|(_, work)| work);
        work.add(probes.unwrap_or_else(|| pass(&meta.layout, run.entries)));
    }
    work
}

/// The work of a search for the nearest until its first result.
pub fn nearest(meta: &Meta) -> SearchWork {
    let mut work = staging(meta);
    for run in &meta.runs {
        work.add(pass(&meta.layout, run.entries));
    }
    if let Some(radius) = first_radius(meta) {
        work.add(range(meta, radius));
    }
    work
}

/// The radius of the range search before a pass for the nearest: it costs little beside the pass, and if there are near
/// rows, as there mostly are where people search, it suffices.
pub(crate) fn first_radius(meta: &Meta) -> Option<u32> {
    if !meta.layout.is_exact() {
        return None;
    }
    let pass: f64 = meta.runs.iter().map(|run| pass(&meta.layout, run.entries).time()).sum();
    (0..meta.layout.bits() as u32).take_while(|radius| range(meta, *radius).time() <= pass * FIRST_RADIUS_SHARE).last()
}
