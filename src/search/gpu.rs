//! A search by the GPU process: it gets the hashes in a memory file and returns pairs over a socket; this backend
//! checks for interrupts meanwhile.

use super::session::SearchSession;
use crate::error::{LuminaError, OutOfMemory};
use crate::gpu::Unavailable;
use crate::gpu::connect::{Denied, connect};
use crate::gpu::record::note_failure;
use crate::pg::backend::latch::ready;
use lumina_gpu::client::{Answer, Client};
use lumina_gpu::protocol::{Question, SetShape};
use lumina_gpu::shared::Draft;
use lumina_gpu::{GpuError, MAX_COLUMNS, MAX_WORDS, PairMethod, TolerantBand};
use lumina_search::transfer::PlacedBand;
use lumina_search::{HashRows, PairBatch, PairQuery, Plan, SearchContext, SearchError, ValuePair, Values};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes of the buffers: a frame of the protocol, as bytes, as pairs, and as a batch.
const BUFFERS: usize = 16 << 20;
/// The longest sleep of this backend.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);
/// How long the process may be silent. It reports every second that it is alive, but for a step that takes longer.
const SILENT: Duration = Duration::from_secs(60);

/// CPU time, in nanoseconds, below which no GPU is considered.
pub(super) const LEAST: f64 = 2e6;
/// Nanoseconds that the GPU process takes to start, measured on an H200.
pub(super) const START: f64 = 4e8;

/// Why a search has no result from the GPU.
pub(super) enum GpuFailure {
    /// The GPU, or its process, has failed: the CPU can do it.
    OfGpu(String),
    /// The device has no room for it: the CPU can do it.
    NoMemory(String),
    /// No process can be reached: the CPU can do it.
    NotReached(Unavailable),
    /// The search itself has failed.
    OfSearch(LuminaError),
}

impl From<LuminaError> for GpuFailure {
    fn from(error: LuminaError) -> Self {
        Self::OfSearch(error)
    }
}

impl From<SearchError> for GpuFailure {
    fn from(error: SearchError) -> Self {
        Self::OfSearch(error.into())
    }
}

/// Whether the kernels can take hashes that have this number of words in each column.
pub(super) fn can_take(row_words: &[usize]) -> bool {
    row_words.len() <= MAX_COLUMNS && row_words.iter().all(|words| *words <= MAX_WORDS)
}

/// Why it cannot take them.
pub(super) fn too_wide() -> Unavailable {
    let reason = format!("it searches at most {MAX_COLUMNS} columns of hashes of at most {} bits", MAX_WORDS * 64);
    Unavailable::new(reason, "SET lumina.device = auto.")
}

/// The words of a pair that brute force compares: those of columns that can exclude pairs.
pub(super) fn compared_words(query: &PairQuery<'_>) -> usize {
    let columns = query.left.row_words().into_iter().zip(query.left.widths()).zip(query.radii);
    columns.filter(|((_, bits), radius)| (**radius as usize) < **bits).map(|((words, _), _)| words).sum()
}

/// Bytes that a search on the GPU takes beside the values.
pub(super) fn memory(query: &PairQuery<'_>) -> usize {
    words(query) * 8 + BUFFERS
}

/// Bytes that collapsing rows on the GPU takes beside them.
pub(super) fn memory_to_collapse(rows: &HashRows) -> usize {
    (rows.all_words() * 8).saturating_add(rows.len() * 4 + BUFFERS)
}

fn words(query: &PairQuery<'_>) -> usize {
    query.left.all_words() + query.right.map_or(0, Values::all_words)
}

