//! The cost model: how to run a search, and what that costs.
//!
//! One column *drives*: its hashes are cut into m bands with tolerances tᵢ that form an exact cover, Σ(tᵢ + 1) = r + 1
//! ([`lumina_hash::bands`]), and only values that agree in some band up to its tolerance are compared; or every value
//! is compared with every other. A column whose radius is its width filters nothing: it never drives, and comparing it
//! costs nothing. The cost of a band is the sum of
//!
//! - sorting the values by the band, and walking its 2^width buckets;
//! - probing: for each of the F flips, each pair of buckets (half of them, within one set) costs a look-up, and each
//!   row in them a call;
//! - comparing: how many pairs of values lie in such pairs of buckets is estimated on a sample of the values, because
//!   photographs are far from random; the share of random hashes is the lower limit.
//!
//! The tolerances are assigned one slot at a time to the band where the next one costs least, so that a band of bits
//! that rarely differ gets none. The constants ([`Costs`]) are nanoseconds, measured: on one core by `cargo bench`, for
//! a GPU on the one card on which its kernels were timed. Only their ratios matter for the choice of bands; for that of
//! a device their sizes do.

use crate::band::HashBand;
use crate::buffers;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::query::PairQuery;
use crate::values::Values;
use lumina_hash::ball::volume;
use lumina_hash::bands::Bands;
use lumina_hash::kernel::{BlockJoin, InstructionSet, JoinColumn, Kernels, PADDING, Planes};

/// Below this cost, no sample is taken.
const CHEAP: f64 = 300_000.0;
/// Values in a sample.
const SAMPLE: usize = 1024;
/// The most flips of a band: far more than ever pays.
const MAX_TOLERANCE: u32 = 5;
/// The widest band: 2^24 buckets.
const MAX_WIDTH: usize = 24;

/// The costs of a search's steps on a device, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Comparing one word of a pair of a bucket.
    pub compare: f64,
    /// Comparing one word of a pair where every pair is compared.
    pub brute: f64,
    /// Reading one word of a value where every pair is compared.
    pub read: f64,
    /// Copying one word of a value to the device.
    pub copy: f64,
    /// Starting to compare a row with a bucket that is not empty.
    pub row: f64,
    /// Looking up a pair of buckets.
    pub probe: f64,
    /// Looking up one bucket for a row.
    pub lookup: f64,
    /// Sorting a value by a band, without its words.
    pub sort: f64,
    /// Moving one word of a value that is sorted.
    pub sort_word: f64,
    /// A bucket, empty or not.
    pub bucket: f64,
    /// A band, regardless of its contents.
    pub band: f64,
    /// The search as a whole.
    pub search: f64,
    /// Whether sorting uses the host's memory.
    pub sorts_in_memory: bool,
}

impl Costs {
    /// One core, with the instruction set of this machine.
    pub fn cpu() -> Self {
        let slowness = match Kernels::best().instruction_set() {
            InstructionSet::Avx512 => 1.0,
            InstructionSet::Avx2 => 3.0,
            InstructionSet::Neon => 4.0,
            InstructionSet::Portable => 8.0,
        };
        Costs {
            compare: 0.1 * slowness,
            brute: 0.1 * slowness,
            read: 1.0,
            copy: 0.0,
            row: 16.0,
            probe: 7.0,
            lookup: 0.0,
            sort: 14.0,
            sort_word: 1.0,
            bucket: 24.0,
            band: 0.0,
            search: 0.0,
            sorts_in_memory: true,
        }
    }

    /// A GPU that compares `rate` pairs of hashes a second by brute force, whatever their width, for a search whose
    /// counting columns have `words` words. Its other rates are scaled in the same proportion from those of the device
    /// on which they were measured, an NVIDIA H200 with 1.2e13 pairs a second.
    pub fn gpu(rate: f64, words: usize) -> Self {
        let slowness = 1.2e13 / rate.max(1.0);
        Costs {
            compare: 6e-4 * slowness,
            brute: 1e9 / rate.max(1.0) / words.max(1) as f64,
            read: 0.0,
            copy: 1.0,
            row: 0.0,
            probe: 0.0,
            lookup: 4.8e-3 * slowness,
            sort: 0.1 * slowness,
            sort_word: 0.02 * slowness,
            bucket: 0.01 * slowness,
            band: 50_000.0,
            search: 500_000.0,
            sorts_in_memory: false,
        }
    }
}

