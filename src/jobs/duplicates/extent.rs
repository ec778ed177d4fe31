//! How much a search reads: the whole catalog, or what has changed since the run that it continues, with what that can
//! touch. `sql/catalog/changes.sql` notes what has changed.
//!
//! Which groups are formed again, and why that is enough, is decided in `lumina_catalog::regroup`.
//!
//! What is near is looked up by an index of type `hamming` on a hash of the rule, where there is one and few images
//! have changed; else it is matched with the hashes of all images, in memory. Where much of a catalog becomes dirty, it
//! is read whole, which takes less time then.

use super::input::{constraints, scan_hashes};
use super::parameters::{DuplicateParameters, Scope};
use crate::jobs::job::Job;
use crate::jobs::stop::{Failure, Stop};
use crate::pg::spi::statement::{self, Argument};
use crate::search::session::SearchSession;
use lumina_catalog::regroup::Regrouping;
use lumina_catalog::{DuplicateGroups, RankedImages};
use lumina_search::{HashRows, Values, find_near_rows};
use pgrx::JsonB;
use pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
use std::collections::BTreeSet;

/// The images that are read and compared.
pub(super) enum Extent {
    /// All of them; why, if a search of what has changed was possible at all.
    Whole(Option<String>),
    /// Some of them.
    Changes(Changes),
}

/// What has changed since a run, and what that can touch. Images are named by their ids.
pub(super) struct Changes {
    /// The run that the search continues.
    pub(super) run: i64,
    /// What was visible when the changes were read: those that are visible in it need not be kept.
    pub(super) snapshot: String,
    /// [`constraints`], at that time: what is read later, round for round, may have seen a decision that this has not.
    pub(super) constraints: String,
    /// How many images have changed.
    pub(super) changed: usize,
    /// Whether the catalog had a raw file at the time of the run.
    pub(super) had_raw: bool,
    /// Images whose groups are replaced, and the groups around.
    regrouping: Regrouping,
    /// Those that are compared, ascending: the dirty ones, and all that is near them, with all members of its groups.
    pub(super) images: Vec<i64>,
    /// Groups to remove that may have no member left.
    unsettled: Vec<i64>,
    /// The most images that are read so.
    most: usize,
    /// How many were read in all rounds.
    read: usize,
}

/// How what is near some images is found.
pub(super) enum Nearness {
    /// By an index.
    Index,
    /// By a search of all hashes, each with its image.
    Hashes { values: Values, images: Vec<i64> },
}

/// An image that is looked up costs some five times as much as one that a scan returns.
const MOST_SHARE: i64 = 8;
/// In a small catalog either takes no time.
const FEW: i64 = 1000;
/// Of each image that is read so some hundred bytes are held outside of the search's memory.
const MANY: i64 = 200_000;

/// All rounds together read at most this many times the most images.
const MOST_ROUNDS: usize = 2;

/// Why all images are compared after all.
pub(super) const TOO_MANY: &str = "too many changes";

impl Extent {
    /// The images that are read, if not all.
    pub(super) fn images(&self) -> Option<&[i64]> {
        match self {
            Self::Whole(_) => None,
            Self::Changes(changes) => Some(&changes.images),
        }
    }

    /// Whether a picture may lie beside a raw file that is not among [`Extent::images`].
    pub(super) fn had_raw(&self) -> bool {
        matches!(self, Self::Changes(changes) if changes.had_raw)
    }

    /// All images, since a search of what has changed cannot be.
    pub(super) fn whole(parameters: &DuplicateParameters, obstacle: String) -> Result<Self, Stop> {
        if parameters.scope == Scope::Changes {
            return Err(Stop::Failed(Failure::new(
                "cannot_continue",
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("the search cannot go on from the one before: {obstacle}"),
                "Leave out scope, or give 'all', to compare all images of the catalog.",
            )));
        }
        Ok(Self::Whole(Some(obstacle)))
    }
}

