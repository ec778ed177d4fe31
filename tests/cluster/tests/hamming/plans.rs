//! When the planner uses the index, and when it does not; how many rows it expects; under row-level security.

use super::world::{Hashes, copy, each, explain, fill, value, world};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;
use std::fmt::Write as _;

/// A hundred thousand rows, made in the server.
fn uniform(session: &mut Client, table: &str) {
    each(
        session,
        &format!(
            "CREATE TABLE {table} (id int8, h phash(64), n int);
            INSERT INTO {table} SELECT i, ('x' || substr(md5(i::text), 1, 16))::bit(64)::phash, i % 100
                FROM generate_series(1, 100000) i"
        ),
    );
}

/// The scans in the plan of a query, with default settings.
fn scans(session: &mut Client, query: &str) -> String {
    let plan = explain(session, query).unwrap();
    let scans =
        plan.lines().filter(|line| line.contains("Scan")).map(|line| line.trim().trim_start_matches("-> ").trim());
    scans.collect::<Vec<_>>().join("; ")
}

fn assert_used(session: &mut Client, query: &str) {
    let scans = scans(session, query);
    assert!(scans.contains("t_h") && !scans.contains("Seq Scan on t"), "{query}: {scans}");
}

fn assert_unused(session: &mut Client, query: &str) {
    let scans = scans(session, query);
    assert!(!scans.contains("t_h"), "{query}: {scans}");
}

const Q: &str = "'c3a1f0e00f1e3c78'";

/// Queries that the index wins, and some that it loses.
fn assert_sensible(session: &mut Client) {
    for radius in [0, 1, 3, 5, 8, 10] {
        assert_used(session, &format!("SELECT id FROM t WHERE h <@ phash_ball({Q}, {radius})"));
        assert_used(session, &format!("SELECT id FROM t WHERE phash_within(h, {Q}, {radius})"));
        assert_used(session, &format!("SELECT id FROM t WHERE phash_within({Q}, h, {radius}) AND n = 5"));
    }
    for limit in [1, 10, 100] {
        assert_used(session, &format!("SELECT id FROM t ORDER BY h <~> {Q} LIMIT {limit}"));
        assert_used(
            session,
            &format!("SELECT id FROM t WHERE phash_within(h, {Q}, 12) ORDER BY h <~> {Q} LIMIT {limit}"),
        );
    }
    // At half the width, 32, both take equally long.
    for radius in [36, 40, 64] {
        assert_unused(session, &format!("SELECT id FROM t WHERE h <@ phash_ball({Q}, {radius})"));
        assert_unused(session, &format!("SELECT id FROM t WHERE phash_within(h, {Q}, {radius})"));
    }
    assert_unused(session, &format!("SELECT id FROM t WHERE h <~> {Q} <= 5"));
    for query in [
        "SELECT count(*) FROM t",
        "SELECT * FROM t WHERE id = 5",
        "SELECT * FROM t WHERE n = 5",
        "SELECT * FROM t ORDER BY id LIMIT 5",
        "SELECT * FROM t ORDER BY h LIMIT 5",
        "SELECT * FROM t WHERE h = 'c3a1f0e00f1e3c78'",
        "SELECT * FROM t WHERE h > 'c3a1f0e00f1e3c78'",
        "SELECT * FROM t WHERE h IS NULL",
        "SELECT * FROM t WHERE h IS NOT NULL",
        "SELECT h, count(*) FROM t GROUP BY h",
        "SELECT count(DISTINCT h) FROM t",
        "SELECT * FROM t WHERE NOT phash_within(h, 'c3a1f0e00f1e3c78', 3)",
    ] {
        for seqscan in ["on", "off"] {
            session.batch_execute(&format!("SET enable_seqscan = {seqscan}")).unwrap();
            assert_unused(session, query);
        }
        session.batch_execute("RESET enable_seqscan").unwrap();
    }
}

