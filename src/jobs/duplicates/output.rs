//! Writes groups into tables: the new run, its groups and members, which replace those of the run before; or, where a
//! search continues a run, groups and members in it, which replace those of what has changed.
//!
//! Foreign keys are not checked ([`crate::jobs::results`]), but hold: a group refers to the run that was inserted
//! before it, and its members to the group that was inserted with them; no member is left when groups are deleted:
//! members are of the catalog of their group.

use super::compared::Compared;
use super::extent::{Changes, Extent};
use super::parameters::DuplicateParameters;
use crate::error::{LuminaError, OutOfMemory};
use crate::jobs::job::Job;
use crate::jobs::results::{check_foreign_keys, lock_images};
use crate::jobs::stop::Stop;
use crate::pg::spi::statement::{self, Argument};
use lumina_catalog::{DuplicateGroup, PairRule, RankedImages};
use lumina_search::group::Strategy;
use pgrx::JsonB;
use serde_json::{Value, json};

/// Groups that are written by one statement.
const GROUPS: usize = 16_384;
/// Locks the images in groups that are written. Whether all are there, and none has changed since it was read.
pub(super) fn lock_unchanged(job: &Job, compared: &Compared) -> Result<bool, Stop> {
    let Compared { images, groups, .. } = compared;
    let mut rows = Vec::new();
    rows.try_reserve_exact(groups.members().len()).map_err(|_| OutOfMemory)?;
    for number in (0..groups.len()).filter(|number| is_written(compared, *number)) {
        let members = groups.group(number).members.iter();
        rows.extend(members.map(|&rank| (images.id(rank), images.row_version(rank) as i32)));
    }
    rows.sort_unstable();
    let (ids, versions): (Vec<i64>, Vec<i32>) = rows.into_iter().unzip();
    lock_images(job, &ids, Some(&versions))
}

/// Whether a group is written: of a search of what has changed, those of dirty images.
fn is_written(compared: &Compared, number: usize) -> bool {
    match &compared.extent {
        Extent::Whole(_) => true,
        Extent::Changes(changes) => {
            let members = compared.groups.group(number).members;
            members.first().is_some_and(|&rank| changes.is_dirty(&[compared.images.id(rank)]))
        }
    }
}

/// Whether the order of preference is still that by which groups were formed, and the run that a search continues still
/// the current one, formed in the same order. The catalog is locked: neither changes before the groups are written.
pub(super) fn is_still_valid(job: &Job, compared: &Compared) -> bool {
    let (catalog, preference) = (job.catalog, compared.base.preference.as_str());
    match &compared.extent {
        Extent::Whole(_) => statement::execute(
            "SELECT WHERE lumina_internal.search_basis($1) = $2",
            &[catalog.into(), preference.into()],
        ),
        Extent::Changes(changes) => statement::execute(
            "SELECT FROM lumina.duplicate_runs WHERE id = $1 AND catalog = $2 AND is_current AND basis = $3
                AND lumina_internal.search_basis($2) = $3",
            &[changes.run.into(), catalog.into(), preference.into()],
        ),
    }
}

/// Replaces the groups of the catalog, or those of what has changed. Returns the job's result.
pub(super) fn write(job: &Job, parameters: &DuplicateParameters, compared: &Compared) -> Result<Value, Stop> {
    match &compared.extent {
        Extent::Whole(obstacle) => write_all(job, parameters, compared, obstacle.as_deref()),
        Extent::Changes(changes) => write_changes(job, parameters, compared, changes),
    }
}

