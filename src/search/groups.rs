//! `phash_groups`: near rows in groups.

use super::error::BulkError;
use super::input::{Distances, IdType, Set};
use super::run::{Run, blame};
use crate::error::LuminaError;
use crate::guc;
use crate::pg::arguments::Call;
use crate::pg::encoding::shortened;
use crate::pg::error::ArgumentError;
use crate::pg::rows::{Rows, set_function};
use lumina_search::group::{Edges, Groups, Primary, Strategy};
use lumina_search::{Context, Rule, Search};
use pgrx::pg_sys::Datum;

set_function! {
    /// Groups by the strategy in the third argument. Errors: as `phash_pairs`; 22023 for an unknown strategy.
    phash_groups, pg_finfo_phash_groups, |call, rows| {
        let name = call.text(2).ok_or(ArgumentError::Null("strategy"))?.to_string_lossy().into_owned();
        match Strategy::named(&name) {
            Some(strategy) => form(call, strategy, rows),
            None => Err(BulkError::Strategy(shortened(&name)).into()),
        }
    }
}

set_function! {
    /// Groups by cliques, the default strategy.
    phash_groups_clique, pg_finfo_phash_groups_clique, |call, rows| form(call, Strategy::Clique, rows)
}

fn form(call: Call, strategy: Strategy, rows: &mut Rows) -> Result<(), LuminaError> {
    let distances = Distances::read(call, 1)?;
    let mut run = Run::begin()?;
    let id = IdType::of_result(rows.column_type(1));
    let Some(set) = Set::read(call, 0, "query", id, &distances, &mut run)? else { return Ok(()) };
    let radii = distances.radii(set.values.widths())?;
    let limit = guc::max_pairs();
    let search = Search { left: &set.values, right: None, radii: &radii };
    let mut edges = Edges::new(&Rule::all(&radii), limit.value as u64);
    let blamed = |error| blame(error, &search, limit.setting);
    run.find_edges(&search, &mut edges, 0).map_err(blamed)?;
    run.phase(&format!("found {} pairs of distinct hashes", edges.count()));
    let groups =
        run.job(|context, _| Groups::form(&set.values, edges, strategy, Primary::Central, context)).map_err(blamed)?;
    run.phase(&format!("formed {} groups", groups.len()));
    write(&set, &groups, &distances, &run, rows)?;
    run.phase("wrote them");
    run.finish("groups");
    Ok(())
}

/// A group of more rows is large.
const LARGE: u64 = 10_000;

fn write(set: &Set, groups: &Groups, form: &Distances, run: &Run<'_>, rows: &mut Rows) -> Result<(), LuminaError> {
    let context = run.context();
    let (mut members, mut distances, mut near) = (Vec::new(), Vec::new(), Vec::new());
    for group in 0..groups.len() {
        pgrx::check_for_interrupts!();
        let mut list = |context: &Context| {
            groups.rows(&set.values, group, &mut members, &mut distances, context)?;
            groups.also_near(&set.values, group, &mut near, context)
        };
        // A large group takes a while to sort; a small one takes less than handing it to a thread.
        if groups.size(&set.values, group) > LARGE {
            run.job(|context, _| list(context))?
        } else {
            list(context)?
        };
        let farthest = groups.farthest(group);
        rows.put(members.len(), |at, values, nulls| {
            let each = &distances[at * farthest.len()..(at + 1) * farthest.len()];
            values[0] = Datum::from(group as i64 + 1);
            values[1] = set.ids.datum(members[at]);
            values[2] = Datum::from(at == 0);
            values[3] = form.datum(each);
            values[4] = form.datum(farthest);
            nulls[..5].fill(false);
            if at == 0 && !near.is_empty() {
                values[5] = set.ids.array(&near);
                nulls[5] = false;
            }
        });
    }
    Ok(())
}
