//! Writes groups into tables: the new run, its groups and members, which replace those of the run before.

use super::form::{Formed, Group};
use super::input::Images;
use super::rule::Parameters;
use crate::jobs::job::Job;
use crate::jobs::stop::Stop;
use crate::pg::statement::{self, Argument};
use pgrx::JsonB;
use serde_json::{Value, json};

/// Groups that are written by one statement.
const GROUPS: usize = 4096;
/// Images that are checked by one statement.
const IMAGES: usize = 65_536;

/// Whether one of the images in groups has changed since it was read, or is gone.
pub(super) fn have_changed(job: &Job, images: &Images, formed: &Formed) -> Result<bool, Stop> {
    for members in formed.members.chunks(IMAGES) {
        job.check_cancelled_in_transaction()?;
        let ids: Vec<i64> = members.iter().map(|&member| images.all[member as usize].id).collect();
        let written: Vec<i64> = members.iter().map(|&member| i64::from(images.all[member as usize].written)).collect();
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
pub(super) fn write(job: &Job, parameters: &Parameters, images: &Images, formed: &Formed) -> Result<Value, Stop> {
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
    let compared = images.count_compared() as i64;
    let possible = i128::from(compared) * i128::from(compared - 1) / 2;
    let arguments: [Argument<'_>; 10] = [
        catalog.into(),
        job.id.into(),
        JsonB(parameters.rule.clone()).into(),
        parameters.strategy_name.as_str().into(),
        (images.all.len() as i64).into(),
        compared.into(),
        possible.to_string().into(),
        (formed.near_pairs as i64).into(),
        (formed.groups.len() as i64).into(),
        (formed.members.len() as i64).into(),
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
    let mut first = 0; // the first member of the group
    for groups in formed.groups.chunks(GROUPS) {
        savings += write_groups(job, parameters, images, formed, run, groups, first);
        first = groups.last().map_or(first, |group| group.end);
        job.check_cancelled_in_transaction()?;
    }
    Ok(json!({
        "run": run,
        "images": images.all.len(),
        "compared": compared,
        "near_pairs": formed.near_pairs,
        "groups": formed.groups.len(),
        "members": formed.members.len(),
        "savings": savings,
    }))
}

/// Writes some groups, and returns how many bytes they would save.
fn write_groups(
    job: &Job,
    parameters: &Parameters,
    images: &Images,
    formed: &Formed,
    run: i64,
    groups: &[Group],
    first: usize,
) -> i64 {
    let ids = statement::row(
        "SELECT array_agg(nextval('lumina.duplicate_groups_id_seq')) FROM generate_series(1, $1)",
        &[(groups.len() as i32).into()],
        |row| row.known::<Vec<i64>>(1),
    );
    let ids = ids.unwrap_or_default();
    let mut table = Table::default();
    let mut members = Members::new(parameters.hashes.len());
    let mut start = first;
    for (group, &id) in groups.iter().zip(&ids) {
        table.push(id, group, &formed.members[start..group.end], images);
        for at in start..group.end {
            let each = &formed.distances[at * parameters.hashes.len()..(at + 1) * parameters.hashes.len()];
            let image = images.all[formed.members[at] as usize].id;
            members.push(image, id, (at - start) as i32, parameters.distance(each), each);
        }
        start = group.end;
    }
    let savings = table.savings.iter().sum();
    table.write(run, job.catalog);
    members.write(run, job.catalog, parameters);
    savings
}

/// Rows of `duplicate_groups`, a list per column.
#[derive(Default)]
struct Table {
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

impl Table {
    fn push(&mut self, id: i64, group: &Group, members: &[u32], images: &Images) {
        let files = |&image: &u32| i64::from(images.all[image as usize].files);
        let size = |&image: &u32| images.all[image as usize].size;
        let bytes =
            members.iter().fold(0i64, |sum, image| sum.saturating_add(files(image).saturating_mul(size(image))));
        let kind = match (members.len(), group.identical) {
            (1, _) => "exact",
            (_, true) => "identical",
            _ => "near",
        };
        let near: Vec<String> =
            group.also_near.iter().map(|&image| images.all[image as usize].id.to_string()).collect();
        let small = |number: i64| number.min(i64::from(i32::MAX)) as i32;
        self.ids.push(id);
        self.kinds.push(kind);
        self.distances.push(group.distance);
        self.images.push(small(members.len() as i64));
        self.files.push(small(members.iter().map(files).sum()));
        self.bytes.push(bytes);
        self.savings.push(bytes - members.first().map_or(0, size));
        self.near.push(format!("{{{}}}", near.join(",")));
        self.near_counts.push(small(group.also_near_count as i64));
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
            "INSERT INTO lumina.duplicate_groups (id, run, catalog, kind, distance, images, files, bytes, savings, also_near,
                    also_near_count) OVERRIDING SYSTEM VALUE
                SELECT id, $1, $2, kind::lumina.group_kind, distance, images, files, bytes, savings, near::int8[], near_count
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::text[]), unnest($5::int2[]), unnest($6::int4[]),
                    unnest($7::int4[]), unnest($8::int8[]), unnest($9::int8[]), unnest($10::text[]), unnest($11::int4[]))
                    AS g (id, kind, distance, images, files, bytes, savings, near, near_count)",
            &arguments,
        );
    }
}

/// Rows of `duplicate_members`, a list per column.
struct Members {
    images: Vec<i64>,
    groups: Vec<i64>,
    places: Vec<i32>,
    distances: Vec<i16>,
    each: Vec<Vec<i16>>,
}

impl Members {
    fn new(hashes: usize) -> Self {
        Members {
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

    fn write(self, run: i64, catalog: i64, parameters: &Parameters) {
        let names: Vec<String> = parameters.hashes.iter().map(|(name, _)| format!("{name}_distance")).collect();
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
