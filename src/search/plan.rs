//! `phash_plan`: the plan of a search.

use super::input::{Distances, IdType, InputSet};
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::array::int4_array;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::rows::{Rows, set_function};
use lumina_search::PairQuery;
use pgrx::pg_sys::Datum;

set_function! {
    /// One row about how `phash_pairs` would search. Errors: as `phash_pairs`.
    phash_plan, pg_finfo_phash_plan, show
}

fn show(call: Call, rows: &mut Rows) -> Result<(), LuminaError> {
    let distances = Distances::read(call, 1)?;
    let session = SearchSession::begin()?;
    let Some(set) = InputSet::read(call, 0, "query", IdType::Ignored, &distances, &session)? else { return Ok(()) };
    let radii = distances.radii(set.values.widths())?;
    let query = PairQuery { left: &set.values, right: None, radii: &radii };
    let planned = session.plan(&query)?;
    let plan = planned.plan();
    let method = if plan.is_brute_force() { "brute force" } else { "bands" };
    let threads = session.threads();
    rows.put(1, |_, values, nulls| {
        let float = |number: f64| Datum::from(number.to_bits());
        let column = (!plan.is_brute_force()).then_some(plan.column as i32 + 1);
        let answers = [
            Some(Datum::from(set.values.rows() as i64)),
            Some(Datum::from(set.values.count() as i64)),
            Some(Varlena::new(&[method.as_bytes()]).into_datum()),
            column.map(Datum::from),
            column.map(|_| int4_array(plan.bands().map(|(width, _)| width as i32))),
            column.map(|_| int4_array(plan.bands().map(|(_, tolerance)| tolerance as i32))),
            Some(Datum::from(plan.flips() as i64)),
            Some(float(plan.candidates.round())),
            Some(float((session.nanoseconds(&planned) / 1e3).round() / 1e3)),
            Some(Datum::from((session.context().used() + plan.memory) as i64)),
            Some(Datum::from(threads as i32)),
            Some(Varlena::new(&[planned.device().as_bytes()]).into_datum()),
        ];
        for ((value, null), answer) in values.iter_mut().zip(nulls).zip(answers) {
            if let Some(answer) = answer {
                (*value, *null) = (answer, false);
            }
        }
    });
    Ok(())
}