/// A band and how many of its bits may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlannedBand {
    pub(crate) band: HashBand,
    pub(crate) tolerance: u32,
}

/// How a search is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The driving column.
    pub column: usize,
    /// Its bands, in the order of the search; none: every pair is compared.
    pub(crate) bands: Vec<PlannedBand>,
    /// The expected number of compared pairs of values.
    pub candidates: f64,
    /// The expected time, in nanoseconds of the device of the costs: one core, or a GPU.
    pub cost: f64,
    /// Memory in addition to the values, in bytes.
    pub memory: usize,
}

impl Plan {
    /// Whether every pair is compared.
    pub fn is_brute_force(&self) -> bool {
        self.bands.is_empty()
    }

    /// Width and tolerance, in bits, of each band.
    pub fn bands(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        self.bands.iter().map(|part| (part.band.width, part.tolerance))
    }

    /// The number of buckets that are looked up per value, over all bands.
    pub fn flips(&self) -> usize {
        self.bands().map(|(width, tolerance)| flip_count(width as usize, tolerance)).sum()
    }

    /// The cheapest plan that fits the memory.
    pub fn choose(query: &PairQuery<'_>, costs: &Costs, context: &SearchContext) -> Result<Self, SearchError> {
        let options = options(query, false, costs, context)?;
        let free = context.limit().saturating_sub(context.used());
        let least = options.iter().map(|plan| plan.memory).min().unwrap_or(0);
        let fitting = options.into_iter().filter(|plan| plan.memory <= free);
        fitting
            .min_by(|a, b| a.cost.total_cmp(&b.cost))
            .ok_or(SearchError::OverBudget { needed: context.used() + least, limit: context.limit() })
    }
}

/// The sizes that costs depend on.
struct Sizes {
    left: f64,
    right: f64,
    /// Pairs of values in all.
    pairs: f64,
    /// 1, or ½ if each pair of buckets is visited once.
    share: f64,
    planes: f64,
    /// The words of the columns that count.
    compared: f64,
    /// Rows that a set needs in addition to the values themselves, in bytes each.
    row_bytes: usize,
    /// Bytes of the threads' buffers.
    buffers: usize,
    costs: Costs,
}

impl Sizes {
    fn of(query: &PairQuery<'_>, costs: &Costs) -> Self {
        let left = query.left.count() as f64;
        let right = query.right.map_or(left, |right| right.count() as f64);
        let columns = query.columns();
        let planes = columns.iter().map(|column| column.planes).sum::<usize>();
        let counting = columns.iter().enumerate().filter(|(column, _)| query.counts(*column));
        let compared = counting.map(|(_, column)| column.planes).sum::<usize>().max(1);
        let buffers = buffers::memory(query.radii.len());
        let (pairs, share) = if query.right.is_some() { (left * right, 1.0) } else { (left * (left - 1.0) / 2.0, 0.5) };
        let row_bytes = if costs.sorts_in_memory { planes * 8 + 4 } else { 0 };
        let (planes, compared) = (planes as f64, compared as f64);
        Sizes { left, right, pairs, share, planes, compared, row_bytes, buffers, costs: *costs }
    }

    /// The cost before any comparison.
    fn begin(&self) -> f64 {
        let right = if self.share < 1.0 { 0.0 } else { self.right };
        self.costs.search + (self.left + right) * self.planes * self.costs.copy
    }

    fn compare(&self, candidates: f64) -> f64 {
        candidates * self.compared * self.costs.compare
    }

    /// The cost of one band without the comparisons.
    fn overhead(&self, width: usize, flips: f64) -> f64 {
        let buckets = 2f64.powi(width as i32);
        let rows = self.left + if self.share < 1.0 { 0.0 } else { self.right };
        let Costs { sort, sort_word, bucket, band, probe, row, lookup, .. } = self.costs;
        let sort = rows * (sort + self.planes * sort_word) + buckets * bucket + band;
        let full = buckets.min(self.left);
        let met = (self.right / buckets).min(1.0);
        sort + flips * (self.share * (full * probe + self.left * met * row) + self.left * lookup)
    }
}

