//! Every shape of query that can use the index: bitmaps with other indexes, joins, prepared statements, NULLs, several
//! conditions at once.

use super::world::{Hashes, Row, ScanKind, Search, compare_both, copy, each, explain, fill, rows, value, world};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;

/// A table of 4,000 rows, some of them inserted after the index.
fn furnished() -> (Cluster, Client, Hashes) {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 21);
    fill(&mut session, "t", &mut hashes, 3000);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); CREATE INDEX t_n ON t (n)");
    copy(&mut session, "t", &hashes.rows(3001, 1000));
    each(&mut session, "DELETE FROM t WHERE id % 9 = 0; VACUUM ANALYZE t");
    (cluster, session, hashes)
}

/// Asserts that a query returns the same with the index, which its plan must use, and without.
fn same(session: &mut Client, query: &str) -> usize {
    each(session, "SET enable_seqscan = off; SET enable_bitmapscan = on; SET enable_indexscan = on");
    let found = texts(session, query);
    let plan = explain(session, query).unwrap();
    assert!(plan.contains("t_h"), "{query}\n{plan}");
    each(session, "SET enable_seqscan = on; SET enable_bitmapscan = off; SET enable_indexscan = off");
    let expected = texts(session, query);
    let plan = explain(session, query).unwrap();
    assert!(!plan.contains("t_h"), "{query}\n{plan}");
    each(session, "RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_indexscan");
    assert_eq!(found, expected, "{query}");
    found.len()
}

/// The rows of a query in text, sorted.
fn texts(session: &mut Client, query: &str) -> Vec<String> {
    let rows = session.query(&format!("SELECT row::text FROM ({query}) row"), &[]);
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let mut texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    texts.sort();
    texts
}

#[test]
fn bitmaps_with_other_indexes() {
    let (_cluster, mut session, mut hashes) = furnished();
    // Enough pages that reading few of them pays.
    each(&mut session, "ALTER TABLE t SET (fillfactor = 10); VACUUM FULL ANALYZE t");
    let (a, b) = (hashes.center(), hashes.center());
    let ball = |center: &str, radius| format!("h <@ phash_ball('{center}', {radius})");
    for (condition, node) in [
        (format!("{} AND n IN (3, 4)", ball(&a, 26)), "BitmapAnd"),
        (format!("{} OR n = 3", ball(&a, 20)), "BitmapOr"),
        (format!("{} OR {}", ball(&a, 20), ball(&b, 20)), "BitmapOr"),
        (format!("({} OR n = 4) AND {}", ball(&a, 20), ball(&b, 31)), "Bitmap"),
        (format!("({} OR {}) AND n IN (1, 5)", ball(&a, 25), ball(&b, 25)), "Bitmap"),
    ] {
        let query = format!("SELECT id, n, h FROM t WHERE {condition}");
        session.batch_execute("SET enable_indexscan = off; SET enable_seqscan = off").unwrap();
        let plan = explain(&mut session, &query).unwrap();
        assert!(plan.contains(node) && plan.contains("t_h"), "{query}\n{plan}");
        assert!(same(&mut session, &query) > 0, "{query}");
        session.batch_execute("SET work_mem = '64kB'").unwrap();
        same(&mut session, &query);
        session.batch_execute("RESET work_mem").unwrap();
    }
}

#[test]
fn several_conditions_and_centers() {
    let (_cluster, mut session, mut hashes) = furnished();
    for _ in 0..10 {
        let centers = [hashes.center(), hashes.center(), hashes.center()];
        let and =
            |radius| format!("h <@ phash_ball('{}', {radius}) AND phash_within(h, '{}', 30)", centers[1], centers[2]);
        for radius in [0, 3, 12, 31, 64] {
            let search = Search::ball("t", &centers[0], radius).and(&and(34));
            compare_both(&mut session, &search);
            compare_both(&mut session, &search.clone().by(&centers[1]));
            compare_both(&mut session, &Search { limit: Some(5), ..search.by(&centers[1]) });
        }
        let within = format!("phash_within(h, '{}', 9)", centers[0]);
        compare_both(&mut session, &Search { filter: within, ..Search::ball("t", &centers[0], 9) });
        let other_way = format!("phash_ball('{}', 9) @> h AND n > 3", centers[0]);
        compare_both(&mut session, &Search { filter: other_way, ..Search::ball("t", &centers[0], 9) });
        compare_both(&mut session, &Search::nearest("t", &centers[0], Some(20)).and("n = 4"));
        compare_both(&mut session, &Search::nearest("t", &centers[0], Some(20)).and("h IS NOT NULL"));
        compare_both(&mut session, &Search::nearest("t", &centers[0], None).and("h IS NULL"));
        compare_both(&mut session, &Search { limit: Some(3), ..Search::ball("t", &centers[0], 40) });
    }
    // With the operands of ORDER BY exchanged, and an order whose prefix alone the index gives.
    let center = hashes.center();
    let by = |order: &str| format!("SELECT id, h <~> '{center}' AS distance FROM t ORDER BY {order} LIMIT 30");
    each(&mut session, "SET enable_seqscan = off; SET enable_bitmapscan = off");
    let plan = explain(&mut session, &by(&format!("'{center}' <~> h"))).unwrap();
    assert!(plan.contains("Index Scan using t_h"), "{plan}");
    for order in
        ["'{}' <~> h, id", "h <~> '{}', id", "h <~> '{}' DESC NULLS FIRST, id DESC", "h <~> '{}' NULLS FIRST, id"]
    {
        let query = by(&order.replace("{}", &center));
        each(&mut session, "SET enable_seqscan = off; SET enable_indexscan = on");
        let found = rows(&mut session, &query).unwrap();
        each(&mut session, "SET enable_seqscan = on; SET enable_indexscan = off");
        assert_eq!(found, rows(&mut session, &query).unwrap(), "{query}");
    }
}

