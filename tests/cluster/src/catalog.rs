//! Catalogs for tests, with rows like those of an import; the results of jobs and runs.

use crate::cluster::wait_until;
use postgres::Client;
use std::fmt::Write as _;
use std::io::Write as _;

/// Creates the extension, if missing, and a catalog of one image per hash, in the order of the hashes. All hashes of an
/// image give the same distances; 13 images of 100 have a second file; sizes, formats and dates vary.
pub fn fill(session: &mut Client, catalog: &str, hashes: &[u64]) -> i64 {
    session
        .batch_execute("CREATE EXTENSION IF NOT EXISTS lumina; CREATE TEMP TABLE raw (n int8, h text)")
        .expect("tables");
    let mut rows = String::new();
    for (n, hash) in hashes.iter().enumerate() {
        writeln!(rows, "{}\t{hash:016x}", n + 1).expect("a string grows");
    }
    let mut copy = session.copy_in("COPY raw FROM STDIN").expect("COPY starts");
    copy.write_all(rows.as_bytes()).expect("COPY takes rows");
    copy.finish().expect("COPY ends");
    let id: i64 = session.query_one("SELECT lumina.create_catalog($1)", &[&catalog]).expect("a catalog").get(0);
    let fill = format!(
        "INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, ahash, dhash, dct, pdq,
            hash_valid)
        SELECT {id}, sha256(convert_to(n::text, 'UTF8')), 100000 + n * 7919 % 5000000,
            (ARRAY['jpeg', 'png', 'tiff'])[1 + n % 3], 1000 + n * 13 % 3000, 1000 + n * 17 % 2000,
            CASE WHEN n % 5 > 0 THEN '2020-01-01'::timestamptz + n % 1000 * '1 hour'::interval END,
            h::phash, h::phash, h::phash, repeat(h, 4)::phash, true
        FROM raw ORDER BY n;
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
        SELECT {id}, i.id, p.path, p.path FROM lumina.images i, generate_series(1, 2) copy,
            LATERAL (SELECT format('/photos/%s/%s/%s.jpg', {id}, copy, i.id) AS path) p
        WHERE i.catalog = {id} AND (copy = 1 OR i.id % 100 < 13);
        DROP TABLE raw;
        ANALYZE lumina.images, lumina.image_files"
    );
    session.batch_execute(&fill).expect("rows");
    id
}

/// Submits a search for duplicates within a distance, of all images; returns the job.
pub fn submit(session: &mut Client, catalog: &str, distance: i32) -> i64 {
    let submit = "SELECT lumina.detect_duplicates($1, $2, scope => 'all')";
    session.query_one(submit, &[&catalog, &distance]).expect("a job").get(0)
}

/// The state of a job in `job_progress`, which also shows orphaned and fenced jobs.
pub fn state(session: &mut Client, job: i64) -> String {
    let row = session.query_opt("SELECT state FROM lumina.job_progress WHERE job = $1", &[&job]).expect("job_progress");
    row.map_or_else(|| "gone".into(), |row| row.get(0))
}

/// Waits until a worker is in a phase of a job; panics if the job ends before.
pub fn wait_for_phase(session: &mut Client, job: i64, phase: &str) {
    wait_until(&format!("job {job} is {phase}"), || {
        let look = "SELECT phase, state::text FROM lumina.jobs WHERE id = $1";
        let row = session.query_one(look, &[&job]).expect("the job is there");
        assert!(["queued", "running"].contains(&row.get(1)), "job {job} has ended before it was {phase}");
        row.get::<_, &str>(1) == "running" && row.get::<_, &str>(0) == phase
    });
}

/// Waits until a job has ended, and returns its state.
pub fn wait_for_end(session: &mut Client, job: i64) -> String {
    let mut last = String::new();
    wait_until(&format!("job {job} ends"), || {
        last = state(session, job);
        ["succeeded", "failed", "cancelled", "gone"].contains(&last.as_str())
    });
    last
}

/// Everything about the current run of a catalog, except its numbers; empty if it has none.
pub const RESULT: &str = "
    SELECT coalesce(md5(string_agg(g::text, '|' ORDER BY g)), 'none') || ' ' || count(*) FROM (
        SELECT row(g.kind, g.distance, g.images, g.files, g.bytes, g.savings, g.also_near_count,
            array_agg(row(m.image, m.place, m.distance, m.ahash_distance, m.dhash_distance)
                ORDER BY m.place))::text AS g
        FROM lumina.duplicate_runs r JOIN lumina.duplicate_groups g ON g.run = r.id
        JOIN lumina.duplicate_members m ON m.group_id = g.id
        WHERE r.is_current AND r.catalog = (SELECT c.id FROM lumina.catalogs c WHERE c.name = $1)
        GROUP BY g.id, g.run, g.catalog) g";

/// [`RESULT`] for a catalog.
pub fn result(session: &mut Client, catalog: &str) -> String {
    session.query_one(RESULT, &[&catalog]).expect("the result of a run").get(0)
}

/// What must never be left behind: groups or members of no current run, several current runs of a catalog, jobs that
/// have lost their worker, files that an import has not visited.
pub fn leftovers(session: &mut Client) -> Vec<String> {
    let look = "
        SELECT 'group of an old run' FROM lumina.duplicate_groups g JOIN lumina.duplicate_runs r ON r.id = g.run
            WHERE NOT r.is_current
        UNION ALL SELECT 'member without group' FROM lumina.duplicate_members m
            WHERE NOT EXISTS (SELECT FROM lumina.duplicate_groups g WHERE g.id = m.group_id AND g.run = m.run)
        UNION ALL SELECT 'run that says another number of members' FROM lumina.duplicate_runs r WHERE r.is_current
            AND r.members <> (SELECT count(*) FROM lumina.duplicate_members m WHERE m.run = r.id)
        UNION ALL SELECT 'run of a job that has not succeeded' FROM lumina.duplicate_runs r
            JOIN lumina.jobs j ON j.id = r.job WHERE j.state <> 'succeeded'
        UNION ALL SELECT 'succeeded job without a run' FROM lumina.jobs j WHERE j.state = 'succeeded'
            AND j.kind = 'detect_duplicates' AND NOT EXISTS (SELECT FROM lumina.duplicate_runs r
                WHERE r.job = j.id OR r.id = (j.result->>'run')::int8 AND j.result->>'scope' = 'changes')
        UNION ALL SELECT 'file that is not done with, of an import that has succeeded' FROM lumina.import_items t
            JOIN lumina.jobs j ON j.id = t.job WHERE j.kind = 'import' AND j.state = 'succeeded'
                AND t.state IN ('found', 'ready')
        UNION ALL SELECT 'burst that says another number of frames' FROM lumina.bursts b
            WHERE b.frames < (SELECT count(*) FROM lumina.burst_frames f WHERE f.burst = b.id)
        UNION ALL SELECT 'job ' || job || ' is ' || state FROM lumina.job_progress
            WHERE state IN ('orphaned', 'fenced')";
    session.query(look, &[]).expect("leftovers are looked for").iter().map(|row| row.get(0)).collect()
}