/// Every plan that may be the cheapest, or, if `all` is set, every possible plan: brute force first.
///
/// A plan that would not pay even on random hashes is not estimated on the sample.
pub fn options(
    query: &PairQuery<'_>,
    all: bool,
    costs: &Costs,
    context: &SearchContext,
) -> Result<Vec<Plan>, SearchError> {
    let sizes = Sizes::of(query, costs);
    let columns = query.columns();
    let random = |column: &usize| volume(query.left.widths()[*column], columns[*column].radius);
    let brute = Plan {
        // The column that keeps the fewest pairs is compared first.
        column: (0..columns.len()).min_by(|a, b| random(a).total_cmp(&random(b))).unwrap_or(0),
        bands: Vec::new(),
        candidates: sizes.pairs,
        cost: sizes.begin()
            + sizes.pairs * sizes.compared * costs.brute
            + (sizes.left + sizes.right) * sizes.planes * costs.read,
        memory: sizes.buffers,
    };
    if brute.cost < CHEAP && !all {
        return Ok(vec![brute]);
    }
    let (left, right) = (Sample::of(query.left), query.right.map(Sample::of));
    let mut cheapest = brute.cost;
    let mut options = vec![brute];
    for (column, shape) in columns.iter().enumerate().filter(|(column, _)| query.counts(*column)) {
        let bits = query.left.widths()[column];
        let cover = Cover { sizes: &sizes, left: &left, right: right.as_ref(), column, radius: shape.radius };
        let cuts = band_counts(bits, shape.radius).filter_map(|count| Bands::new(bits, count));
        let mut cuts: Vec<(f64, Bands)> = cuts.filter_map(|cut| Some((cover.best(cut, false)?.cost, cut))).collect();
        cuts.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at_least, cut) in cuts {
            context.check()?;
            if at_least >= cheapest && !all {
                break;
            }
            if let Some(plan) = cover.best(cut, true) {
                cheapest = cheapest.min(plan.cost);
                options.push(plan);
            }
        }
    }
    Ok(options)
}

/// The numbers of bands that may pay.
fn band_counts(bits: usize, radius: u32) -> impl Iterator<Item = usize> {
    let slots = radius as usize + 1;
    let fewest = slots.div_ceil(MAX_TOLERANCE as usize + 1);
    let most = slots.min(bits / 6).min(64);
    let step = (most.saturating_sub(fewest) / 12).max(1);
    (fewest..=most).step_by(step)
}

fn flip_count(width: usize, tolerance: u32) -> usize {
    flips_by_weight(width, tolerance).sum()
}

/// C(width, i) for i = 0 … tolerance.
fn flips_by_weight(width: usize, tolerance: u32) -> impl Iterator<Item = usize> {
    std::iter::successors(Some((0usize, 1usize)), move |&(i, term)| {
        Some((i + 1, term * (width.saturating_sub(i)) / (i + 1)))
    })
    .take(tolerance as usize + 1)
    .map(|(_, term)| term)
}

/// The inputs for costing the covers of one column.
struct Cover<'a> {
    sizes: &'a Sizes,
    left: &'a Sample<'a>,
    right: Option<&'a Sample<'a>>,
    column: usize,
    radius: u32,
}

/// One band at each tolerance.
struct Priced {
    band: HashBand,
    /// (candidates, cost) at tolerance 0, 1, …
    at: Vec<(f64, f64)>,
}

