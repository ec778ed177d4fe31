//! `phash_pairs` and `phash_matches`: every pair of near rows, of one set or of two.

use super::device::Results;
use super::error::BulkError;
use super::input::{Distances, Found, IdType, Set};
use super::run::{Run, blame};
use crate::error::LuminaError;
use crate::guc;
use crate::pg::rows::{Rows, set_function};
use lumina_search::{Batch, Expansion, Search, SearchError};

set_function! {
    /// Every pair of rows of a query within the maximum distance, once, the smaller id first. Errors: see `input`;
    /// 53400 for more than `lumina.max_pairs`.
    phash_pairs, pg_finfo_phash_pairs, |call, rows| {
        let distances = Distances::read(call, 1)?;
        let mut run = Run::begin()?;
        let id = IdType::of_result(rows.column_type(0));
        match Set::read(call, 0, "query", id, &distances, &mut run)? {
            Some(set) => write(&set, None, &distances, run, rows),
            None => Ok(()),
        }
    }
}

set_function! {
    /// Every pair of a row of one query and a row of another within the maximum distance. Errors: as `phash_pairs`;
    /// 22026 for columns of different widths.
    phash_matches, pg_finfo_phash_matches, |call, rows| {
        let distances = Distances::read(call, 2)?;
        let mut run = Run::begin()?;
        let id = IdType::of_result(rows.column_type(0));
        // Both are read before this search starts its threads and takes a slot.
        let left = Found::read(call, 0, "left_query", id, &distances, &mut run)?;
        let right = Found::read(call, 1, "right_query", id, &distances, &mut run)?;
        let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
        let (left, right) = (left.collapse(&mut run)?, right.collapse(&mut run)?);
        for (&one, &other) in left.values.widths().iter().zip(right.values.widths()) {
            if one != other {
                return Err(BulkError::DifferentWidths { left: one, right: other }.into());
            }
        }
        write(&left, Some(&right), &distances, run, rows)
    }
}

/// Pairs written at a time.
const BUFFER: usize = 8192;

/// Writes pairs to the result.
struct Writer<'a> {
    left: &'a Set,
    right: &'a Set,
    form: &'a Distances,
    columns: usize,
    pairs: Vec<(u32, u32)>,
    distances: Vec<u16>,
    rows: &'a mut Rows,
}

impl Writer<'_> {
    #[inline]
    fn pair(&mut self, a: u32, b: u32, distances: &[u16]) {
        self.pairs.push((a, b));
        self.distances.extend_from_slice(distances);
        if self.pairs.len() == BUFFER {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Self { left, right, form, columns, pairs, distances, rows } = self;
        rows.put(pairs.len(), |at, values, nulls| {
            let (a, b) = pairs[at];
            let each = &distances[at * *columns..(at + 1) * *columns];
            values[0] = left.ids.datum(a);
            values[1] = right.ids.datum(b);
            values[2] = form.datum(each);
            nulls.fill(false);
        });
        pairs.clear();
        distances.clear();
    }

    /// Discards all pairs.
    fn clear(&mut self) {
        self.pairs.clear();
        self.distances.clear();
        self.rows.clear();
    }
}

/// Turns the pairs of values that a search finds into pairs of rows.
struct Pairs<'a> {
    expansion: Expansion<'a>,
    writer: Writer<'a>,
    search: Search<'a>,
    limit: u64,
    /// The distances of equal rows.
    zeros: Vec<u16>,
}

impl Results for Pairs<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.writer.clear();
        self.expansion = Expansion::new(self.search.left, self.search.right, self.limit);
        match self.search.right {
            None => self.expansion.equals(|a, b| self.writer.pair(a, b, &self.zeros)),
            Some(_) => Ok(()),
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<(), SearchError> {
        self.expansion.batch(batch, |a, b, distances| self.writer.pair(a, b, distances))
    }
}

fn write(
    left: &Set,
    right: Option<&Set>,
    distances: &Distances,
    mut run: Run<'_>,
    rows: &mut Rows,
) -> Result<(), LuminaError> {
    let radii = distances.radii(left.values.widths())?;
    let limit = guc::max_pairs();
    let right_values = right.map(|right| &right.values);
    let search = Search { left: &left.values, right: right_values, radii: &radii };
    let columns = radii.len();
    let writer = Writer {
        left,
        right: right.unwrap_or(left),
        form: distances,
        columns,
        pairs: run.context().vec(BUFFER)?,
        distances: run.context().vec(BUFFER * columns)?,
        rows,
    };
    let way = run.plan(&search)?;
    let most = limit.value as u64;
    let expansion = Expansion::new(search.left, search.right, most);
    let mut pairs = Pairs { expansion, writer, search, limit: most, zeros: vec![0; columns] };
    run.find(&search, way, &mut pairs).map_err(|error| blame(error, &search, limit.setting))?;
    pairs.writer.flush();
    run.phase(&format!("found and wrote {} pairs", pairs.expansion.total()));
    run.finish("search");
    Ok(())
}
