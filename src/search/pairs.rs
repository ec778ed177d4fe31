//! `phash_pairs` and `phash_matches`: every pair of near rows, of one set or of two.

use super::error::BulkError;
use super::input::{Distances, IdType, InputRows, InputSet};
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::pg::fmgr::rows::{Rows, set_function};
use lumina_search::{Expansion, PairBatch, PairQuery, PairResults, SearchError};

set_function! {
    /// Every pair of rows of a query within the maximum distance, once, the smaller id first. Errors: see `input`;
    /// 53400 for more than `lumina.max_pairs`.
    phash_pairs, pg_finfo_phash_pairs, |call, rows| {
        let distances = Distances::read(call, 1)?;
        let session = SearchSession::begin()?;
        let id = IdType::of_result(rows.column_type(0));
        match InputSet::read(call, 0, "query", id, &distances, &session)? {
            Some(set) => write(&set, None, &distances, session, rows),
            None => Ok(()),
        }
    }
}

set_function! {
    /// Every pair of a row of one query and a row of another within the maximum distance. Errors: as `phash_pairs`;
    /// 22026 for columns of different widths.
    phash_matches, pg_finfo_phash_matches, |call, rows| {
        let distances = Distances::read(call, 2)?;
        let session = SearchSession::begin()?;
        let id = IdType::of_result(rows.column_type(0));
        // Both are read before this search starts its threads and takes a place.
        let left = InputRows::read(call, 0, "left_query", id, &distances, &session)?;
        let right = InputRows::read(call, 1, "right_query", id, &distances, &session)?;
        let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
        let (left, right) = (left.collapse(&session)?, right.collapse(&session)?);
        for (&one, &other) in left.values.widths().iter().zip(right.values.widths()) {
            if one != other {
                return Err(BulkError::DifferentWidths { left: one, right: other }.into());
            }
        }
        write(&left, Some(&right), &distances, session, rows)
    }
}

/// Pairs written at a time.
const BUFFER: usize = 8192;

/// Writes pairs to the result.
struct PairWriter<'a> {
    left: &'a InputSet,
    right: &'a InputSet,
    form: &'a Distances,
    columns: usize,
    pairs: Vec<(u32, u32)>,
    distances: Vec<u16>,
    rows: &'a mut Rows,
}

impl PairWriter<'_> {
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
struct RowPairs<'a> {
    expansion: Expansion<'a>,
    writer: PairWriter<'a>,
    query: PairQuery<'a>,
    limit: u64,
    /// The distances of equal rows.
    zeros: Vec<u16>,
}

impl PairResults for RowPairs<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.writer.clear();
        self.expansion = Expansion::new(self.query.left, self.query.right, self.limit);
        match self.query.right {
            None => self.expansion.equals(|a, b| self.writer.pair(a, b, &self.zeros)),
            Some(_) => Ok(()),
        }
    }

    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError> {
        self.expansion.batch(batch, |a, b, distances| self.writer.pair(a, b, distances))
    }
}

fn write(
    left: &InputSet,
    right: Option<&InputSet>,
    distances: &Distances,
    session: SearchSession<'_>,
    rows: &mut Rows,
) -> Result<(), LuminaError> {
    let radii = distances.radii(left.values.widths())?;
    let right_values = right.map(|right| &right.values);
    let query = PairQuery { left: &left.values, right: right_values, radii: &radii };
    let columns = radii.len();
    let writer = PairWriter {
        left,
        right: right.unwrap_or(left),
        form: distances,
        columns,
        pairs: session.context().vec(BUFFER)?,
        distances: session.context().vec(BUFFER * columns)?,
        rows,
    };
    let planned = session.plan(&query)?;
    let most = session.max_pairs().value as u64;
    let expansion = Expansion::new(query.left, query.right, most);
    let mut pairs = RowPairs { expansion, writer, query, limit: most, zeros: vec![0; columns] };
    session.find_pairs_on(&query, planned, &mut pairs)?;
    pairs.writer.flush();
    session.phase(&format!("found and wrote {} pairs", pairs.expansion.total()));
    session.finish("search");
    Ok(())
}
