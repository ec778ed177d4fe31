//! `phash_pairs` and `phash_matches`: every pair of near rows, of one set or of two.

use super::input::{Distances, IdType, Set};
use super::run::Run;
use crate::error::LuminaError;
use crate::guc;
use crate::pg::array::int4_array;
use crate::pg::rows::{Rows, set_function};
use lumina_search::{Blame, Expansion, Plan, Search, SearchError};
use pgrx::pg_sys::{Datum, INT8OID, Oid};

set_function! {
    /// Every pair of rows of a query within the maximum distance, once, the smaller id first. Errors: see `input`; 53400
    /// for more than `lumina.max_pairs`.
    phash_pairs, pg_finfo_phash_pairs, |call, rows| {
        let distances = Distances::read(call, 1)?;
        let mut run = Run::begin()?;
        let id = id_type(rows.column_type(0));
        match Set::read(call, 0, "query", id, &distances, &mut run)? {
            Some(set) => write(&set, None, &distances, run, rows),
            None => Ok(()),
        }
    }
}

set_function! {
    /// Every pair of a row of one query and a row of another within the maximum distance. Errors: as `phash_pairs`; 22026
    /// for columns of different widths.
    phash_matches, pg_finfo_phash_matches, |call, rows| {
        let distances = Distances::read(call, 2)?;
        let mut run = Run::begin()?;
        let id = id_type(rows.column_type(0));
        let left = Set::read(call, 0, "left_query", id, &distances, &mut run)?;
        let right = Set::read(call, 1, "right_query", id, &distances, &mut run)?;
        let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
        for (&one, &other) in left.values.widths().iter().zip(right.values.widths()) {
            if one != other {
                return Err(LuminaError::DifferentWidths { left: one, right: other });
            }
        }
        write(&left, Some(&right), &distances, run, rows)
    }
}

/// What the ids are, where the result's are of `type_`.
pub(super) fn id_type(type_: Oid) -> IdType {
    if type_ == INT8OID { IdType::Integer } else { IdType::Of(type_) }
}

/// Pairs written at a time.
const BUFFER: usize = 8192;

/// Pairs on their way into the result.
struct Writer<'a> {
    left: &'a Set,
    right: &'a Set,
    array: bool,
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
        let Self { left, right, array, columns, pairs, distances, rows } = self;
        rows.put(pairs.len(), |at, values, nulls| {
            let (a, b) = pairs[at];
            let each = &distances[at * *columns..(at + 1) * *columns];
            values[0] = left.ids.datum(a);
            values[1] = right.ids.datum(b);
            values[2] = distances_datum(each, *array);
            nulls.fill(false);
        });
        pairs.clear();
        distances.clear();
    }
}

/// Distances as an `int4[]`, or the only one as an `int4`.
pub(super) fn distances_datum(distances: &[u16], array: bool) -> Datum {
    if array { int4_array(distances.iter().map(|bits| i32::from(*bits))) } else { Datum::from(i32::from(distances[0])) }
}

fn write(
    left: &Set,
    right: Option<&Set>,
    distances: &Distances,
    mut run: Run,
    rows: &mut Rows,
) -> Result<(), LuminaError> {
    let radii = distances.radii(left.values.widths())?;
    let limit = guc::max_pairs();
    let right_values = right.map(|right| &right.values);
    let search = Search { left: &left.values, right: right_values, radii: &radii };
    let columns = radii.len();
    let mut writer = Writer {
        left,
        right: right.unwrap_or(left),
        array: distances.array,
        columns,
        pairs: run.context().vec(BUFFER)?,
        distances: run.context().vec(BUFFER * columns)?,
        rows,
    };
    let plan = plan(&search, &mut run)?;
    let mut expansion = Expansion::new(&left.values, right_values, limit.value as u64);
    let found = if right.is_none() {
        let zeros = vec![0; columns];
        expansion.equals(|a, b| writer.pair(a, b, &zeros)).map_err(LuminaError::from)
    } else {
        Ok(())
    };
    let found = found.and_then(|()| {
        run.stream(
            |context, sink| search.run(&plan, context, sink),
            |batch| {
                expansion.batch(&batch, |a, b, distances| writer.pair(a, b, distances))?;
                batch.free(run.context());
                Ok(())
            },
        )
    });
    found.map_err(|error| blame(error, &left.values, right_values, limit.setting))?;
    writer.flush();
    run.phase(&format!("found and wrote {} pairs", expansion.total()));
    run.finish("search");
    Ok(())
}

/// The plan for a search, said at level DEBUG1.
pub(super) fn plan(search: &Search<'_>, run: &mut Run) -> Result<Plan, LuminaError> {
    let plan = run.job(|context, _| Plan::choose(search, context))?;
    let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
    let method = if plan.is_brute_force() { "brute force".into() } else { format!("bands {}", bands.join(" ")) };
    run.phase(&format!("planned {method}, {:.0} candidates", plan.candidates));
    Ok(plan)
}

/// Puts the hashes that are to blame for too many pairs into words.
pub(super) fn blame(
    error: LuminaError,
    left: &lumina_search::Values,
    right: Option<&lumina_search::Values>,
    setting: &'static str,
) -> LuminaError {
    let LuminaError::Search(SearchError::TooManyPairs { limit, blame }) = error else { return error };
    let text = |blame: &Blame| {
        let values = if blame.right { right.unwrap_or(left) } else { left };
        let column = |column| lumina_hash::hex::to_string(&values.hash(blame.value, column));
        let hashes: Vec<String> = (0..values.widths().len()).map(column).collect();
        (hashes.join(", "), blame.share)
    };
    let mut hashes: Vec<(String, f64)> = blame.iter().map(text).collect();
    hashes.dedup_by(|b, a| a.0 == b.0); // the same one on both sides
    LuminaError::TooManyPairs { limit, setting, hashes }
}
