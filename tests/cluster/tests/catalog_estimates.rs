//! EXPLAIN on rows that row-level security hides: estimates do not depend on their contents.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use postgres::{Client, SimpleQueryMessage};
use std::collections::BTreeSet;

/// Columns that have statistics: which link rows, or show the progress of work. A new one needs a decision.
const ANALYZED: &str = "
    action_files.action action_files.catalog action_files.file action_files.image
    action_images.action action_images.catalog action_images.group_id action_images.image
    burst_frames.burst burst_frames.catalog burst_frames.image bursts.catalog bursts.id
    catalog_grants.catalog catalogs.id
    distinct_files.action distinct_files.catalog distinct_files.file
    distinct_images.action distinct_images.catalog
    duplicate_actions.catalog duplicate_actions.group_id duplicate_actions.id duplicate_actions.kind
    duplicate_actions.run duplicate_groups.decision
    duplicate_groups.catalog duplicate_groups.id duplicate_groups.kind duplicate_groups.run
    duplicate_members.catalog duplicate_members.group_id duplicate_members.image duplicate_members.place
    duplicate_members.run
    duplicate_runs.catalog duplicate_runs.id duplicate_runs.is_current duplicate_runs.job
    image_files.catalog image_files.id image_files.image image_files.import_job image_files.missing_since
    image_files.source image_files.state
    images.catalog images.id images.status
    import_items.action import_items.catalog import_items.id import_items.image import_items.job
    import_items.reason import_items.state
    job_cancellations.job jobs.catalog jobs.id jobs.kind jobs.parent jobs.state
    sidecars.catalog sidecars.file sidecars.kind
    sources.catalog sources.id";

/// A catalog of another role with 3000 images, and one of three images that the role `stranger` may read.
fn world() -> (Cluster, Client, Client) {
    let cluster = Cluster::start();
    let mut admin = cluster.connect();
    fill(&mut admin, "theirs", &lumina_sets::photo(3000, 1));
    fill(&mut admin, "mine", &lumina_sets::photo(3, 2));
    admin
        .batch_execute(
            "UPDATE lumina.images SET latitude = (id % 1800) / 10.0 - 90, longitude = (id % 3600) / 10.0 - 180,
                camera_make = 'maker ' || id % 40, camera_model = 'model ' || id % 700,
                metadata = jsonb_build_object('n', id);
            INSERT INTO lumina.sources (catalog, path, name)
                SELECT 1, '/photos/' || n, 'folder ' || n FROM generate_series(1, 300) n;
            INSERT INTO lumina.sidecars (catalog, path, file, kind, size)
                SELECT catalog, path || '.xmp', id, 'edit', id FROM lumina.image_files;
            CREATE ROLE stranger LOGIN; SELECT lumina.grant_catalog('mine', 'stranger', 'read')",
        )
        .unwrap();
    let job = submit(&mut admin, "theirs", 5);
    assert_eq!(wait_for_end(&mut admin, job), "succeeded");
    let items = "INSERT INTO lumina.import_items (job, catalog, path, size, sha256)
        SELECT 1, f.catalog, f.path, i.size, i.sha256
        FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image WHERE f.catalog = 1; ANALYZE";
    admin.batch_execute(items).unwrap();
    let stranger = cluster.connect_to("postgres", "stranger");
    (cluster, admin, stranger)
}

/// How many rows the planner expects.
fn estimate(session: &mut Client, statement: &str) -> String {
    let explain = format!("EXPLAIN {statement}");
    let plan = session.simple_query(&explain).unwrap_or_else(|error| panic!("{statement}: {error}"));
    let line = plan.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let line = line.expect("a plan has a line");
    let (_, rows) = line.split_once("rows=").expect("an estimate");
    rows.split_whitespace().next().expect("a number").to_owned()
}