impl Cover<'_> {
    /// The cheapest tolerances for a cut: on the sample, or as if the hashes were random.
    fn best(&self, cut: Bands, sampled: bool) -> Option<Plan> {
        let width = (self.sizes.left.max(self.sizes.right).log2().ceil() as usize + 1).clamp(6, MAX_WIDTH);
        let slots = self.radius as usize + 1;
        let most = ((slots as u32).div_ceil(cut.count() as u32) + 1).min(MAX_TOLERANCE);
        let bands: Vec<Priced> =
            (0..cut.count()).map(|band| self.costs(HashBand::new(cut.range(band), width), most, sampled)).collect();
        let mut tolerances: Vec<Option<u32>> = vec![None; bands.len()];
        let next = |tolerance: Option<u32>| tolerance.map_or(0, |t| t as usize + 1);
        for _ in 0..slots {
            let price = |(band, costs): (usize, &Priced)| {
                let at = next(tolerances[band]);
                let before = tolerances[band].map_or(0.0, |t| costs.at[t as usize].1);
                costs.at.get(at).map(|(_, cost)| (cost - before, band))
            };
            let (_, band) = bands.iter().enumerate().filter_map(price).min_by(|a, b| a.0.total_cmp(&b.0))?;
            tolerances[band] = Some(next(tolerances[band]) as u32);
        }
        let used = bands.iter().zip(&tolerances).filter_map(|(costs, tolerance)| Some((costs, (*tolerance)?)));
        let begin = self.sizes.begin();
        let (candidates, cost) = used.clone().fold((0.0, begin), |(candidates, cost), (costs, tolerance)| {
            let at = costs.at[tolerance as usize];
            (candidates + at.0, cost + at.1)
        });
        let bands: Vec<PlannedBand> =
            used.map(|(costs, tolerance)| PlannedBand { band: costs.band, tolerance }).collect();
        let widest = bands.iter().map(|part| part.band.width).max().unwrap_or(0);
        let sets = if self.right.is_some() { 2 } else { 1 };
        let rows = self.sizes.left as usize + self.right.map_or(0, |_| self.sizes.right as usize);
        let buckets = if self.sizes.costs.sorts_in_memory { sets * (1usize << widest) * 8 } else { 0 };
        let memory = rows * self.sizes.row_bytes + buckets + self.sizes.buffers;
        Some(Plan { column: self.column, bands, candidates, cost, memory })
    }

    fn costs(&self, band: HashBand, most: u32, sampled: bool) -> Priced {
        let width = band.width as usize;
        let near = if sampled { self.left.near(self.right, self.column, band, most) } else { Vec::new() };
        let mut flips = 0.0;
        let mut random = 0.0;
        let at = flips_by_weight(width, most.min(band.width)).enumerate().map(|(tolerance, more)| {
            flips += more as f64;
            random += more as f64 / 2f64.powi(width as i32);
            let candidates = self.sizes.pairs * near.get(tolerance).copied().unwrap_or(0.0).max(random);
            (candidates, self.sizes.compare(candidates) + self.sizes.overhead(width, flips))
        });
        Priced { band, at: at.collect() }
    }
}

/// A sample of the values, evenly spaced.
struct Sample<'a> {
    values: &'a Values,
    step: usize,
    count: usize,
}

impl<'a> Sample<'a> {
    fn of(values: &'a Values) -> Self {
        let step = values.count().div_ceil(SAMPLE).max(1);
        Sample { values, step, count: values.count().div_ceil(step) }
    }

    /// The values of a band in the sample.
    fn band(&self, column: usize, band: HashBand) -> Vec<u64> {
        let planes = self.values.planes();
        let first = self.values.first_plane(column);
        let value = |i: usize| u64::from(band.value(|plane| planes.word(first + plane, i * self.step)));
        (0..self.count).map(value).chain([0; PADDING]).collect()
    }

    /// The share of pairs whose bands are within 0, 1, … `most` bits.
    fn near(&self, right: Option<&Sample<'_>>, column: usize, band: HashBand, most: u32) -> Vec<f64> {
        let left_words = self.band(column, band);
        let right_words = right.map(|right| right.band(column, band));
        let left = Planes { words: &left_words, stride: left_words.len() };
        let right = right_words.as_ref().map_or(left, |words| Planes { words, stride: words.len() });
        let (left_count, right_count) = (left.stride - PADDING, right.stride - PADDING);
        let columns = [JoinColumn { first: 0, planes: 1, radius: most }];
        let mut join = BlockJoin {
            left,
            left_rows: 0..left_count,
            right,
            right_rows: 0..right_count,
            columns: &columns,
            ascending: right_words.is_none(),
        };
        let mut counts = vec![0u64; most as usize + 1];
        let mut pairs = Vec::with_capacity(4096 + right_count);
        while !join.left_rows.is_empty() {
            join.left_rows.start = Kernels::best().join(&join, &mut pairs);
            for pair in pairs.drain(..) {
                counts[(left.words[pair.left as usize] ^ right.words[pair.right as usize]).count_ones() as usize] += 1;
            }
        }
        let pairs = if right_words.is_some() {
            left_count * right_count
        } else {
            left_count * left_count.saturating_sub(1) / 2
        };
        counts
            .iter()
            .scan(0, |sum, count| {
                *sum += count;
                Some(*sum as f64 / pairs.max(1) as f64)
            })
            .collect()
    }
}
