//! Writes groups into tables: the new run, its groups and members, which replace those of the run before.
//!
//! Foreign keys are not checked row by row, which took two thirds of the time, but hold, since within one transaction:
//! - [`lock_unchanged`] has found the image of every member in the catalog, and locks it as the check would: a DELETE
//!   of it waits, and then removes the member, too;
//! - a group refers to the run that was inserted before it, and its members to the group that was inserted with them;
//! - no member is left when groups are deleted: members are of the catalog of their group.

use super::parameters::Parameters;
use crate::error::{LuminaError, OutOfMemory};
use crate::jobs::job::Job;
use crate::jobs::stop::Stop;
use crate::pg::spi::statement::{self, Argument};
use lumina_catalog::{DuplicateGroup, DuplicateGroups, PairRule, RankedImages};
use pgrx::JsonB;
use serde_json::{Value, json};

/// Groups that are written by one statement.
const GROUPS: usize = 16_384;
/// Images that are checked by one statement.
const IMAGES: usize = 65_536;

/// Locks the images in groups, so that none is deleted before the groups are written. Whether all are there, and none
/// has changed since it was read.
pub(super) fn lock_unchanged(job: &Job, images: &RankedImages, groups: &DuplicateGroups) -> Result<bool, Stop> {
    for members in groups.members().chunks(IMAGES) {
        job.check_cancelled_in_transaction()?;
        // In the order in which they lie in the table.
        let mut rows: Vec<(i64, i32)> =
            members.iter().map(|&rank| (images.id(rank), images.row_version(rank) as i32)).collect();
        rows.sort_unstable();
        let (ids, versions): (Vec<i64>, Vec<i32>) = rows.into_iter().unzip();
        // An xid is compared with an integer of the same bits.
        let locked = statement::row(
            "SELECT count(*) FROM ROWS FROM (unnest($1::int8[]), unnest($2::int4[])) AS m (id, written)
                CROSS JOIN LATERAL (SELECT FROM lumina.images i
                    WHERE i.id = m.id AND i.xmin = m.written AND i.catalog + 0 = $3 OFFSET 0 FOR KEY SHARE) i",
            &[ids.into(), versions.into(), job.catalog.into()],
            |row| row.known::<i64>(1),
        );
        if locked != Some(members.len() as i64) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Replaces the groups of the catalog. Returns the job's result.
pub(super) fn write(
    job: &Job,
    parameters: &Parameters,
    images: &RankedImages,
    groups: &DuplicateGroups,
) -> Result<Value, Stop> {
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
    let arguments: [Argument<'_>; 10] = [
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
    ];
    let run = statement::row(
        "INSERT INTO lumina.duplicate_runs (catalog, job, is_current, rule, strategy, images, compared, possible_pairs,
                complete, near_pairs, groups, members)
            VALUES ($1, $2, true, $3, $4, $5, $6, $7::numeric, true, $8, $9, $10) RETURNING id",
        &arguments,
        |row| row.known::<i64>(1),
    );
    let Some(run) = run else { panic!("an INSERT returns its row") };
    let mut savings = 0;
    check_foreign_keys(false);
    for some in by_primary(images, groups)?.chunks(GROUPS) {
        savings += write_groups(job, &parameters.rule, images, groups, run, some);
        job.check_cancelled_in_transaction()?;
    }
    check_foreign_keys(true);
    Ok(json!({
        "run": run,
        "images": images.len(),
        "compared": images.compared(),
        "near_pairs": groups.near_pairs(),
        "groups": groups.len(),
        "members": groups.members().len(),
        "savings": savings,
    }))
}

/// Whether foreign keys are checked, which triggers do; until the transaction ends at most.
fn check_foreign_keys(checked: bool) {
    let role = if checked { "origin" } else { "replica" };
    statement::execute(&format!("SET LOCAL session_replication_role = {role}"), &[]);
}

/// The numbers of groups in the order of the images to keep: rows and entries of indexes are found, and made, one
/// beside the other. In any other order the caches of the processor miss most of them.
fn by_primary(images: &RankedImages, groups: &DuplicateGroups) -> Result<Vec<u32>, LuminaError> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(groups.len()).map_err(|_| OutOfMemory)?;
    numbers.extend(0..groups.len() as u32);
    numbers.sort_unstable_by_key(|&number| primary(images, &groups.group(number as usize)));
    Ok(numbers)
}

/// The image to keep.
fn primary(images: &RankedImages, group: &DuplicateGroup<'_>) -> i64 {
    group.members.first().map_or(0, |&rank| images.id(rank))
}

/// Writes some groups, by their numbers, and returns how many bytes they would save.
fn write_groups(
    job: &Job,
    rule: &PairRule,
    images: &RankedImages,
    groups: &DuplicateGroups,
    run: i64,
    numbers: &[u32],
) -> i64 {
    let ids = statement::row(
        "SELECT array_agg(nextval('lumina.duplicate_groups_id_seq')) FROM generate_series(1, $1)",
        &[(numbers.len() as i32).into()],
        |row| row.known::<Vec<i64>>(1),
    );
    let ids = ids.unwrap_or_default();
    let mut group_rows = GroupRows::default();
    let mut members = Vec::new();
    for (group, &id) in numbers.iter().map(|&number| groups.group(number as usize)).zip(&ids) {
        group_rows.push(id, &group, images);
        for (place, (rank, distances)) in group.members_with_distances().enumerate() {
            members.push((images.id(rank), id, place as i32, distances));
        }
    }
    // In the order of the primary key, whose index is the larger one.
    members.sort_unstable_by_key(|&(image, ..)| image);
    let mut member_rows = MemberRows::new(rule.hashes().len());
    for (image, group, place, distances) in members {
        member_rows.push(image, group, place, rule.shown_distance(distances), distances);
    }
    let savings = group_rows.savings.iter().sum();
    group_rows.write(run, job.catalog);
    member_rows.write(run, job.catalog, rule);
    savings
}