/// Finds out what is to be read; with a way to find more, where that is not all.
pub(super) fn find(
    job: &Job,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
) -> Result<(Extent, Option<Nearness>), Stop> {
    if parameters.scope == Scope::All {
        return Ok((Extent::Whole(None), None));
    }
    let mut changes = match job.read(|| Changes::read(job, parameters))? {
        Ok(changes) => changes,
        Err(obstacle) => return Ok((Extent::whole(parameters, obstacle)?, None)),
    };
    let nearness = Nearness::of(job, parameters, run, &changes.images)?;
    let changed = changes.images.clone();
    let near = nearness.near(job, parameters, run, &changed, true)?;
    let lost = changes.unsettled_members(job)?;
    let first: Vec<i64> = changed.into_iter().chain(near).chain(lost).collect();
    changes.read_groups(job, &first)?;
    if changes.spread(job, parameters, run, &nearness, first)? {
        Ok((Extent::Changes(changes), Some(nearness)))
    } else {
        nearness.free(run);
        Ok((Extent::whole(parameters, TOO_MANY.to_owned())?, None))
    }
}

impl Changes {
    /// Reads what has changed; or why all images are to be compared. In a transaction.
    fn read(job: &Job, parameters: &DuplicateParameters) -> Result<Result<Self, String>, Stop> {
        let catalog = job.catalog;
        let constraints = constraints(job, parameters);
        let base = statement::read(
            "SELECT r.run, r.images, pg_catalog.convert_to(r.obstacle, 'UTF8'),
                    pg_catalog.pg_current_snapshot()::pg_catalog.text, r.has_raw IS NOT FALSE
                FROM lumina_internal.run_to_continue($1, $2) r",
            &[catalog.into(), JsonB(job.parameters.clone()).into()],
            |row| (row.get::<i64>(1).zip(row.get::<i64>(2)), row.utf8(3), row.known::<String>(4), row.known::<bool>(5)),
        );
        let (base, obstacle, snapshot, had_raw) = base.into_iter().next().unwrap_or_default();
        let Some((run, images)) = base else { return Ok(Err(obstacle.unwrap_or_default())) };
        let most = (images / MOST_SHARE).clamp(FEW, MANY);
        let list = |sql: &str, arguments: &[Argument<'_>]| -> Vec<i64> {
            statement::read(sql, arguments, |row| row.known(1)).pop().unwrap_or_default()
        };
        let images = list("SELECT lumina_internal.changed_images($1, $2)", &[catalog.into(), most.into()]);
        let unsettled = list("SELECT lumina_internal.unsettled_groups($1)", &[catalog.into()]);
        let most = most as usize;
        if images.len().max(unsettled.len()) > most {
            return Ok(Err(TOO_MANY.to_owned()));
        }
        Ok(Ok(Changes {
            run,
            snapshot,
            constraints,
            changed: images.len(),
            had_raw,
            regrouping: Regrouping::default(),
            images,
            unsettled,
            most,
            read: 0,
        }))
    }

    /// What is left of groups that have lost members, or were decided.
    fn unsettled_members(&self, job: &Job) -> Result<Vec<i64>, Stop> {
        job.read(|| {
            Ok(statement::read(
                "SELECT d.image FROM pg_catalog.unnest($1) g CROSS JOIN LATERAL
                    (SELECT d.image FROM lumina.duplicate_members d WHERE d.group_id = g OFFSET 0) d",
                &[self.unsettled.clone().into()],
                |row| row.known(1),
            ))
        })
    }

    /// Reads the groups that images are in.
    fn read_groups(&mut self, job: &Job, images: &[i64]) -> Result<(), Stop> {
        let unknown: Vec<i64> = images.iter().copied().filter(|image| !self.regrouping.is_grouped(*image)).collect();
        let groups: Vec<(i64, Vec<i64>)> = job.read(|| {
            Ok(statement::read(
                "SELECT g.group_id, g.members FROM lumina_internal.groups_of($1, $2) g",
                &[self.run.into(), unknown.clone().into()],
                |row| (row.known(1), row.known(2)),
            ))
        })?;
        groups.into_iter().for_each(|(group, members)| self.regrouping.add_group(group, members));
        Ok(())
    }

    /// Makes images dirty whose groups are known, and all members of these groups, and adds what is near them. Returns
    /// whether what is to be read is not too much.
    fn spread(
        &mut self,
        job: &Job,
        parameters: &DuplicateParameters,
        run: &SearchSession<'_>,
        nearness: &Nearness,
        images: Vec<i64>,
    ) -> Result<bool, Stop> {
        let dirty = self.regrouping.soil(&images);
        if self.regrouping.dirty() > self.most {
            return Ok(false);
        }
        let near = nearness.near(job, parameters, run, &dirty, false)?;
        if near.len() > self.most {
            return Ok(false);
        }
        self.read_groups(job, &near)?;
        let known = std::mem::take(&mut self.images).into_iter().chain(near).chain(dirty);
        self.images = known.chain(self.regrouping.members()).collect();
        self.images.sort_unstable();
        self.images.dedup();
        // Along a chain of images groups may come out otherwise one after the other, and each round reads all of them.
        self.read += self.images.len();
        Ok(self.images.len() <= self.most && self.read <= MOST_ROUNDS * self.most)
    }