/// Finds all pairs; `take` gets them, or some of them where that fails.
pub(super) fn find_pairs(
    session: &SearchSession<'_>,
    query: &PairQuery<'_>,
    plan: &Plan,
    take: &mut dyn FnMut(&PairBatch) -> Result<(), SearchError>,
) -> Result<(), GpuFailure> {
    let client = reach(session, true)?;
    with_memory(session, memory(query), || {
        let file = file(session, words(query), |words, context| {
            let (left, right) = words.split_at_mut(query.left.all_words());
            query.left.write_rows(left, context)?;
            query.right.map_or(Ok(()), |values| values.write_rows(right, context))
        })?;
        let mut batch = PairBatch { pairs: Vec::new(), distances: Vec::new() };
        let (left_values, right_values) = (query.left.count(), query.right.unwrap_or(query.left).count());
        let is_value = |&(left, right): &(u32, u32)| (left as usize) < left_values && (right as usize) < right_values;
        converse(session, client, &question(query, plan), &file, &mut |answer| {
            let Answer::Pairs(pairs, distances) = answer else { return Err(unasked()) };
            if !pairs.iter().all(is_value) {
                return Err(nonsense("pairs of rows that do not exist"));
            }
            batch.pairs.clear();
            batch.distances.clear();
            if batch.pairs.try_reserve(pairs.len()).is_err() || batch.distances.try_reserve(distances.len()).is_err() {
                return Err(LuminaError::from(OutOfMemory).into());
            }
            batch.pairs.extend(pairs.iter().map(|&(left, right)| ValuePair { left, right }));
            batch.distances.extend_from_slice(distances);
            if batch.pairs.is_empty() { Ok(()) } else { Ok(take(&batch)?) }
        })
    })
}

/// For each row the first one that is equal to it.
pub(super) fn first_equal(session: &SearchSession<'_>, rows: &HashRows) -> Result<Vec<u32>, GpuFailure> {
    let context = session.context();
    let client = reach(session, true)?;
    with_memory(session, rows.all_words() * 8 + BUFFERS, || {
        let file = file(session, rows.all_words(), |words, context| rows.write_rows(words, context))?;
        let mut firsts: Vec<u32> = context.vec(rows.len())?;
        let set = SetShape { rows: rows.len(), words: rows.row_words() };
        let question = Question::Firsts { set, seed: RandomState::new().hash_one(0) };
        let mut outcome = converse(session, client, &question, &file, &mut |answer| {
            let Answer::Firsts(more) = answer else { return Err(unasked()) };
            if firsts.len() + more.len() > rows.len() {
                return Err(unasked());
            }
            firsts.extend_from_slice(more);
            Ok(())
        });
        // The answer is verified; equal rows that it has missed are found as pairs.
        if outcome.is_ok() {
            outcome = match session.on_threads(|context| rows.are_equal_to(&firsts, context)) {
                Ok(true) => Ok(()),
                Ok(false) => Err(nonsense("rows that are not equal")),
                Err(error) => Err(error.into()),
            };
        }
        match outcome {
            Ok(()) => Ok(firsts),
            Err(failure) => {
                context.free(firsts);
                Err(failure)
            }
        }
    })
}

/// A failure: the device computes wrong results.
fn nonsense(what: &str) -> GpuFailure {
    let why = format!("the device computes wrong results: {what}");
    note_failure(why.clone());
    GpuFailure::OfGpu(why)
}

/// Counts `bytes` of memory while `work` runs.
fn with_memory<R>(
    session: &SearchSession<'_>,
    bytes: usize,
    work: impl FnOnce() -> Result<R, GpuFailure>,
) -> Result<R, GpuFailure> {
    session.context().take(bytes)?;
    let result = work();
    session.context().release(bytes);
    result
}

/// Connects to the process, started where none runs. `is_first`: this search has not used it yet.
fn reach(session: &SearchSession<'_>, is_first: bool) -> Result<Client, GpuFailure> {
    connect(session.gpu_timeout.get(), || session.fail_if_cancelled()).map_err(|denied| match denied {
        Denied::Unavailable(why) if is_first => GpuFailure::NotReached(why),
        Denied::Unavailable(why) => GpuFailure::OfGpu(why.reason),
        Denied::Stopped(error) => GpuFailure::OfSearch(error),
    })
}