/// Rows of `duplicate_groups`, a list per column.
#[derive(Default)]
struct GroupRows {
    ids: Vec<i64>,
    /// Images to keep.
    primaries: Vec<i64>,
    kinds: Vec<&'static str>,
    distances: Vec<i16>,
    images: Vec<i32>,
    files: Vec<i32>,
    bytes: Vec<i64>,
    savings: Vec<i64>,
    /// Arrays as text: a Postgres array cannot hold arrays of different lengths.
    near: Vec<String>,
    near_counts: Vec<i32>,
}

impl GroupRows {
    fn push(&mut self, id: i64, group: &DuplicateGroup<'_>, images: &RankedImages) {
        let near: Vec<String> = group.also_near.iter().map(|&rank| images.id(rank).to_string()).collect();
        let small = |number: i64| number.min(i64::from(i32::MAX)) as i32;
        self.ids.push(id);
        self.primaries.push(primary(images, group));
        self.kinds.push(group.kind().name());
        self.distances.push(group.distance);
        self.images.push(small(group.members.len() as i64));
        self.files.push(small(group.files(images)));
        self.bytes.push(group.bytes(images));
        self.savings.push(group.savings(images));
        self.near.push(format!("{{{}}}", near.join(",")));
        self.near_counts.push(small(i64::from(group.also_near_count)));
    }

    fn write(self, run: i64, catalog: i64) {
        let arguments: [Argument<'_>; 12] = [
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
        ];
        statement::execute(
            "INSERT INTO lumina.duplicate_groups (id, run, catalog, kind, distance, images, files, bytes, savings,
                    also_near, also_near_count, captured_at, folder, current_images, current_files, current_savings)
                    OVERRIDING SYSTEM VALUE
                SELECT g.id, $1, $2, kind::lumina.group_kind, distance, images, files, bytes, savings, near::int8[],
                    near_count, coalesce(i.captured_at, '-infinity'),
                    coalesce(left(f.path, -position('/' in reverse(f.path))), ''), images, files, savings
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::int8[]), unnest($5::text[]), unnest($6::int2[]),
                    unnest($7::int4[]), unnest($8::int4[]), unnest($9::int8[]), unnest($10::int8[]),
                    unnest($11::text[]), unnest($12::int4[]))
                    AS g (id, keep, kind, distance, images, files, bytes, savings, near, near_count)
                CROSS JOIN (SELECT * FROM lumina_internal.file_lists($2) OFFSET 0) l
                LEFT JOIN LATERAL (SELECT i.captured_at FROM lumina.images i WHERE i.id = g.keep OFFSET 0) i ON true
                LEFT JOIN LATERAL (SELECT f.path FROM lumina.image_files f
                    WHERE f.image = g.keep AND f.state = 'keep' AND f.missing_since IS NULL
                    ORDER BY lumina_internal.folder_rank(l.preferred, f.path),
                        NOT lumina_internal.is_below(l.protected, f.path), coalesce(f.import_job, 0),
                        CASE WHEN f.import_job IS NULL THEN f.id ELSE 0 END, f.path
                    LIMIT 1) f ON true",
            &arguments,
        );
    }
}

/// Rows of `duplicate_members`, a list per column.
struct MemberRows {
    images: Vec<i64>,
    groups: Vec<i64>,
    places: Vec<i32>,
    distances: Vec<i16>,
    each: Vec<Vec<i16>>,
}

impl MemberRows {
    fn new(hashes: usize) -> Self {
        MemberRows {
            images: Vec::new(),
            groups: Vec::new(),
            places: Vec::new(),
            distances: Vec::new(),
            each: vec![Vec::new(); hashes],
        }
    }

    fn push(&mut self, image: i64, group: i64, place: i32, distance: i16, each: &[u16]) {
        self.images.push(image);
        self.groups.push(group);
        self.places.push(place);
        self.distances.push(distance);
        for (list, distance) in self.each.iter_mut().zip(each) {
            list.push(*distance as i16);
        }
    }

    fn write(self, run: i64, catalog: i64, rule: &PairRule) {
        let names: Vec<String> = rule.hashes().iter().map(|hash| format!("{}_distance", hash.name)).collect();
        let lists: Vec<String> = (0..names.len()).map(|at| format!("unnest(${}::int2[])", at + 7)).collect();
        let (names, lists) = (names.join(", "), lists.join(", "));
        let insert = format!(
            "INSERT INTO lumina.duplicate_members (image, run, group_id, catalog, place, distance, {names})
                SELECT image, $1, group_id, $2, place, distance, {names}
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::int8[]), unnest($5::int4[]), unnest($6::int2[]), {lists})
                    AS m (image, group_id, place, distance, {names})"
        );
        let mut arguments: Vec<Argument<'_>> = vec![
            run.into(),
            catalog.into(),
            self.images.into(),
            self.groups.into(),
            self.places.into(),
            self.distances.into(),
        ];
        arguments.extend(self.each.into_iter().map(Argument::from));
        statement::execute(&insert, &arguments);
    }
}