#[test]
fn taken_when_it_wins() {
    let (_cluster, mut session) = world();
    uniform(&mut session, "t");
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); ANALYZE t");
    assert_sensible(&mut session);
    // A filter on a partial index is part of it.
    each(&mut session, "CREATE INDEX t_p ON t USING hamming (h) WHERE n = 7; ANALYZE t");
    let scans = scans(&mut session, &format!("SELECT id FROM t WHERE phash_within(h, {Q}, 8) AND n = 7"));
    assert!(scans.contains("t_p"), "{scans}");
    each(&mut session, "DROP INDEX t_p");
    // The inner side of joins: small sets against the table, a lookup each.
    each(&mut session, "CREATE TABLE probes AS SELECT id AS p, h AS q FROM t LIMIT 50; ANALYZE probes");
    for query in [
        "SELECT p, id FROM probes JOIN t ON phash_within(h, q, 3)",
        "SELECT p, id FROM probes JOIN t ON h <@ phash_ball(q, 3)",
        "SELECT p, near.id FROM probes, LATERAL (SELECT id FROM t ORDER BY h <~> q LIMIT 3) near",
        "SELECT p FROM probes WHERE EXISTS (SELECT FROM t WHERE phash_within(h, q, 3) AND id <> p)",
    ] {
        let plan = explain(&mut session, query).unwrap();
        assert!(
            plan.contains("Nested Loop") && plan.contains("t_h") && !plan.contains("Seq Scan on t"),
            "{query}: {plan}"
        );
    }
    // Parameters in a generic plan, whose values are unknown.
    each(
        &mut session,
        "SET plan_cache_mode = force_generic_plan; PREPARE near(phash) AS SELECT id FROM t ORDER BY h <~> $1 LIMIT 10;
        PREPARE within(phash) AS SELECT id FROM t WHERE phash_within(h, $1, 5)",
    );
    assert_used(&mut session, &format!("EXECUTE near({Q})"));
    assert_used(&mut session, &format!("EXECUTE within({Q})"));
    each(&mut session, "RESET plan_cache_mode");
    // After doubling the rows, still in staging pages and young runs; before ANALYZE, and after.
    each(
        &mut session,
        "INSERT INTO t SELECT i, ('x' || substr(md5(i::text), 1, 16))::bit(64)::phash, i % 100
            FROM generate_series(100001, 200000) i",
    );
    assert_sensible(&mut session);
    each(&mut session, "VACUUM ANALYZE t");
    assert_sensible(&mut session);
}

/// Wider hashes have wider radii.
#[test]
fn taken_for_wide_hashes() {
    let (_cluster, mut session) = world();
    each(
        &mut session,
        "CREATE TABLE t (id int8, h phash(256));
        INSERT INTO t SELECT i, ('x' || md5(i::text) || md5((-i)::text))::bit(256)::phash
            FROM generate_series(1, 50000) i;
        CREATE INDEX t_h ON t USING hamming (h); ANALYZE t",
    );
    let q = format!("'{}'", "c3a1f0e00f1e3c78".repeat(4));
    for radius in [0, 5, 12, 23] {
        assert_used(&mut session, &format!("SELECT id FROM t WHERE h <@ phash_ball({q}, {radius})"));
    }
    assert_used(&mut session, &format!("SELECT id FROM t ORDER BY h <~> {q} LIMIT 10"));
    for radius in [140, 200, 256] {
        assert_unused(&mut session, &format!("SELECT id FROM t WHERE h <@ phash_ball({q}, {radius})"));
    }
}

/// On photo-like hashes with popular values, row estimates are right within a factor of three.
#[test]
fn rows_are_expected() {
    let (_cluster, mut session) = world();
    // The size of ANALYZE's sample, so that it finds the same each time.
    let hashes = lumina_sets::photo(30_000, 9);
    let rows = hashes.iter().enumerate().fold(String::new(), |mut text, (id, hash)| {
        writeln!(text, "{id}\t{hash:016x}\t1").unwrap();
        text
    });
    each(&mut session, "CREATE TABLE t (id int8, h phash(64), n int)");
    copy(&mut session, "t", &rows);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); ANALYZE t");
    let mut centers = vec![0, u64::MAX, 0xff, 0xff00_0000_0000_0000, 3, 0x8080_8080_8080_8080];
    centers.extend(hashes.iter().step_by(hashes.len() / 6));
    let mut wrong = Vec::new();
    for center in centers {
        for radius in [0, 1, 3, 5, 8, 10, 12, 16, 20] {
            let query = format!("SELECT id FROM t WHERE h <@ phash_ball('{center:016x}', {radius})");
            let (planned, actual) = planned_and_found(&mut session, &query);
            if planned > actual * 3.0 || actual > planned * 3.0 {
                wrong.push((radius, format!("{center:016x} within {radius}: {planned} rows planned, {actual} found")));
            }
        }
    }
    // A sample cannot know how rare a rare value is: one in ten may be off, never the popular ones.
    assert!(wrong.len() <= 11, "{wrong:#?}");
    let is_popular = |line: &str| ["00000000", "ffffffff", "80808080"].iter().any(|start| line.starts_with(start));
    let of_popular = wrong.iter().filter(|(radius, line)| *radius <= 12 && is_popular(line));
    assert_eq!(of_popular.map(|(_, line)| line.as_str()).collect::<Vec<_>>(), [""; 0]);
    // Joins, by the same statistics.
    each(&mut session, "CREATE TABLE probes AS SELECT id AS p, h AS q FROM t WHERE id % 10 = 3; ANALYZE probes");
    for radius in [0, 3, 5, 8, 10] {
        for query in [
            format!("SELECT p, id FROM probes JOIN t ON phash_within(h, q, {radius})"),
            format!("SELECT p, id FROM probes JOIN t ON h <@ phash_ball(q, {radius})"),
            format!("SELECT id FROM t WHERE EXISTS (SELECT FROM probes WHERE phash_within(h, q, {radius}))"),
        ] {
            let (planned, actual) = planned_and_found(&mut session, &query);
            assert!(planned < actual * 3.0 && actual < planned * 3.0, "{query}: {planned} planned, {actual} found");
        }
    }
}