/// Asks `question`, and passes all answers to `take`.
fn converse(
    session: &SearchSession<'_>,
    mut client: Client,
    question: &Question,
    file: &OwnedFd,
    take: &mut dyn FnMut(Answer<'_>) -> Result<(), GpuFailure>,
) -> Result<(), GpuFailure> {
    // An idle process may end at the moment when it is asked.
    let mut is_first = true;
    loop {
        let copy = file.try_clone().map_err(no_memory)?;
        let mut answers = Answers { session, client: &mut client, has_any: false };
        let gone = match answers.client.ask(question, Some(copy)) {
            Ok(()) => answers.take(take)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(error) => return Err(broken(&error)),
        };
        if !gone {
            return Ok(());
        }
        if !is_first || answers.has_any {
            return Err(GpuFailure::OfGpu("the GPU process has ended".into()));
        }
        is_first = false;
        client = reach(session, false)?;
    }
}

struct Answers<'a, 'r> {
    session: &'a SearchSession<'r>,
    client: &'a mut Client,
    /// Whether an answer has come.
    has_any: bool,
}

impl Answers<'_, '_> {
    /// Takes all answers. Returns whether the process ended before the last one.
    fn take(&mut self, take: &mut dyn FnMut(Answer<'_>) -> Result<(), GpuFailure>) -> Result<bool, GpuFailure> {
        let mut taken = Instant::now();
        loop {
            match self.client.receive() {
                Ok(None) => {
                    if taken.elapsed().min(self.client.silent_for()) > SILENT {
                        let seconds = SILENT.as_secs();
                        return Err(GpuFailure::OfGpu(format!("its process has said nothing for {seconds} s")));
                    }
                    ready(self.client.as_fd().as_raw_fd(), LONGEST_SLEEP);
                }
                Ok(Some(answer)) => {
                    self.has_any = true;
                    match answer {
                        Answer::Done => return Ok(false),
                        Answer::Failed(error) => return Err(failed(&error)),
                        Answer::Alive => {}
                        answer => take(answer)?,
                    }
                    taken = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
                Err(error) => return Err(broken(&error)),
            }
            self.session.fail_if_cancelled()?;
        }
    }
}

fn unasked() -> GpuFailure {
    GpuFailure::OfGpu("its process answers what was not asked".into())
}

/// The search has failed on the device. A lost device is recorded by the GPU worker.
fn failed(error: &GpuError) -> GpuFailure {
    if error.is_out_of_memory() {
        return GpuFailure::NoMemory(error.to_string());
    }
    if !error.is_lost() && !error.is_of_another_version() {
        note_failure(error.to_string());
    }
    GpuFailure::OfGpu(error.to_string())
}

fn broken(error: &io::Error) -> GpuFailure {
    GpuFailure::OfGpu(format!("the connection to its process: {error}"))
}

fn no_memory(error: io::Error) -> GpuFailure {
    GpuFailure::OfGpu(format!("memory to hand it the hashes: {error}"))
}

fn question(query: &PairQuery<'_>, plan: &Plan) -> Question {
    let shape = |values: &Values| SetShape { rows: values.count(), words: values.row_words() };
    let band = |band: PlacedBand| TolerantBand {
        word: band.word,
        start: band.start,
        width: band.width,
        tolerance: band.tolerance,
    };
    let method = match plan.is_brute_force() {
        true => PairMethod::BruteForce,
        false => PairMethod::Bands(plan.placed_bands().map(band).collect()),
    };
    Question::Pairs {
        left: shape(query.left),
        right: query.right.map(shape),
        radii: query.radii.to_vec(),
        driving: plan.column,
        method,
    }
}

/// A memory file of `words` words, written by `write` on the threads.
fn file(
    session: &SearchSession<'_>,
    words: usize,
    write: impl FnOnce(&mut [u64], &SearchContext) -> Result<(), SearchError> + Send,
) -> Result<OwnedFd, GpuFailure> {
    let mut draft = Draft::new(words, || {
        session.check_cancelled();
        session.context().check().map_err(io::Error::other)
    })
    .map_err(|error| match session.context().check() {
        Err(cancelled) => cancelled.into(),
        Ok(()) => no_memory(error),
    })?;
    let words = draft.words();
    session.on_threads(|context| write(words, context))?;
    draft.seal().map_err(no_memory)
}