/// Replaces all groups of the catalog, by a new run.
fn write_all(
    job: &Job,
    parameters: &DuplicateParameters,
    compared: &Compared,
    obstacle: Option<&str>,
) -> Result<Value, Stop> {
    let Compared { images, groups, base, .. } = compared;
    let catalog = job.catalog;
    check_foreign_keys(false);
    // Members first: no group is deleted that has any.
    for table in ["duplicate_members", "duplicate_groups"] {
        let delete = format!("DELETE FROM lumina.{table} WHERE catalog = $1");
        statement::execute(&delete, &[catalog.into()]);
    }
    check_foreign_keys(true);
    statement::execute(
        "UPDATE lumina.duplicate_runs SET is_current = false WHERE catalog = $1 AND is_current",
        &[catalog.into()],
    );
    let arguments: [Argument<'_>; 12] = [
        catalog.into(),
        job.id.into(),
        JsonB(parameters.rule_json.clone()).into(),
        parameters.strategy_name.as_str().into(),
        (images.len() as i64).into(),
        (images.compared() as i64).into(),
        images.possible_pairs().to_string().into(),
        (groups.near_pairs() as i64).into(),
        (groups.len() as i64).into(),
        (groups.members().len() as i64).into(),
        base.preference.as_str().into(),
        base.has_raw.into(),
    ];
    let run = statement::row(
        "INSERT INTO lumina.duplicate_runs (catalog, job, is_current, rule, strategy, images, compared, possible_pairs,
                complete, near_pairs, groups, members, basis, has_raw)
            VALUES ($1, $2, true, $3, $4, $5, $6, $7::numeric, true, $8, $9, $10, $11, $12) RETURNING id",
        &arguments,
        |row| row.known::<i64>(1),
    );
    let Some(run) = run else { panic!("an INSERT returns its row") };
    let (_, savings) = write_groups(job, parameters, compared, run)?;
    forget_changes(job, &base.snapshot);
    let mut result = json!({
        "run": run,
        "scope": "all",
        "images": images.len(),
        "compared": images.compared(),
        "near_pairs": groups.near_pairs(),
        "groups": groups.len(),
        "members": groups.members().len(),
        "savings": savings,
    });
    if let Some(obstacle) = obstacle {
        result["reason"] = obstacle.into();
    }
    Ok(result)
}

/// Replaces the groups of what has changed, in the current run.
fn write_changes(
    job: &Job,
    parameters: &DuplicateParameters,
    compared: &Compared,
    changes: &Changes,
) -> Result<Value, Stop> {
    let (run, replaced) = (changes.run, changes.replaced());
    check_foreign_keys(false);
    for (table, id) in [("duplicate_members", "group_id"), ("duplicate_groups", "id")] {
        let delete = format!("DELETE FROM lumina.{table} WHERE {id} = ANY ($1) AND run = $2 AND catalog = $3");
        statement::execute(&delete, &[replaced.clone().into(), run.into(), job.catalog.into()]);
    }
    check_foreign_keys(true);
    let (written, _) = write_groups(job, parameters, compared, run)?;
    forget_changes(job, &changes.snapshot);
    let counts = statement::row(
        "UPDATE lumina.duplicate_runs r SET groups = c.groups, members = c.members, refreshed_by = $2,
                refreshed_at = now(), has_raw = $3
            FROM (SELECT count(*) AS groups, coalesce(sum(g.images::int8), 0)::int8 AS members,
                    coalesce(sum(g.savings), 0)::int8 AS savings FROM lumina.duplicate_groups g WHERE g.run = $1) c
            WHERE r.id = $1 RETURNING r.groups, r.members, c.savings",
        &[run.into(), job.id.into(), compared.base.has_raw.into()],
        |row| (row.known::<i64>(1), row.known::<i64>(2), row.known::<i64>(3)),
    );
    let Some((groups, members, savings)) = counts else { panic!("the run was found before") };
    Ok(json!({
        "run": run,
        "scope": "changes",
        "changed": changes.changed,
        "images": compared.images.len(),
        "replaced_groups": replaced.len(),
        "new_groups": written,
        "groups": groups,
        "members": members,
        "savings": savings,
    }))
}

/// Removes the notes on changes that the search has seen.
fn forget_changes(job: &Job, snapshot: &str) {
    statement::execute(
        "DELETE FROM lumina_internal.image_changes c
            WHERE c.catalog = $1 AND pg_visible_in_snapshot(c.changed_by, $2::pg_snapshot)",
        &[job.catalog.into(), snapshot.into()],
    );
}

/// The numbers of the groups that are written, in the order of the images to keep: rows and entries of indexes are
/// found, and made, one beside the other. In any other order the caches of the processor miss most of them.
fn by_primary(compared: &Compared) -> Result<Vec<u32>, LuminaError> {
    let Compared { images, groups, .. } = compared;
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(groups.len()).map_err(|_| OutOfMemory)?;
    numbers.extend((0..groups.len() as u32).filter(|number| is_written(compared, *number as usize)));
    numbers.sort_unstable_by_key(|&number| primary(images, &groups.group(number as usize)));
    Ok(numbers)
}

