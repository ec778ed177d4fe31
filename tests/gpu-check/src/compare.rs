//! Searches on the device against brute force on the CPU, pair by pair with distances: every width, kind of set, size
//! and radius, two sets, several columns, little memory, equal rows.

use crate::cpu;
use crate::engine::{Engine, Task};
use crate::sets::{Kind, Table};
use crate::table;
use crate::{Error, Scale};
use lumina_search::plan::options;
use lumina_search::{Costs, PairQuery, Plan, SearchContext, Values};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Instant;

/// Words of the widths 64, 128, 192, 256, 320, 512 and 1024.
const WIDTHS: [usize; 7] = [1, 2, 3, 4, 5, 8, 16];
/// Searches with several columns: their words, and the ratios of radii, in 64ths of the width.
const COLUMNS: [(&[usize], &[u32]); 4] =
    [(&[1, 4], &[5, 22]), (&[4, 1, 2], &[22, 64, 10]), (&[2, 2, 16], &[10, 12, 24]), (&[1, 1, 1, 1], &[8, 64, 10, 16])];
/// From this ratio of the width on, in 64ths, a search of all rows has too many pairs.
const WIDE: u32 = 20;
/// Rows for such radii.
const FEW: usize = 1100;
/// Values from which planning takes so long that only plans are made that might pay.
const ALL_PLANS: usize = 800;
/// The memory of the device that searches get, in megabytes.
const MEMORY: usize = 4096;
/// So little that wide sets are cut into parts, and dense results do not fit.
const LITTLE: usize = 8;
/// Wrong searches that are described.
const SHOWN: usize = 20;
/// Bytes that the CPU may take.
const HOST: usize = 64 << 30;

/// Two values, and the distances of up to four columns.
type Pair = (u32, u32, u64);

/// Compares all, and prints the row; `engine` opens the device with that many megabytes. Errors: a result that differs
/// from the CPU's.
pub(crate) fn run(scale: Scale, engine: fn(usize) -> Result<Engine, Error>) -> Result<(), Error> {
    let what = "pairs and distances against the CPU: 64 to 1024 bits, all kinds of sets";
    let outcome = compare_all(scale, engine);
    match &outcome {
        Ok(found) => table::row(what, "none wrong", found, "right"),
        Err(error) => table::row(what, "none wrong", &error.to_string(), "**WRONG**"),
    }
    outcome.map(|_| ())
}

fn compare_all(scale: Scale, engine: fn(usize) -> Result<Engine, Error>) -> Result<String, Error> {
    let engine_with = |megabytes| engine(megabytes).map_err(|error| format!("the device cannot be used: {error}"));
    let sizes: &[usize] = match scale {
        Scale::Tiny => &[1, 130],
        Scale::Quick => &[0, 1, 2, 63, 64, 65, 1023, 1025, 4097, 20_000],
        Scale::Full => &[0, 1, 2, 3, 31, 33, 63, 64, 65, 127, 129, 1023, 1024, 1025, 4097, 9999, 20_000],
    };
    let began = Instant::now();
    let device = engine_with(MEMORY)?;
    let mut check = Check { device, scale, pool: ThreadPoolBuilder::new().build()?, searches: 0, pairs: 0, wrong: 0 };
    for words in WIDTHS {
        for kind in check.kinds() {
            check.width(*kind, words, sizes)?;
        }
        eprintln!("{} bits: {} searches, {} s", words * 64, check.searches, began.elapsed().as_secs());
    }
    for (words, radii) in COLUMNS {
        check.columns(words, radii, *sizes.last().unwrap_or(&0))?;
    }
    let largest = Table::new(Kind::Crowded, &[1], *sizes.last().unwrap_or(&0), 3);
    check.firsts(&largest)?;
    check.firsts(&Table::new(Kind::Photo, &[1, 2], largest.shape().0, 4))?;
    // A process can open the device once: the other one is closed first.
    let Check { searches, pairs, wrong, scale, pool, device } = check;
    drop(device);
    check = Check { device: engine_with(LITTLE)?, scale, pool, searches, pairs, wrong };
    check.little_memory()?;
    let Check { searches, pairs, wrong, .. } = check;
    let seconds = began.elapsed().as_secs();
    match wrong {
        0 => Ok(format!("{searches} searches, {pairs} pairs, {seconds} s")),
        _ => Err(format!("{wrong} of {searches} searches found other pairs than the CPU").into()),
    }
}

struct Check {
    device: Engine,
    scale: Scale,
    pool: ThreadPool,
    searches: usize,
    pairs: usize,
    wrong: usize,
}

impl Check {
    /// One width and kind of set: every size and radius, with itself and with another set.
    fn width(&mut self, kind: Kind, words: usize, sizes: &[usize]) -> Result<(), Error> {
        for (seed, &count) in sizes.iter().enumerate() {
            let left = Table::new(kind, &[words], count, seed as u64 + 1);
            for &share in self.shares() {
                if share >= WIDE && count > FEW && (kind != Kind::Uniform || share > 22) {
                    continue;
                }
                let radius = words as u32 * share;
                // Odd ones as well, which are no multiple of the words.
                let radius = if share % 2 == 1 { radius - 1 } else { radius };
                self.compare(kind, &left, None, &[radius])?;
            }
            if seed % 2 == 1 {
                let right = left.near(kind, (count / 2).max(3), seed as u64);
                self.compare(kind, &left, Some(&right), &[words as u32 * 5])?;
                self.compare(kind, &right, Some(&left), &[words as u32 * 16 + 1])?;
            }
        }
        Ok(())
    }