    /// Compares the groups that were found with those that were there. Where others than dirty ones have come out
    /// otherwise, or dirty images are in them, these become dirty, too. Returns whether there was none; `None` where
    /// too much is to be read.
    pub(super) fn settle(
        &mut self,
        job: &Job,
        parameters: &DuplicateParameters,
        run: &SearchSession<'_>,
        nearness: &Nearness,
        images: &RankedImages,
        groups: &DuplicateGroups,
    ) -> Result<Option<bool>, Stop> {
        let ids = |number| groups.group(number).members.iter().map(|&rank| images.id(rank)).collect();
        let disturbed = self.regrouping.disturbed((0..groups.len()).map(ids), parameters.strategy);
        if disturbed.is_empty() {
            return Ok(Some(true));
        }
        Ok(self.spread(job, parameters, run, nearness, disturbed)?.then_some(false))
    }

    /// Whether a group of these members is replaced, or replaces others.
    pub(super) fn is_dirty(&self, members: &[i64]) -> bool {
        self.regrouping.is_dirty(members)
    }

    /// The groups of the run to remove.
    pub(super) fn replaced(&self) -> Vec<i64> {
        let replaced = self.regrouping.replaced().chain(self.unsettled.iter().copied());
        replaced.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Nearness {
    /// The way that costs less for this number of changed images.
    fn of(job: &Job, parameters: &DuplicateParameters, run: &SearchSession<'_>, changed: &[i64]) -> Result<Self, Stop> {
        let by_index = job.read(|| {
            Ok(statement::rows(
                "SELECT lumina_internal.index_is_cheaper($1, $2, $3)",
                &[job.catalog.into(), JsonB(parameters.rule_json.clone()).into(), changed.to_vec().into()],
                |row| row.known::<bool>(1),
            ))
        })?;
        if by_index == [true] {
            return Ok(Self::Index);
        }
        let all = format!(
            "FROM lumina.images h WHERE h.catalog = {} AND h.hash_valid AND h.status <> 'rejected'",
            job.catalog
        );
        let (images, rows) = scan_hashes(job, parameters, run, "h.id", &all)?;
        Ok(Self::Hashes { values: run.collapse(rows)?, images })
    }

    /// The images that are near some images; `with_changes`: or near what has changed, as it is or as it was.
    fn near(
        &self,
        job: &Job,
        parameters: &DuplicateParameters,
        run: &SearchSession<'_>,
        images: &[i64],
        with_changes: bool,
    ) -> Result<Vec<i64>, Stop> {
        match self {
            Self::Index => job.read(|| {
                let near = statement::read(
                    "SELECT lumina_internal.near_by_index($1, $2, $3, $4)",
                    &[
                        job.catalog.into(),
                        JsonB(parameters.rule_json.clone()).into(),
                        images.to_vec().into(),
                        with_changes.into(),
                    ],
                    |row| row.known::<Vec<i64>>(1),
                );
                Ok(near.into_iter().flatten().collect())
            }),
            Self::Hashes { values, images: all } => {
                let list = images.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
                let of = if with_changes {
                    format!("FROM lumina_internal.changed_hashes({}, '{{{list}}}') h", job.catalog)
                } else {
                    format!(
                        "FROM pg_catalog.unnest('{{{list}}}'::pg_catalog.int8[]) n CROSS JOIN LATERAL
                            (SELECT * FROM lumina.images h WHERE h.id = n AND h.hash_valid OFFSET 0) h"
                    )
                };
                let (ids, hashes): (Vec<i64>, HashRows) = scan_hashes(job, parameters, run, "0::pg_catalog.int8", &of)?;
                run.context().free(ids);
                let rows = find_near_rows(run, hashes, values, parameters.rule.near())?;
                let near = rows.iter().map(|row| all[*row as usize]).collect();
                run.context().free(rows);
                Ok(near)
            }
        }
    }

    /// Frees the hashes.
    pub(super) fn free(self, run: &SearchSession<'_>) {
        if let Self::Hashes { values, images } = self {
            values.free(run.context());
            run.context().free(images);
        }
    }
}