/// The image to keep.
fn primary(images: &RankedImages, group: &DuplicateGroup<'_>) -> i64 {
    group.members.first().map_or(0, |&rank| images.id(rank))
}

/// Writes the groups, and returns how many, and how many bytes they would save.
fn write_groups(
    job: &Job,
    parameters: &DuplicateParameters,
    compared: &Compared,
    run: i64,
) -> Result<(usize, i64), Stop> {
    let numbers = by_primary(compared)?;
    let mut savings = 0;
    check_foreign_keys(false);
    for some in numbers.chunks(GROUPS) {
        savings += write_some(job, parameters, compared, run, some);
        job.check_cancelled_in_transaction()?;
    }
    check_foreign_keys(true);
    Ok((numbers.len(), savings))
}

/// Writes some groups, by their numbers, and returns how many bytes they would save.
fn write_some(job: &Job, parameters: &DuplicateParameters, compared: &Compared, run: i64, numbers: &[u32]) -> i64 {
    let rule = &parameters.rule;
    let Compared { images, groups, .. } = compared;
    let ids = statement::row(
        "SELECT array_agg(nextval('lumina.duplicate_groups_id_seq')) FROM generate_series(1, $1)",
        &[(numbers.len() as i32).into()],
        |row| row.known::<Vec<i64>>(1),
    );
    let ids = ids.unwrap_or_default();
    let mut group_rows = GroupColumns::default();
    let mut members = Vec::new();
    for (group, &id) in numbers.iter().map(|&number| groups.group(number as usize)).zip(&ids) {
        group_rows.push(id, &group, images);
        // In a star the one to keep is that of the best score, and no original.
        let copy_of = Some(primary(images, &group)).filter(|_| parameters.strategy != Strategy::Star);
        let copies = images.copies_of_first(group.members);
        for (place, ((rank, distances), is_copy)) in group.members_with_distances().zip(copies).enumerate() {
            members.push((images.id(rank), id, place as i32, copy_of.filter(|_| is_copy), distances));
        }
    }
    // In the order of the primary key, whose index is the larger one.
    members.sort_unstable_by_key(|&(image, ..)| image);
    let mut member_rows = MemberRows::new(rule.hashes().len());
    for (image, group, place, copy_of, distances) in members {
        member_rows.push(image, group, (place, copy_of), rule.shown_distance(distances), distances);
    }
    let savings = group_rows.savings.iter().sum();
    group_rows.write(run, job.catalog);
    member_rows.write(run, job.catalog, rule);
    savings
}

/// Rows of `duplicate_groups`, a list per column.
#[derive(Default)]
struct GroupColumns {
    ids: Vec<i64>,
    /// Images to keep.
    primaries: Vec<i64>,
    kinds: Vec<&'static str>,
    distances: Vec<i16>,
    images: Vec<i32>,
    files: Vec<i32>,
    bytes: Vec<i64>,
    /// When the images to keep were taken.
    captured: Vec<Option<i64>>,
    redundant: Vec<i32>,
    savings: Vec<i64>,
    /// Arrays as text: a Postgres array cannot hold arrays of different lengths.
    near: Vec<String>,
    near_counts: Vec<i32>,
}

impl GroupColumns {
    fn push(&mut self, id: i64, group: &DuplicateGroup<'_>, images: &RankedImages) {
        let near: Vec<String> = group.also_near.iter().map(|&rank| images.id(rank).to_string()).collect();
        let small = |number: i64| number.min(i64::from(i32::MAX)) as i32;
        self.ids.push(id);
        self.primaries.push(primary(images, group));
        self.captured.push(group.members.first().and_then(|&rank| images.captured(rank)));
        self.kinds.push(group.kind().name());
        self.distances.push(group.distance);
        self.images.push(small(group.members.len() as i64));
        self.files.push(small(group.files(images)));
        self.bytes.push(group.bytes(images));
        let (redundant, savings) = group.redundant(images);
        self.redundant.push(small(redundant));
        self.savings.push(savings);
        self.near.push(format!("{{{}}}", near.join(",")));
        self.near_counts.push(small(i64::from(group.also_near_count)));
    }