    fn kinds(&self) -> &'static [Kind] {
        if self.scale == Scale::Tiny { &[Kind::Uniform, Kind::Crowded] } else { &Kind::ALL }
    }

    /// Radii, in 64ths of the width: the usual ones, a quarter, 90 of 256, nearly half and all of it.
    fn shares(&self) -> &'static [u32] {
        match self.scale {
            Scale::Tiny => &[5, 22],
            Scale::Quick => &[0, 1, 5, 16, 22, 64],
            Scale::Full => &[0, 1, 2, 3, 5, 8, 10, 13, 16, 20, 22, 27, 31, 40, 63, 64],
        }
    }

    fn columns(&mut self, words: &[usize], shares: &[u32], most: usize) -> Result<(), Error> {
        let radii: Vec<u32> = words.iter().zip(shares).map(|(words, share)| *words as u32 * share).collect();
        for &kind in self.kinds() {
            for count in [0, 1, 70, most / 8, most].into_iter().skip(if self.scale == Scale::Tiny { 4 } else { 0 }) {
                let left = Table::new(kind, words, count, 7);
                self.compare(kind, &left, None, &radii)?;
                let right = left.near(kind, count / 3, 8);
                self.compare(kind, &left, Some(&right), &radii)?;
            }
        }
        Ok(())
    }

    /// Sets that are cut into parts, and results that do not fit.
    fn little_memory(&mut self) -> Result<(), Error> {
        let (sparse, dense) = if self.scale == Scale::Tiny { (300, 150) } else { (40_000, 3000) };
        for words in [1, 4, 16] {
            let table = Table::new(Kind::Uniform, &[words], sparse, 9);
            self.compare(Kind::Uniform, &table, None, &[words as u32 * 8])?;
            let table = Table::new(Kind::Crowded, &[words], dense, 10);
            self.compare(Kind::Crowded, &table, None, &[words as u32 * 64])?;
        }
        Ok(())
    }

    /// One search, by brute force and by bands, on the device and by brute force on the CPU.
    fn compare(&mut self, kind: Kind, left: &Table, right: Option<&Table>, radii: &[u32]) -> Result<(), Error> {
        let Self { device, pool, scale, .. } = &*self;
        let context = SearchContext::new(HOST);
        let values = |table: &Table| pool.install(|| table.values(&context));
        let (left, right) = (values(left)?, right.map(values).transpose()?);
        let query = PairQuery { left: &left, right: right.as_ref(), radii };
        // As if brute force were slow, so that there are plans by bands even where it would be the best.
        let costs = Costs { brute: 1.0, ..Costs::gpu(1e13, 1) };
        let all = left.count() < ALL_PLANS;
        let plans = pool.install(|| options(&query, all, &costs, &context))?;
        let brute = plans.first().filter(|plan| plan.is_brute_force()).ok_or("a search without brute force")?;
        let mut wanted: Vec<Pair> = Vec::new();
        cpu::find(pool, &query, brute, &context, &mut |pairs, distances| add(&mut wanted, pairs, distances))?;
        pool.install(|| wanted.par_sort_unstable());
        let (mut searches, mut wrong) = (0, 0);
        for plan in chosen(*scale, &plans) {
            let task = pool.install(|| Task::new(&query, plan, &context))?;
            let mut found: Vec<Pair> = Vec::new();
            device.find(task, &mut |pairs, distances| add(&mut found, pairs, distances))?;
            pool.install(|| found.par_sort_unstable());
            searches += 1;
            if found != wanted {
                wrong += 1;
                if self.wrong + wrong > SHOWN {
                    continue;
                }
                let bands: Vec<(u32, u32)> = plan.bands().collect();
                let (left, right) = (left.count(), right.as_ref().map(Values::count));
                eprintln!(
                    "WRONG: {kind:?}, {:?} bits, {left} and {right:?} values, within {radii:?}, bands {bands:?}: {} \
                     pairs, and {} on the CPU",
                    query.left.widths(),
                    found.len(),
                    wanted.len(),
                );
            }
        }
        self.searches += searches;
        self.wrong += wrong;
        self.pairs += searches * wanted.len();
        Ok(())
    }

    /// Equal rows.
    fn firsts(&mut self, table: &Table) -> Result<(), Error> {
        let found = self.device.firsts(table.shape(), table.rows())?;
        self.searches += 1;
        if found != table.firsts() {
            eprintln!("WRONG: equal rows of {:?}", table.shape());
            self.wrong += 1;
        }
        Ok(())
    }
}

/// The plans to run: brute force, the cheapest and the last of those by bands; all of them if there is time.
fn chosen(scale: Scale, plans: &[Plan]) -> Vec<&Plan> {
    if scale == Scale::Full {
        return plans.iter().collect();
    }
    let banded = || plans.iter().filter(|plan| !plan.is_brute_force());
    let cheapest = banded().min_by(|one, other| one.cost.total_cmp(&other.cost));
    let last =
        banded().next_back().filter(|last| scale > Scale::Tiny && cheapest.is_some_and(|cheapest| cheapest != *last));
    plans.first().into_iter().chain(cheapest).chain(last).collect()
}

fn add(found: &mut Vec<Pair>, pairs: &[(u32, u32)], distances: &[u16]) {
    let columns = distances.len() / pairs.len().max(1);
    let all = |distances: &[u16]| distances.iter().fold(0, |all, bits| all << 16 | u64::from(*bits));
    let each = pairs.iter().zip(distances.chunks_exact(columns.max(1)));
    found.extend(each.map(|(pair, distances)| (pair.0, pair.1, all(distances))));
}
