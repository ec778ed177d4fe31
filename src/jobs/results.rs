//! Results that are written at once: rows of a whole catalog that refer to its images, replaced in the last transaction
//! of a job (`duplicates/output.rs`, `bursts/output.rs`).
//!
//! Foreign keys are not checked row by row, which took two thirds of the time. They hold, since within one transaction
//! [`lock_images`] has found every image in the catalog, and locks it as the check would: a DELETE of it waits, and
//! then removes what refers to it, too. Rows that the results refer to among themselves are written before them, and
//! removed after them, by the caller.

use super::job::Job;
use super::stop::Stop;
use crate::pg::spi::statement;

/// Images that are checked by one statement.
const IMAGES: usize = 65_536;

/// Locks images of the catalog, so that none is deleted before the job's transaction ends. Whether all are there, and
/// none has changed: each comes with the version of its row when it was read, or all without. Requires: they are
/// sorted, as they lie in the table, and no image is twice among them.
pub(super) fn lock_images(job: &Job, images: &[i64], versions: Option<&[i32]>) -> Result<bool, Stop> {
    for (at, ids) in images.chunks(IMAGES).enumerate() {
        job.check_cancelled_in_transaction()?;
        let lock = |versions: &str, condition: &str| {
            format!(
                "SELECT count(*) FROM ROWS FROM (unnest($1::int8[]){versions}) AS m (id, version)
                    CROSS JOIN LATERAL (SELECT FROM lumina.images i
                        WHERE i.id = m.id {condition} AND i.catalog + 0 = $2 OFFSET 0 FOR KEY SHARE) i"
            )
        };
        let (ids, catalog) = (ids.to_vec(), job.catalog);
        let count = |row: &statement::ResultRow<'_>| row.known::<i64>(1);
        let wanted = ids.len() as i64;
        let locked = match versions {
            // An xid is compared with an integer of the same bits.
            Some(versions) => {
                let some = versions[at * IMAGES..].iter().take(ids.len()).copied().collect::<Vec<i32>>();
                let lock = lock(", unnest($3::int4[])", "AND i.xmin = m.version");
                statement::row(&lock, &[ids.into(), catalog.into(), some.into()], count)
            }
            None => statement::row(&lock(", unnest(NULL::int4[])", ""), &[ids.into(), catalog.into()], count),
        };
        if locked != Some(wanted) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether foreign keys are checked, which triggers do; until the transaction ends at most.
pub(super) fn check_foreign_keys(checked: bool) {
    let role = if checked { "origin" } else { "replica" };
    statement::execute(&format!("SET LOCAL session_replication_role = {role}"), &[]);
}