#[test]
fn joins() {
    let (_cluster, mut session, mut hashes) = furnished();
    session.batch_execute("CREATE TABLE probes (p int, q phash(64), r int)").unwrap();
    for p in 0..40 {
        let sql = format!("INSERT INTO probes VALUES ({p}, '{}', {})", hashes.center(), p % 24 - 1);
        session.batch_execute(&sql).unwrap();
    }
    session
        .batch_execute("INSERT INTO probes VALUES (90, NULL, 3), (91, 'c3a1f0e00f1e3c78', NULL); ANALYZE probes")
        .unwrap();
    session.batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off").unwrap();
    for query in [
        "SELECT p, id FROM probes JOIN t ON phash_within(h, q, 6)",
        "SELECT p, id FROM probes JOIN t ON phash_within(q, h, r)",
        "SELECT p, id FROM probes JOIN t ON h <@ phash_ball(q, 6)",
        "SELECT p, id FROM probes LEFT JOIN t ON phash_within(h, q, r)",
        "SELECT p FROM probes WHERE EXISTS (SELECT FROM t WHERE phash_within(h, q, r))",
        "SELECT p FROM probes WHERE NOT EXISTS (SELECT FROM t WHERE phash_within(h, q, r))",
        "SELECT p, n, count(id) FROM probes JOIN t ON phash_within(h, q, r) AND n IN (1, 2, 3) GROUP BY p, n",
        "SELECT p, d FROM probes, LATERAL (SELECT h <~> q AS d FROM t ORDER BY h <~> q LIMIT 7) near",
        "SELECT p, d FROM probes, LATERAL (SELECT h <~> q AS d FROM t WHERE phash_within(h, q, r)
            ORDER BY h <~> q LIMIT 3) near",
        "SELECT a.p, b.p, id FROM probes a JOIN probes b ON a.p = b.p + 1 JOIN t ON phash_within(h, a.q, 34)
            AND phash_within(h, b.q, 20)",
        "WITH few AS MATERIALIZED (SELECT * FROM probes WHERE p % 2 = 0) SELECT p, id FROM few
            JOIN t ON phash_within(h, q, r)",
        "SELECT p, (SELECT min(h <~> q) FROM (SELECT h FROM t ORDER BY h <~> q LIMIT 1) s) AS least FROM probes",
        "SELECT id FROM t WHERE phash_within(h, (SELECT q FROM probes WHERE p = 5), (SELECT max(r) FROM probes))",
        "SELECT id FROM t WHERE h <@ ANY (ARRAY(SELECT phash_ball(q, 5) FROM probes WHERE p < 5))
            AND h <@ phash_ball('ffffffffffffffff', 40)",
    ] {
        assert!(same(&mut session, query) > 0, "{query}");
    }
}

