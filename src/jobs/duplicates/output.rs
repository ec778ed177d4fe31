//! Writes groups into tables: the new run, its groups and members, which replace those of the run before.

use super::parameters::Parameters;
use crate::jobs::job::Job;
use crate::jobs::stop::Stop;
use crate::pg::spi::statement::{self, Argument};
use lumina_catalog::{DuplicateGroup, DuplicateGroups, PairRule, RankedImages};
use pgrx::JsonB;
use serde_json::{Value, json};
use std::ops::Range;

/// Groups that are written by one statement.
const GROUPS: usize = 4096;
/// Images that are checked by one statement.
const IMAGES: usize = 65_536;

/// Whether one of the images in groups has changed since it was read, or is gone.
pub(super) fn have_changed(job: &Job, images: &RankedImages, groups: &DuplicateGroups) -> Result<bool, Stop> {
    for members in groups.members().chunks(IMAGES) {
        job.check_cancelled_in_transaction()?;
        let ids: Vec<i64> = members.iter().map(|&rank| images.id(rank)).collect();
        let written: Vec<i64> = members.iter().map(|&rank| i64::from(images.row_version(rank))).collect();
        let changed = statement::read(
            "SELECT FROM ROWS FROM (unnest($1::int8[]), unnest($2::int8[])) AS m (id, written)
                LEFT JOIN lumina.images i ON i.id = m.id AND i.xmin::text::int8 = m.written
                WHERE i.id IS NULL LIMIT 1",
            &[ids.into(), written.into()],
            |_| (),
        );
        if !changed.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Replaces the groups of the catalog. Returns the job's result.
pub(super) fn write(
    job: &Job,
    parameters: &Parameters,
    images: &RankedImages,
    groups: &DuplicateGroups,
) -> Result<Value, Stop> {
    let catalog = job.catalog;
    // Members first: deleting a group looks up its members.
    for table in ["duplicate_members", "duplicate_groups"] {
        let delete = format!("DELETE FROM lumina.{table} WHERE catalog = $1");
        statement::execute(&delete, &[catalog.into()]);
    }
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
    for first in (0..groups.len()).step_by(GROUPS) {
        let some = first..groups.len().min(first + GROUPS);
        savings += write_groups(job, &parameters.rule, images, groups, run, some);
        job.check_cancelled_in_transaction()?;
    }
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

/// Writes some groups, by their numbers, and returns how many bytes they would save.
fn write_groups(
    job: &Job,
    rule: &PairRule,
    images: &RankedImages,
    groups: &DuplicateGroups,
    run: i64,
    numbers: Range<usize>,
) -> i64 {
    let ids = statement::row(
        "SELECT array_agg(nextval('lumina.duplicate_groups_id_seq')) FROM generate_series(1, $1)",
        &[(numbers.len() as i32).into()],
        |row| row.known::<Vec<i64>>(1),
    );
    let ids = ids.unwrap_or_default();
    let mut group_rows = GroupRows::default();
    let mut member_rows = MemberRows::new(rule.hashes().len());
    for (group, &id) in numbers.map(|number| groups.group(number)).zip(&ids) {
        group_rows.push(id, &group, images);
        for (place, (rank, distances)) in group.members_with_distances().enumerate() {
            member_rows.push(images.id(rank), id, place as i32, rule.shown_distance(distances), distances);
        }
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
        let arguments: [Argument<'_>; 11] = [
            run.into(),
            catalog.into(),
            self.ids.into(),
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
                    also_near, also_near_count) OVERRIDING SYSTEM VALUE
                SELECT id, $1, $2, kind::lumina.group_kind, distance, images, files, bytes, savings, near::int8[],
                    near_count
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::text[]), unnest($5::int2[]), unnest($6::int4[]),
                    unnest($7::int4[]), unnest($8::int8[]), unnest($9::int8[]), unnest($10::text[]),
                    unnest($11::int4[]))
                    AS g (id, kind, distance, images, files, bytes, savings, near, near_count)",
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
