//! Groups of images: near ones, by `lumina_search`, and files with the same bytes.

use super::input::Images;
use super::phase;
use super::rule::Parameters;
use crate::error::LuminaError;
use crate::jobs::job::Job;
use crate::jobs::stop::Stop;
use crate::search::session::SearchSession;
use lumina_search::group::{GroupStep, Grouping, Groups, Primary, find_groups};
use lumina_search::{HashRows, Values};

/// A group. Its members begin where those of the group before end.
pub(super) struct Group {
    /// The distance of the two members farthest apart, of 64 bits.
    pub(super) distance: i16,
    /// Whether all hashes of the rule are equal.
    pub(super) identical: bool,
    /// Where its members end.
    pub(super) end: usize,
    /// Images near a member, but in no group with it: those that are kept, and the number of all.
    pub(super) also_near: Vec<u32>,
    pub(super) also_near_count: usize,
}

/// All groups. Members and others are images, by their places.
pub(super) struct Formed {
    pub(super) groups: Vec<Group>,
    /// The members of all groups, one after the other; of each group the one to keep comes first.
    pub(super) members: Vec<u32>,
    /// The distances of each member to the first of its group, in each hash of the rule.
    pub(super) distances: Vec<u16>,
    /// Near pairs of different hashes, and pairs of images whose hashes are equal.
    pub(super) near_pairs: u64,
}

/// A group keeps at least this many images that are also near, and else as many as it has members: so the run takes
/// space in proportion to its members.
const KEPT: usize = 16;

impl Formed {
    /// No groups of near images.
    pub(super) fn none() -> Self {
        Formed { groups: Vec::new(), members: Vec::new(), distances: Vec::new(), near_pairs: 0 }
    }

    /// Adds a group for each image that has several files and is in no group yet: those whose hashes are not compared.
    pub(super) fn add_exact(mut self, images: &Images, hashes: usize) -> Self {
        let mut grouped = vec![false; images.all.len()];
        self.members.iter().for_each(|member| grouped[*member as usize] = true);
        for (place, _) in images.all.iter().enumerate().filter(|(place, image)| image.files > 1 && !grouped[*place]) {
            self.members.push(place as u32);
            self.distances.extend(std::iter::repeat_n(0, hashes));
            let end = self.members.len();
            self.groups.push(Group { distance: 0, identical: true, end, also_near: Vec::new(), also_near_count: 0 });
        }
        self
    }
}

/// Groups the rows, which are those of `images.compared`.
pub(super) fn form(
    job: &Job,
    rows: HashRows,
    images: &Images,
    parameters: &Parameters,
    run: &SearchSession<'_>,
) -> Result<Formed, Stop> {
    let rule = parameters.near();
    if rows.is_empty() {
        return Ok(Formed::none());
    }
    let values = run.collapse(rows)?;
    let max_pairs = run.max_pairs().value as u64;
    let grouping = Grouping { rule: &rule, strategy: parameters.strategy, primary: Primary::First, max_pairs };
    let groups = find_groups(run, &values, &grouping, |step| match step {
        GroupStep::Comparing { alternative: 0 } => Ok(()), // reported before rows were collapsed
        GroupStep::Comparing { alternative } => {
            let share = 0.2 + 0.4 * alternative as f32 / rule.alternatives().len() as f32;
            phase(job, "comparing", share, images.all.len())
        }
        GroupStep::Grouping { .. } => phase(job, "grouping", 0.6, images.all.len()),
    })?;
    let near_pairs = groups.pairs() + equal_pairs(&values, images);
    Ok(list(&groups, &values, images, parameters, near_pairs, run)?)
}

fn list(
    groups: &Groups,
    values: &Values,
    images: &Images,
    parameters: &Parameters,
    near_pairs: u64,
    run: &SearchSession<'_>,
) -> Result<Formed, LuminaError> {
    let context = run.context();
    let hashes = parameters.hashes.len();
    let mut formed = Formed { near_pairs, ..Formed::none() };
    let (mut members, mut distances, mut near) = (Vec::new(), Vec::new(), Vec::new());
    for group in 0..groups.len() {
        run.check_cancelled();
        groups.rows(values, group, &mut members, &mut distances, context)?;
        groups.also_near(values, group, &mut near, context)?;
        let image = |row: &u32| images.compared[*row as usize];
        let first = formed.members.len();
        // Rows of one image are equal, and so follow one another.
        for (row, each) in members.iter().zip(distances.chunks_exact(hashes)) {
            if formed.members[first..].last() != Some(&image(row)) {
                context.push(&mut formed.members, image(row))?;
                for distance in each {
                    context.push(&mut formed.distances, *distance)?;
                }
            }
        }
        near.dedup_by_key(|row| image(row));
        context.push(
            &mut formed.groups,
            Group {
                distance: parameters.distance(groups.farthest(group)),
                identical: groups.farthest(group).iter().all(|distance| *distance == 0),
                end: formed.members.len(),
                also_near: near.iter().take(KEPT.max(formed.members.len() - first)).map(image).collect(),
                also_near_count: near.len(),
            },
        )?;
    }
    Ok(formed)
}

/// Pairs of images whose hashes are equal.
fn equal_pairs(values: &Values, images: &Images) -> u64 {
    let pairs = |value| {
        let rows = values.members(value);
        let image = |row: &u32| images.compared[*row as usize];
        let others = rows.as_slice().windows(2).filter(|pair| image(&pair[0]) != image(&pair[1])).count() as u64;
        others * (others + 1) / 2
    };
    values.repeated().map(pairs).sum()
}
