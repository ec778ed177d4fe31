//! Known-answer tests: before a kind of kernel is used for the first time in a process, it searches a small set whose
//! pairs the CPU knows. This finds a driver that compiles a kernel wrongly, or a card that computes wrongly, before any
//! result counts. So every search begins here: [`begin_search`], [`begin_collapse`].

use crate::collapse::RowCollapse;
use crate::device::Device;
use crate::error::GpuError;
use crate::kernels::{self, Subject, is_small};
use crate::request::{HashMemory, Hashes, PairMethod, PairRequest, Set, TolerantBand};
use crate::search::{GpuSearch, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of the set: several blocks of each kernel, the last one not full; of two sets together.
const ROWS: usize = 1100;
/// The shortest measurement of the rate; the set grows until it takes that long.
const MEASURED: Duration = Duration::from_millis(1);
/// The smallest set for the rate: large enough for an emulated device.
const FEWEST_ROWS: usize = 1 << 8;
/// The largest set for the rate.
const MOST_ROWS: usize = 1 << 18;
/// The radius for the rate: too large for the shortcuts of a small one, and no two random rows are that near.
const TYPICAL: u32 = 64;

/// Pseudo-random numbers (splitmix64; Steele, Lea, Flood, OOPSLA 2014).
fn number(place: u64) -> u64 {
    let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Hashes of which every third is near the one before it, by 0 to 31 bits.
fn hashes(rows: usize, words: usize) -> Vec<u64> {
    let mut hashes: Vec<u64> = (0..(rows * words) as u64).map(number).collect();
    for row in (1..rows).step_by(3) {
        for word in 0..words {
            hashes[row * words + word] = hashes[(row - 1) * words + word];
        }
        for flip in 0..row % 32 {
            let bit = number((row * 64 + flip) as u64) as usize % (words * 64);
            hashes[row * words + bit / 64] ^= 1 << (bit % 64);
        }
    }
    hashes
}

/// A set of `rows` rows whose columns have `words` words.
fn set_of(rows: usize, columns: Vec<(Vec<u64>, usize)>) -> Result<Set, GpuError> {
    let column = |(hashes, words)| {
        let source: HashMemory = Arc::new(hashes);
        Hashes::new(&source, 0, rows, words).ok_or_else(|| GpuError::wrong("a set of its own"))
    };
    Ok(Set { rows, columns: columns.into_iter().map(column).collect::<Result<_, _>>()? })
}

fn request(set: Set, radius: u32, method: PairMethod) -> PairRequest {
    PairRequest { left: set, right: None, radii: vec![radius], driving: 0, method }
}

/// Begins a search. Takes no device memory yet, unless a kind of kernel is used for the first time, which is proved
/// first. Errors: `Refused` for an invalid request; `OutOfMemory`, where the limit is too low even for the smallest
/// parts; those of a proof.
pub fn begin_search(device: &Device, request: PairRequest) -> Result<GpuSearch<'_>, GpuError> {
    request.check()?;
    let words = request.left.columns[request.driving].words();
    let subject = match request.method {
        PairMethod::BruteForce => Subject::Brute(words, is_small(words, request.radii[request.driving])),
        PairMethod::Bands(_) => Subject::Banded(words),
    };
    prove_once(device, subject)?;
    GpuSearch::proved(device, request)
}

/// Begins a search for equal rows: allocates memory for a set. `seed` keeps an attacker from choosing rows that collide
/// in the table. Errors: `OutOfMemory` where the set does not fit: it is not cut; `Refused`; those of a proof.
pub fn begin_collapse<'d>(device: &'d Device, set: &Set, seed: u64) -> Result<RowCollapse<'d>, GpuError> {
    prove_once(device, Subject::Collapse)?;
    RowCollapse::new(device, set, seed)
}

/// Pairs of 256-bit hashes that brute force compares per second, without the upload of the hashes: measured, which
/// takes some milliseconds. Errors: those of a search, and of its proof.
pub fn measure_rate(device: &Device) -> Result<f64, GpuError> {
    prove_once(device, Subject::Brute(4, false))?;
    rate(device)
}

/// Proves a kind of kernel, on first use. Errors: `WrongAnswer`.
fn prove_once(device: &Device, subject: Subject) -> Result<(), GpuError> {
    if !device.is_proved(subject) {
        prove(device, subject)?;
        device.set_proved(subject);
    }
    Ok(())
}

/// Searches, and compares the result with the expected one. Errors: `WrongAnswer`, and those of a search.
fn prove(device: &Device, subject: Subject) -> Result<(), GpuError> {
    match subject {
        Subject::Brute(words, is_small) => {
            let radius = if is_small { kernels::small_radius(words) } else { 40 };
            pairs(device, words, radius, [PairMethod::BruteForce, PairMethod::BruteForce])
        }
        Subject::Banded(words) => {
            // Two bands, which find every pair within 2 + 3 bits; the second one reaches into the next word if there is
            // one.
            let second = if words > 1 { (0, 55) } else { (0, 20) };
            let bands = |width| {
                let band = |(word, start)| TolerantBand { word, start, width, tolerance: 2 };
                PairMethod::Bands(vec![band((0, 0)), band(second)])
            };
            // Counts of wide bands are scanned by many blocks; narrow ones take little memory for two sets.
            pairs(device, words, 5, [bands(18), bands(13)])
        }
        Subject::Collapse => collapse(device),
    }
}

