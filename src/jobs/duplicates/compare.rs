//! Compares images: near pairs and groups by `lumina_search`, on the threads or the GPU of the search that the job has
//! begun; `lumina_catalog` says what they mean for images. The job reports each phase.

use super::parameters::DuplicateParameters;
use crate::error::LuminaError;
use crate::jobs::job::{Job, Progress};
use crate::jobs::stop::Stop;
use crate::search::session::SearchSession;
use lumina_catalog::{DuplicateGroups, RankedImages};
use lumina_search::HashRows;
use lumina_search::group::{self, GroupStep, Grouping, Primary};

/// The groups of a catalog. `rows` are the compared rows of `images`.
pub(super) fn find_groups(
    job: &Job,
    rows: HashRows,
    images: &RankedImages,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
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
    rows: HashRows,
    images: &RankedImages,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
) -> Result<DuplicateGroups, Stop> {
    let rule = parameters.rule.near();
    let (values, apart) = images.keep_apart(run.collapse(rows)?, run.context()).map_err(LuminaError::from)?;
    let max_pairs = run.max_pairs().value as u64;
    let grouping =
        Grouping { rule, apart: apart.as_ref(), strategy: parameters.strategy, primary: Primary::First, max_pairs };
    let groups = group::find_groups(run, &values, &grouping, |step| match step {
        GroupStep::Comparing { alternative: 0 } => Ok(()), // reported before rows were collapsed
        GroupStep::Comparing { alternative } => {
            let share = 0.2 + 0.4 * alternative as f32 / rule.alternatives().len() as f32;
            report_phase(job, "comparing", share, images.len())
        }
        GroupStep::Grouping { .. } => report_phase(job, "grouping", 0.6, images.len()),
    })?;
    let (rule, context) = (&parameters.rule, run.context());
    let collected =
        DuplicateGroups::collect(&groups, &values, groups.pairs(), images, rule, context, || run.check_cancelled());
    Ok(collected.map_err(LuminaError::from)?)
}

/// Reports a phase of the job, and the share of the work that is done when it begins.
pub(super) fn report_phase(job: &Job, phase: &'static str, share: f32, images: usize) -> Result<(), Stop> {
    let done = (images as f64 * f64::from(share)) as i64;
    job.phase(Progress { phase, share, done, total: Some(images as i64), ..Progress::default() })
}