#[test]
fn views_functions_and_subtransactions() {
    let (_cluster, mut session, mut hashes) = furnished();
    let center = hashes.center();
    each(
        &mut session,
        "CREATE VIEW seen AS SELECT id, h AS renamed, n FROM t WHERE n <> 5;
        CREATE FUNCTION near(q phash, r int) RETURNS SETOF int8 STABLE LANGUAGE sql AS
            'SELECT id FROM t WHERE phash_within(h, q, r)'",
    );
    assert!(same(&mut session, &format!("SELECT id FROM seen WHERE phash_within(renamed, '{center}', 25)")) > 0);
    assert!(
        same(
            &mut session,
            &format!(
                "SELECT d FROM (SELECT renamed <~> '{center}' AS d FROM seen ORDER BY renamed <~> '{center}' LIMIT 9) s"
            )
        ) > 0
    );
    assert!(same(&mut session, &format!("SELECT id FROM near('{center}', 25) id")) > 0);
    assert!(
        same(
            &mut session,
            &format!("WITH c AS (SELECT id, h FROM t) SELECT id FROM c WHERE phash_within(h, '{center}', 25)")
        ) > 0
    );
    // In a parallel worker, where a plan may run as a whole.
    let name = "SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    let parallel = value(&mut session, name);
    session.batch_execute(&format!("SET {parallel} = on")).unwrap();
    assert!(same(&mut session, &format!("SELECT id FROM t WHERE phash_within(h, '{center}', 25)")) > 0);
    session.batch_execute(&format!("RESET {parallel}")).unwrap();
    // A subtransaction's rows are found in it, and not after its rollback.
    session.batch_execute("BEGIN").unwrap();
    let count = |session: &mut Client, radius| Search::ball("t", &center, radius).compare_now(session);
    let before = count(&mut session, 0);
    session
        .batch_execute(&format!("INSERT INTO t SELECT 7000000 + i, '{center}', 1 FROM generate_series(1, 50) i"))
        .unwrap();
    assert_eq!(count(&mut session, 0), before + 50);
    session
        .batch_execute(&format!(
            "SAVEPOINT a; INSERT INTO t SELECT 8000000 + i, '{center}', 1 FROM generate_series(1, 50) i"
        ))
        .unwrap();
    assert_eq!(count(&mut session, 0), before + 100);
    session.batch_execute("DELETE FROM t WHERE id % 2 = 0 AND id > 6999999").unwrap();
    assert_eq!(count(&mut session, 0), before + 50);
    session.batch_execute("ROLLBACK TO a").unwrap();
    assert_eq!(count(&mut session, 0), before + 50);
    session.batch_execute("ROLLBACK").unwrap();
    assert_eq!(Search::ball("t", &center, 0).compare(&mut session, ScanKind::Index), before);
}

impl Search {
    /// Compares inside the session's current transaction.
    fn compare_now(&self, session: &mut Client) -> usize {
        let Search { table, filter, center, .. } = self;
        let query = format!("SELECT id::int8, h <~> {center} FROM {table} WHERE {filter}");
        session.batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on").unwrap();
        let found = rows(session, &query).unwrap();
        session
            .batch_execute(
                "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off",
            )
            .unwrap();
        self.assert_same(&found, &rows(session, &query).unwrap());
        session.batch_execute("RESET enable_bitmapscan").unwrap();
        found.len()
    }
}

/// A NULL centre: nothing is within any distance of it, and ordered by distance from it rows come in any order.
#[test]
fn null_queries() {
    let (_cluster, mut session, _) = furnished();
    let all: usize = value(&mut session, "SELECT count(*) FROM t").parse().unwrap();
    each(
        &mut session,
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan",
    );
    each(
        &mut session,
        "PREPARE nearest(phash) AS SELECT id::int8, h <~> $1 FROM t ORDER BY h <~> $1;
        PREPARE within(phash, int) AS SELECT id::int8, h <~> $1 FROM t WHERE phash_within(h, $1, $2);
        PREPARE ball(phash_ball) AS SELECT id::int8, NULL::int4 FROM t WHERE h <@ $1;
        PREPARE two(phash, int) AS SELECT id::int8, h <~> $1 FROM t WHERE phash_within(h, 'c3a1f0e00f1e3c78', $2)
            ORDER BY h <~> $1",
    );
    for execute in ["nearest(NULL)", "within('c3a1f0e00f1e3c78', 1)", "ball(NULL)", "two(NULL, 3)"] {
        let plan = explain(&mut session, &format!("EXECUTE {execute}")).unwrap();
        assert!(plan.contains("Index Scan using t_h") && plan.contains("$1"), "{execute}\n{plan}");
    }
    let mut run = |execute: &str| -> Vec<Row> { rows(&mut session, &format!("EXECUTE {execute}")).unwrap() };
    for null in ["NULL", "nullif('00'::phash, '00')"] {
        let mut found = run(&format!("nearest({null})"));
        assert!(found.iter().all(|row| row.1.is_none()));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), all);
        assert_eq!(run(&format!("within({null}, 64)")), []);
        assert_eq!(run("within('c3a1f0e00f1e3c78', NULL)"), []);
        assert_eq!(run("ball(NULL)"), []);
    }
    let within = run("within('c3a1f0e00f1e3c78', 30)").len();
    assert!(within > 0);
    let by_null = run("two(NULL, 30)");
    assert_eq!(by_null.len(), within);
    assert!(by_null.iter().all(|row| row.1.is_none()));
}