    fn write(self, run: i64, catalog: i64) {
        let arguments: [Argument<'_>; 14] = [
            run.into(),
            catalog.into(),
            self.ids.into(),
            self.primaries.into(),
            self.kinds.into(),
            self.distances.into(),
            self.images.into(),
            self.files.into(),
            self.bytes.into(),
            self.savings.into(),
            self.near.into(),
            self.near_counts.into(),
            self.redundant.into(),
            statement::times(self.captured),
        ];
        statement::execute(
            "INSERT INTO lumina.duplicate_groups (id, run, catalog, kind, distance, images, files, bytes, savings,
                    also_near, also_near_count, captured_at, folder, current_images, current_redundant, current_savings)
                    OVERRIDING SYSTEM VALUE
                SELECT g.id, $1, $2, kind::lumina.group_kind, distance, images, files, bytes, savings, near::int8[],
                    near_count, coalesce(g.captured, '-infinity'),
                    coalesce(left(p.path, -position('/' in reverse(p.path))), ''), images, redundant, savings
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::int8[]), unnest($5::text[]), unnest($6::int2[]),
                    unnest($7::int4[]), unnest($8::int4[]), unnest($9::int8[]), unnest($10::int8[]),
                    unnest($11::text[]), unnest($12::int4[]), unnest($13::int4[]), unnest($14::timestamptz[]))
                    AS g (id, keep, kind, distance, images, files, bytes, savings, near, near_count, redundant,
                        captured)
                CROSS JOIN (SELECT l.* FROM lumina_internal.file_lists($2) l OFFSET 0) l
                -- Most images have one file.
                CROSS JOIN LATERAL (SELECT count(*) AS names, min(f.path) AS path FROM lumina.image_files f
                    WHERE f.image = g.keep AND f.state = 'keep' AND f.missing_since IS NULL OFFSET 0) f
                CROSS JOIN LATERAL (SELECT CASE WHEN f.names = 1 THEN f.path ELSE
                    (SELECT f.path FROM lumina_internal.files_there(g.keep, l.preferred, l.protected) f
                        ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job, f.number,
                            f.path COLLATE \"C\"
                        LIMIT 1) END AS path OFFSET 0) p",
            &arguments,
        );
    }
}

/// Rows of `duplicate_members`, a list per column.
struct MemberRows {
    images: Vec<i64>,
    groups: Vec<i64>,
    places: Vec<i32>,
    /// The images to keep, where these are copies of them.
    originals: Vec<Option<i64>>,
    distances: Vec<i16>,
    each: Vec<Vec<i16>>,
}

impl MemberRows {
    fn new(hashes: usize) -> Self {
        MemberRows {
            images: Vec::new(),
            groups: Vec::new(),
            places: Vec::new(),
            originals: Vec::new(),
            distances: Vec::new(),
            each: vec![Vec::new(); hashes],
        }
    }

    fn push(&mut self, image: i64, group: i64, (place, copy_of): (i32, Option<i64>), distance: i16, each: &[u16]) {
        self.images.push(image);
        self.groups.push(group);
        self.places.push(place);
        self.originals.push(copy_of);
        self.distances.push(distance);
        for (list, distance) in self.each.iter_mut().zip(each) {
            list.push(*distance as i16);
        }
    }

    fn write(self, run: i64, catalog: i64, rule: &PairRule) {
        let names: Vec<String> = rule.hashes().iter().map(|hash| format!("{}_distance", hash.name)).collect();
        let lists: Vec<String> = (0..names.len()).map(|at| format!("unnest(${}::int2[])", at + 8)).collect();
        let (names, lists) = (names.join(", "), lists.join(", "));
        let insert = format!(
            "INSERT INTO lumina.duplicate_members (image, run, group_id, catalog, place, copy_of, distance, {names})
                SELECT image, $1, group_id, $2, place, copy_of, distance, {names}
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::int8[]), unnest($5::int4[]), unnest($6::int8[]),
                    unnest($7::int2[]), {lists}) AS m (image, group_id, place, copy_of, distance, {names})"
        );
        let mut arguments: Vec<Argument<'_>> = vec![
            run.into(),
            catalog.into(),
            self.images.into(),
            self.groups.into(),
            self.places.into(),
            self.originals.into(),
            self.distances.into(),
        ];
        arguments.extend(self.each.into_iter().map(Argument::from));
        statement::execute(&insert, &arguments);
    }
}
