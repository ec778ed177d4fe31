//! Compares images: near pairs and groups by `lumina_search`, on the threads or the GPU of the search that the job has
//! begun; `lumina_catalog` says what they mean for images. The job is told each phase.

use super::parameters::Parameters;
use super::phase;
use crate::error::LuminaError;
use crate::guc;
use crate::jobs::job::Job;
use crate::jobs::stop::Stop;
use crate::search::run::{Run, blame};
use lumina_catalog::{DuplicateGroups, RankedImages};
use lumina_search::group::{Edges, Groups, Primary};
use lumina_search::{Rows, Search};

/// The groups of a catalog. `rows` are the compared rows of `images`.
pub(super) fn find_groups(
    job: &Job,
    rows: Rows,
    images: &RankedImages,
    parameters: &Parameters,
    run: &mut Run<'_>,
) -> Result<DuplicateGroups, Stop> {
    let mut groups = if rows.is_empty() {
        DuplicateGroups::none(&parameters.rule)
    } else {
        find_near(job, rows, images, parameters, run)?
    };
    groups.add_exact(images, run.context()).map_err(LuminaError::from)?;
    Ok(groups)
}

/// The groups of images that are compared.
fn find_near(
    job: &Job,
    rows: Rows,
    images: &RankedImages,
    parameters: &Parameters,
    run: &mut Run<'_>,
) -> Result<DuplicateGroups, Stop> {
    let rule = parameters.rule.near();
    let values = run.collapse(rows)?;
    let limit = guc::max_pairs();
    let mut edges = Edges::new(rule, limit.value as u64);
    for (alternative, radii) in rule.alternatives().iter().enumerate() {
        if alternative > 0 {
            let share = 0.2 + 0.4 * alternative as f32 / rule.alternatives().len() as f32;
            phase(job, "comparing", share, images.len())?;
        }
        let search = Search { left: &values, right: None, radii };
        let found = run.find_edges(&search, &mut edges, alternative);
        found.map_err(|error| blame(error, &search, limit.setting))?;
    }
    let near_values = edges.count();
    phase(job, "grouping", 0.6, images.len())?;
    let groups = run.job(|context, _| Groups::form(&values, edges, parameters.strategy, Primary::First, context));
    let search = Search { left: &values, right: None, radii: &rule.alternatives()[0] };
    let groups = groups.map_err(|error| blame(error, &search, limit.setting))?;
    let (rule, context) = (&parameters.rule, run.context());
    let collected = DuplicateGroups::collect(&groups, &values, near_values, images, rule, context, || run.tick());
    Ok(collected.map_err(LuminaError::from)?)
}