#[test]
fn estimates_tell_nothing_of_rows_that_are_hidden() {
    let (_cluster, mut admin, mut stranger) = world();
    // Every column of every table, compared with an existing value, one in between, and one beyond.
    let columns = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'lumina'::regnamespace AND c.relkind = 'r' AND c.relname <> 'workers_stopped'
            AND attnum > 0 ORDER BY 1, a.attnum";
    let columns = admin.query(columns, &[]).unwrap();
    let analyzed: BTreeSet<&str> = ANALYZED.split_whitespace().collect();
    let mut told = Vec::new();
    for row in &columns {
        let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        if analyzed.contains(format!("{table}.{column}").as_str()) || kind == "jsonb" {
            continue;
        }
        let values = format!(
            "SELECT DISTINCT v
            FROM (SELECT quote_literal(v::text) AS v, row_number() OVER (ORDER BY v) AS n, count(*) OVER () AS of
                FROM (SELECT DISTINCT {column} AS v FROM lumina.{table} WHERE {column} IS NOT NULL) d) s
            WHERE n % (of / 12 + 1) = 0 OR n = 1"
        );
        let values: Vec<String> = admin.query(&values, &[]).unwrap().iter().map(|row| row.get(0)).collect();
        let mut operators = vec!["=", "<>"];
        if kind != "boolean" {
            operators.extend(["<", "<=", ">", ">="]);
        }
        for operator in operators {
            let mut estimates = BTreeSet::new();
            for value in &values {
                let statement = format!("SELECT FROM lumina.{table} WHERE {column} {operator} {value}::{kind}");
                estimates.insert(estimate(&mut stranger, &statement));
            }
            if estimates.len() > 1 {
                told.push(format!("{table}.{column} {operator}: {estimates:?}"));
            }
        }
        if kind.starts_with("phash") {
            let mut estimates = BTreeSet::new();
            for value in &values {
                let ball = format!("SELECT FROM lumina.{table} WHERE {column} <@ phash_ball({value}::{kind}, 8)");
                estimates.insert(estimate(&mut stranger, &ball));
            }
            if estimates.len() > 1 {
                told.push(format!("{table}.{column} <@: {estimates:?}"));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn columns_have_statistics_by_decision() {
    let (_cluster, mut admin, _) = world();
    let list = |session: &mut Client, query: &str| -> BTreeSet<String> {
        session.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    let decided: BTreeSet<String> = ANALYZED.split_whitespace().map(str::to_owned).collect();
    let may = "SELECT relname || '.' || attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE relnamespace = 'lumina'::regnamespace AND relkind = 'r' AND attnum > 0
            AND coalesce(attstattarget, -1) <> 0";
    assert_eq!(list(&mut admin, may), decided);
    let has = "SELECT relname || '.' || attname FROM pg_statistic s JOIN pg_class c ON c.oid = starelid
        JOIN pg_attribute a ON attrelid = c.oid AND attnum = staattnum WHERE relnamespace = 'lumina'::regnamespace";
    let has = list(&mut admin, has);
    assert!(has.is_subset(&decided), "{has:?}");
    assert!(has.contains("images.catalog") && has.contains("import_items.job"), "{has:?}");
    // Only a table's owner can create statistics on several columns or on expressions.
    assert_eq!(
        list(&mut admin, "SELECT stxname::text FROM pg_statistic_ext WHERE stxnamespace = 'lumina'::regnamespace"),
        BTreeSet::new()
    );
    let expressions = "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid
        WHERE relnamespace = 'lumina'::regnamespace AND indexprs IS NOT NULL";
    assert_eq!(list(&mut admin, expressions), BTreeSet::new());
}

/// Ends an import of `n` photographs, a quarter of them copies, a quarter with sidecars, in a catalog of which the
/// planner knows nothing; a quarter of as many files is gone, some of them in directories that were not looked into.
/// Returns how many rows that has read.
fn rows_read_at_the_end(admin: &mut Client, n: i64) -> i64 {
    let name = format!("of {n}");
    let catalog: i64 = admin.query_one("SELECT lumina.create_catalog($1)", &[&name]).unwrap().get(0);
    let job = "INSERT INTO lumina.jobs (kind, catalog, owner, system_identifier, database, timeline, directory,
            attempts, state, progress, result, ended_at)
        SELECT 'import', $1, j.owner, j.system_identifier, j.database, j.timeline, j.directory, 1, 'succeeded', 1,
            '{}', now() FROM lumina.jobs j WHERE j.id = 1 RETURNING id";
    let job: i64 = admin.query_one(job, &[&catalog]).unwrap().get(0);
    let script = format!(
        "INSERT INTO lumina.images (catalog, sha256, size, format, width, height)
            SELECT {catalog}, sha256(int8send(n)), 1, (ARRAY['jpeg', 'cr2'])[1 + n % 2], 10, 10
                FROM generate_series(1, {n}) n;
        CREATE TEMP TABLE item AS SELECT i.id AS image, i.sha256, i.format, row_number() OVER (ORDER BY i.id) AS n
            FROM lumina.images i WHERE i.catalog = {catalog};
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
            SELECT {catalog}, image, p, p FROM item,
                LATERAL (SELECT format('/p/%s/%s.%s', n % 7, n / 2, format) AS p) p;
        INSERT INTO lumina.import_items (job, catalog, path, size, sha256, state, reason, image)
            SELECT {job}, {catalog}, f.path, 1, i.sha256, 'imported'::lumina.item_state,
                CASE n % 4 WHEN 0 THEN 'copy' END, i.image
                FROM item i JOIN lumina.image_files f ON f.image = i.image
            UNION ALL SELECT {job}, {catalog}, f.path || '.xmp', 1, NULL, 'skipped', 'sidecar', NULL
                FROM item i JOIN lumina.image_files f ON f.image = i.image WHERE n % 4 = 1
            UNION ALL SELECT {job}, {catalog}, format('/p/%s', n), NULL, NULL, 'skipped', 'hidden', NULL
                FROM generate_series(7, {n} / 4) n;
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
            SELECT {catalog}, image, p, p FROM item, LATERAL (SELECT format('/p/%s/gone.jpg', n) AS p) p
                WHERE n % 4 = 2;
        DROP TABLE item"
    );
    admin.batch_execute(&script).unwrap();
    let mut end = admin.transaction().unwrap();
    let counted = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int8 FROM pg_stat_xact_user_tables
        WHERE schemaname = 'lumina'";
    let finish = "SELECT lumina_internal.finish_import($1, $2, '/p', false)->>'sidecars'";
    // What the session has read before may not be reported yet.
    let before: i64 = end.query_one(counted, &[]).unwrap().get(0);
    let sidecars: String = end.query_one(finish, &[&job, &catalog]).unwrap().get(0);
    assert_eq!(sidecars, ((n + 3) / 4).to_string());
    // Files of the even places n % 4 = 2 are gone, but for those in directories that were skipped: 7 to n / 4.
    let gone = "SELECT count(*) FROM lumina.image_files WHERE catalog = $1 AND missing_since IS NOT NULL";
    let skipped = (7..=n / 4).filter(|place| place % 4 == 2).count() as i64;
    assert_eq!(end.query_one(gone, &[&catalog]).unwrap().get::<_, i64>(0), n / 4 - skipped);
    let after: i64 = end.query_one(counted, &[]).unwrap().get(0);
    end.commit().unwrap();
    after - before
}

/// What the planner does not know of texts and of new catalogs must not make the end of an import quadratic.
#[test]
fn the_end_of_an_import_reads_each_row_a_few_times() {
    let (_cluster, mut admin, _stranger) = world();
    for n in [1000, 4000] {
        let read = rows_read_at_the_end(&mut admin, n);
        assert!(read < 30 * n, "{read} rows read for {n} files");
    }
}

/// The JPEGs beside raw files are found by the stems of their files, each by itself, in a catalog of which the planner
/// knows nothing.
#[test]
fn a_search_for_duplicates_reads_each_file_a_few_times() {
    let (_cluster, mut admin, _stranger) = world();
    let n = 4000;
    let catalog: i64 = admin.query_one("SELECT lumina.create_catalog('raw')", &[]).unwrap().get(0);
    let script = format!(
        "INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, camera_make,
                camera_model, ahash, dhash, dct, pdq, hash_valid)
            SELECT {catalog}, c, n, (ARRAY['jpeg', 'cr2'])[1 + n % 2], 10, 10, '2024-01-01', 'A', 'B',
                h, h, h, c::phash, true
            FROM generate_series(1, {n}) n, LATERAL (SELECT sha256(int8send(-n)) AS c) c,
                LATERAL (SELECT substr(c, 1, 8)::phash AS h) h;
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
            SELECT {catalog}, i.id, p, p FROM lumina.images i,
                LATERAL (SELECT format('/r/%s.%s', i.size / 2, i.format) AS p) p WHERE i.catalog = {catalog};
        SELECT pg_stat_reset()"
    );
    admin.batch_execute(&script).unwrap();
    let job = submit(&mut admin, "raw", 0);
    assert_eq!(wait_for_end(&mut admin, job), "succeeded");
    let compared = "SELECT (result->>'compared')::int8 FROM lumina.jobs WHERE id = $1";
    let compared: i64 = admin.query_one(compared, &[&job]).unwrap().get(0);
    assert_eq!(compared, n / 2 + 1, "all raw files, and the JPEG without one");
    // The run is counted with what the worker has read.
    let read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int8,
            coalesce(sum(n_tup_ins) FILTER (WHERE relname = 'duplicate_runs'), 0) > 0
        FROM pg_stat_user_tables WHERE schemaname = 'lumina'";
    let mut rows: i64 = 0;
    wait_until("the worker has reported what it has read", || {
        let row = admin.query_one(read, &[]).unwrap();
        rows = row.get(0);
        row.get(1)
    });
    assert!(rows < 30 * n, "{rows} rows read for {n} files");
}