/// Generic plans get radius and centre only when they run.
#[test]
fn prepared_statements() {
    let (_cluster, mut session, mut hashes) = furnished();
    for mode in ["force_generic_plan", "force_custom_plan", "auto"] {
        each(&mut session, &format!("SET plan_cache_mode = {mode}; DEALLOCATE ALL; SET enable_bitmapscan = off"));
        each(&mut session, "SET enable_seqscan = off");
        let within = session
            .prepare("SELECT id::int8, h <~> $1::text::phash FROM t WHERE phash_within(h, $1::text::phash, $2::int4)");
        let nearest = session
            .prepare("SELECT id::int8, h <~> $1::text::phash FROM t ORDER BY h <~> $1::text::phash LIMIT $2::int8");
        let (within, nearest) = (within.unwrap(), nearest.unwrap());
        for round in 0..12 {
            let center = hashes.center();
            let radius = [0, 2, 5, 9, 20, 64][round % 6];
            let found = session.query(&within, &[&center, &radius]).unwrap();
            let found: Vec<Row> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
            let limit = 1 + round as i64 * 9;
            let near = session.query(&nearest, &[&center, &limit]).unwrap();
            let near: Vec<Row> = near.iter().map(|row| (row.get(0), row.get(1))).collect();
            let search = Search::ball("t", &center, radius as usize);
            let all = format!("SELECT id::int8, h <~> '{center}' FROM t");
            each(&mut session, "SET enable_seqscan = on; SET enable_indexscan = off");
            let expected = rows(&mut session, &format!("{all} WHERE {}", search.filter)).unwrap();
            search.assert_same(&found, &expected);
            let all = rows(&mut session, &all).unwrap();
            Search::nearest("t", &center, Some(limit as usize)).assert_same(&near, &all);
            each(&mut session, "SET enable_seqscan = off; SET enable_indexscan = on");
        }
        if mode == "force_generic_plan" {
            // An invalid radius finds nothing, or everything; so does a scan.
            let mut count = |center: &str, radius: i32| session.query(&within, &[&center, &radius]).unwrap().len();
            let center = hashes.center();
            assert_eq!(count(&center, -1), 0);
            assert_eq!(count(&center, i32::MIN), 0);
            assert_eq!(count(&center, 65), count(&center, 64));
            assert_eq!(count(&center, i32::MAX), count(&center, 64));
        }
    }
}

/// A query of another width than the index's finds nothing; a distance to it is an error, as without the index.
#[test]
fn other_widths() {
    let (_cluster, mut session, _) = furnished();
    each(
        &mut session,
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan",
    );
    each(
        &mut session,
        "PREPARE within(phash, int) AS SELECT id::int8, 0 FROM t WHERE phash_within(h, $1, $2);
        PREPARE ball(phash_ball) AS SELECT id::int8, 0 FROM t WHERE h <@ $1;
        PREPARE nearest(phash) AS SELECT id::int8, h <~> $1 FROM t ORDER BY h <~> $1",
    );
    for other in ["c3a1", "c3a1f0e00f1e3c78c3", &"ab".repeat(512)] {
        for execute in [format!("within('{other}', 5)"), format!("ball('<{other},3>')")] {
            assert!(explain(&mut session, &format!("EXECUTE {execute}")).unwrap().contains("Index Scan using t_h"));
            assert_eq!(rows(&mut session, &format!("EXECUTE {execute}")).unwrap(), [], "{execute}");
        }
        let execute = format!("EXECUTE nearest('{other}')");
        assert!(explain(&mut session, &execute).unwrap().contains("Index Scan using t_h"));
        for seqscan in ["off", "on"] {
            session
                .batch_execute(&format!("SET enable_seqscan = {seqscan}; SET enable_indexscan = {}", seqscan == "off"))
                .unwrap();
            let error = session.batch_execute(&execute).unwrap_err();
            assert_eq!(error.code().unwrap().code(), "22026", "{error:?}");
        }
        each(&mut session, "SET enable_seqscan = off; SET enable_indexscan = on");
    }
    for (constant, code) in [
        ("h <@ phash_ball('c3a1', 3)", "42804"),
        ("phash_within(h, 'c3a1', 3)", "42804"),
        ("h <@ phash_ball('c3a1f0e00f1e3c78', -1)", "22003"),
        ("phash_within(h, 'c3a1f0e00f1e3c78', -1)", "22003"),
    ] {
        let error = session.batch_execute(&format!("SELECT * FROM t WHERE {constant}")).unwrap_err();
        assert_eq!(error.code().unwrap().code(), code, "{constant}: {error:?}");
    }
}
