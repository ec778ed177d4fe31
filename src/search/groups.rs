//! `phash_groups`: near rows in groups, found by [`find_groups`].

use super::error::BulkError;
use super::input::{Distances, IdType, InputSet};
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::encoding::shortened;
use crate::pg::fmgr::error::ArgumentError;
use crate::pg::fmgr::rows::{Rows, set_function};
use lumina_search::Rule;
use lumina_search::group::{GroupRows, GroupStep, Grouping, Groups, Primary, Strategy, find_groups};
use pgrx::pg_sys::Datum;

set_function! {
    /// Groups by the strategy in the third argument. Errors: as `phash_pairs`; 22023 for an unknown strategy.
    phash_groups, pg_finfo_phash_groups, |call, rows| {
        let name = call.text(2).ok_or(ArgumentError::Null("strategy"))?.to_string_lossy().into_owned();
        match Strategy::named(&name) {
            Some(strategy) => write_groups(call, strategy, rows),
            None => Err(BulkError::Strategy(shortened(&name)).into()),
        }
    }
}

set_function! {
    /// Groups by cliques, the default strategy.
    phash_groups_clique, pg_finfo_phash_groups_clique, |call, rows| write_groups(call, Strategy::Clique, rows)
}

fn write_groups(call: Call, strategy: Strategy, rows: &mut Rows) -> Result<(), LuminaError> {
    let distances = Distances::read(call, 1)?;
    let session = SearchSession::begin()?;
    let id = IdType::of_result(rows.column_type(1));
    let Some(set) = InputSet::read(call, 0, "query", id, &distances, &session)? else { return Ok(()) };
    let rule = Rule::all(&distances.radii(set.values.widths())?);
    let max_pairs = session.max_pairs().value as u64;
    let grouping = Grouping { rule: &rule, apart: None, strategy, primary: Primary::Central, max_pairs };
    let groups = find_groups(&session, &set.values, &grouping, |step| {
        if let GroupStep::Grouping { pairs } = step {
            session.phase(&format!("found {pairs} pairs of distinct hashes"));
        }
        Ok::<(), LuminaError>(())
    })?;
    session.phase(&format!("formed {} groups", groups.len()));
    write(&set, &groups, &distances, &session, rows)?;
    session.phase("wrote them");
    session.finish("groups");
    Ok(())
}

fn write(
    set: &InputSet,
    groups: &Groups,
    form: &Distances,
    session: &SearchSession<'_>,
    rows: &mut Rows,
) -> Result<(), LuminaError> {
    let mut listed = GroupRows::default();
    for group in 0..groups.len() {
        pgrx::check_for_interrupts!();
        groups.list(session, &set.values, group, &mut listed)?;
        let GroupRows { members, distances, also_near } = &listed;
        let farthest = groups.farthest(group);
        rows.put(members.len(), |at, values, nulls| {
            let each = &distances[at * farthest.len()..(at + 1) * farthest.len()];
            values[0] = Datum::from(group as i64 + 1);
            values[1] = set.ids.datum(members[at]);
            values[2] = Datum::from(at == 0);
            values[3] = form.datum(each);
            values[4] = form.datum(farthest);
            nulls[..5].fill(false);
            if at == 0 && !also_near.is_empty() {
                values[5] = set.ids.array(also_near);
                nulls[5] = false;
            }
        });
    }
    Ok(())
}