/// Without equal values, join estimates come from the distances between histogram bounds.
#[test]
fn rows_of_joins_without_equal_values_are_expected() {
    let (_cluster, mut session) = world();
    for (table, salt, rows) in [("t", "t", 30_000), ("probes", "p", 1000)] {
        each(
            &mut session,
            &format!(
                "CREATE TABLE {table} (id int8, h phash(64));
                INSERT INTO {table} SELECT i, ('x' || substr(md5('{salt}' || i), 1, 16))::bit(64)::phash
                    FROM generate_series(1, {rows}) i;
                ANALYZE {table}"
            ),
        );
    }
    for radius in [16, 17, 18, 20] {
        let query = format!("SELECT p.id, t.id FROM probes p JOIN t ON phash_within(t.h, p.h, {radius})");
        let (planned, actual) = planned_and_found(&mut session, &query);
        assert!(actual > 500.0, "{query}: {actual} found");
        assert!(planned < actual * 3.0 && actual < planned * 3.0, "{query}: {planned} planned, {actual} found");
    }
}

/// The estimated and the actual rows of a query; at least one.
fn planned_and_found(session: &mut Client, query: &str) -> (f64, f64) {
    let explained = session.query_one(&format!("EXPLAIN (ANALYZE, FORMAT json, TIMING off) {query}"), &[]).unwrap();
    let plan: String = explained.get::<_, Json>(0).0;
    let figure = |name: &str| -> f64 {
        let at = plan.find(name).unwrap() + name.len();
        let figure = plan[at..].trim_start_matches(['"', ':', ' ']).split([',', '\n']).next().unwrap();
        figure.parse::<f64>().unwrap().max(1.0)
    };
    (figure("Plan Rows"), figure("Actual Rows"))
}

/// A value of type json, as its text.
struct Json(String);

impl<'a> lumina_cluster::postgres::types::FromSql<'a> for Json {
    fn from_sql(
        _: &lumina_cluster::postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Json(String::from_utf8(raw.to_vec())?))
    }

    fn accepts(type_: &lumina_cluster::postgres::types::Type) -> bool {
        type_.name() == "json"
    }
}

/// Row-level security checks a row's owner first, unless the condition is leakproof: then the index is used first.
#[test]
fn taken_under_row_level_security() {
    let (cluster, mut session): (Cluster, Client) = world();
    uniform(&mut session, "t");
    each(
        &mut session,
        "CREATE INDEX t_h ON t USING hamming (h); ANALYZE t; CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO reader USING (n % 2 = 0)",
    );
    let mut reader = cluster.connect_to("postgres", "reader");
    let center = value(&mut session, "SELECT h FROM t WHERE id = 100");
    for query in [
        format!("SELECT id FROM t WHERE phash_within(h, '{center}', 5)"),
        format!("SELECT id FROM t WHERE h <@ phash_ball('{center}', 5)"),
        format!("SELECT id FROM t ORDER BY h <~> '{center}' LIMIT 10"),
        format!("SELECT id FROM t WHERE phash_within(h, '{center}', 12) ORDER BY h <~> '{center}' LIMIT 10"),
    ] {
        assert_used(&mut reader, &query);
        let found: Vec<i64> = reader.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect();
        assert!(!found.is_empty() && found.iter().all(|id| id % 2 == 0), "{query}: {found:?}");
        each(&mut reader, "SET enable_indexscan = off; SET enable_bitmapscan = off");
        let distances = |session: &mut Client| value(session, &format!("SELECT count(*) FROM ({query}) s"));
        assert_eq!(distances(&mut reader), found.len().to_string());
        each(&mut reader, "RESET ALL");
    }
    // A generic plan and a join keep it so.
    each(
        &mut reader,
        "SET plan_cache_mode = force_generic_plan;
        PREPARE within(phash, int) AS SELECT id FROM t WHERE phash_within(h, $1, $2)",
    );
    assert_used(&mut reader, &format!("EXECUTE within('{center}', 3)"));
}

/// On a small or empty table, a scan is as good; nothing fails.
#[test]
fn small_tables() {
    let (_cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 61);
    for rows in [0, 1, 50] {
        fill(&mut session, "t", &mut hashes, rows);
        each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); ANALYZE t");
        let query = format!("SELECT id FROM t WHERE h <@ phash_ball({Q}, 5)");
        explain(&mut session, &query).unwrap();
        each(&mut session, &format!("{query}; SELECT id FROM t ORDER BY h <~> {Q} LIMIT 10; DROP TABLE t"));
    }
}