/// Searches one set by the first method, two sets by the second.
fn pairs(device: &Device, words: usize, radius: u32, [one, two]: [PairMethod; 2]) -> Result<(), GpuError> {
    let hashes = hashes(ROWS, words);
    let row = |row: usize| &hashes[row * words..(row + 1) * words];
    let bits = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    let mut wanted = Vec::new();
    for left in 0..ROWS {
        for right in left + 1..ROWS {
            let bits = bits(row(left), row(right));
            if bits <= radius {
                wanted.push((left as u32, right as u32, [bits as u16, 0]));
            }
        }
    }
    let set = set_of(ROWS, vec![(hashes.clone(), words)])?;
    compare(device, request(set, radius, one), wanted)?;

    // Every third row, which may be near the row after it, against all others; another column removes half of those.
    let (left, right): (Vec<usize>, Vec<usize>) = (0..ROWS).partition(|row| row.is_multiple_of(3));
    let other = |row: usize| if row.is_multiple_of(3) { 0 } else { u64::from(u16::MAX) >> (number(row as u64) % 16) };
    let mut wanted = Vec::new();
    for (a, &from) in left.iter().enumerate() {
        for (b, &to) in right.iter().enumerate() {
            let (first, second) = (bits(&[other(from)], &[other(to)]), bits(row(from), row(to)));
            if first <= 8 && second <= radius {
                wanted.push((a as u32, b as u32, [first as u16, second as u16]));
            }
        }
    }
    let side = |rows: &[usize]| {
        let first = rows.iter().map(|row| other(*row)).collect();
        let second = rows.iter().flat_map(|at| row(*at)).copied().collect();
        set_of(rows.len(), vec![(first, 1), (second, words)])
    };
    let right = Some(side(&right)?);
    compare(device, PairRequest { left: side(&left)?, right, radii: vec![8, radius], driving: 1, method: two }, wanted)
}

/// A pair's rows, and its distances in one column or two.
type Found = (u32, u32, [u16; 2]);

fn compare(device: &Device, request: PairRequest, wanted: Vec<Found>) -> Result<(), GpuError> {
    if wanted.is_empty() {
        return Err(GpuError::wrong("a proof without pairs"));
    }
    let columns = request.radii.len();
    let mut found: Vec<Found> = Vec::new();
    let mut search = GpuSearch::unproved(device, request)?;
    while Step::Done
        != search.step::<GpuError>(&mut |pairs, distances| {
            let distances = distances.chunks(columns);
            let both = |bits: &[u16]| [bits[0], bits.get(1).copied().unwrap_or(0)];
            found.extend(pairs.iter().zip(distances).map(|(pair, bits)| (pair.0, pair.1, both(bits))));
            if found.len() > ROWS * ROWS { Err(GpuError::wrong("too many pairs")) } else { Ok(()) }
        })?
    {}
    found.sort_unstable();
    if found == wanted { Ok(()) } else { Err(GpuError::wrong("other pairs than the CPU finds")) }
}

fn collapse(device: &Device) -> Result<(), GpuError> {
    // Each of 300 rows several times; rows may differ in any one word alone.
    let row = |row: u64| {
        let which = number(row) % 300;
        [number(which % 5), number(which / 5 % 6), number(which / 30)]
    };
    let rows: Vec<[u64; 3]> = (0..ROWS as u64).map(row).collect();
    let first = |row: usize| rows.iter().position(|other| *other == rows[row]).unwrap_or(row) as u32;
    let wanted: Vec<u32> = (0..ROWS).map(first).collect();
    let column = |words: std::ops::Range<usize>| rows.iter().flat_map(|row| row[words.clone()].to_vec()).collect();
    let set = set_of(ROWS, vec![(column(0..1), 1), (column(1..3), 2)])?;
    let mut collapse = RowCollapse::new(device, &set, 7)?;
    while collapse.step()? {}
    let mut found = Vec::new();
    while collapse.take::<GpuError>(ROWS, |firsts| {
        found.extend_from_slice(firsts);
        Ok(())
    })? {}
    if found == wanted { Ok(()) } else { Err(GpuError::wrong("other equal rows than the CPU finds")) }
}

/// [`measure_rate`], with kernels that are proved.
fn rate(device: &Device) -> Result<f64, GpuError> {
    let mut rows = FEWEST_ROWS;
    loop {
        let set = set_of(rows, vec![(hashes(rows, 4), 4)])?;
        let mut search = GpuSearch::unproved(device, request(set, TYPICAL, PairMethod::BruteForce))?;
        while !search.is_prepared() {
            search.step::<GpuError>(&mut |_, _| Ok(()))?;
        }
        device.wait()?;
        let began = Instant::now();
        while Step::Done != search.step::<GpuError>(&mut |_, _| Ok(()))? {}
        let took = began.elapsed();
        if took >= MEASURED || rows == MOST_ROWS {
            return Ok(rows as f64 * rows as f64 / 2.0 / took.as_secs_f64());
        }
        rows *= 4;
    }
}
