//! Every kind of table and index, under DDL.

use super::world::{
    Hashes, ScanKind, Search, assert_well, check, compare_all, compare_both, compare_some, copy, each, explain, fill,
    hex, value, world,
};
use lumina_cluster::installation::give;
use lumina_cluster::postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[test]
fn partial() {
    let (_cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 31);
    fill(&mut session, "t", &mut hashes, 3000);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h) WHERE n < 4");
    copy(&mut session, "t", &hashes.rows(5000, 1000));
    let look = |session: &mut Client, hashes: &mut Hashes| {
        for radius in [0, 4, 20, 64] {
            let center = hashes.center();
            compare_both(session, &Search::ball("t", &center, radius).and("n < 4"));
            compare_both(session, &Search::ball("t", &center, radius).and("n = 2"));
            compare_both(session, &Search::nearest("t", &center, Some(radius * 10 + 1)).and("n < 4"));
        }
        compare_both(session, &Search::nearest("t", &hashes.center(), None).and("n < 4"));
        // A condition that the predicate implies alone: includes NULL hashes, and must not scan an index that omits
        // them.
        for count in ["SELECT count(*) || ' ' || count(h) FROM t WHERE n < 4", "SELECT count(*) FROM t WHERE n < 4"] {
            each(session, "SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off");
            let expected = value(session, count);
            for settings in [
                "SET enable_indexscan = on",
                "SET enable_seqscan = off",
                "SET enable_bitmapscan = on",
                "SET enable_indexscan = off",
            ] {
                each(session, settings);
                assert_eq!(value(session, count), expected, "{settings}: {count}");
            }
            each(session, "RESET ALL");
        }
        // A condition that the predicate does not imply.
        let plan = explain(session, "SELECT * FROM t WHERE n < 5 AND h <@ phash_ball('c3a1f0e00f1e3c78', 1)").unwrap();
        assert!(!plan.contains("t_h"), "{plan}");
        check(session, "t_h");
    };
    look(&mut session, &mut hashes);
    each(&mut session, "UPDATE t SET n = (n + 3) % 10; DELETE FROM t WHERE id % 4 = 0; VACUUM t");
    look(&mut session, &mut hashes);
    each(&mut session, "REINDEX INDEX t_h");
    look(&mut session, &mut hashes);
}

/// Columns without a width, and expressions that are stored only in the index.
#[test]
fn expressions() {
    let (_cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 32);
    each(&mut session, "CREATE TABLE t (id int8 PRIMARY KEY, h phash, n int)");
    copy(&mut session, "t", &hashes.rows(1, 3000));
    each(
        &mut session,
        "CREATE INDEX t_h ON t USING hamming ((h::phash(64)));
        CREATE TABLE words (id int8 PRIMARY KEY, word text);
        INSERT INTO words SELECT i, 'word ' || i FROM generate_series(1, 2000) i;
        -- From Postgres 17 on an index is built with no schema but pg_catalog on the search path.
        CREATE FUNCTION bits(text) RETURNS phash IMMUTABLE LANGUAGE sql AS
            $$SELECT ('x' || md5($1))::varbit::public.phash$$;
        CREATE INDEX words_h ON words USING hamming ((bits(word)::phash(128)));
        INSERT INTO words SELECT i, 'word ' || i FROM generate_series(2001, 3000) i; ANALYZE t; ANALYZE words",
    );
    copy(&mut session, "t", &hashes.rows(5000, 1000));
    each(&mut session, "DELETE FROM t WHERE id % 3 = 0; VACUUM t");
    for radius in [0, 3, 20, 64] {
        let center = hashes.center();
        let key = |search: Search| Search { key: "h::phash(64)".into(), ..search };
        let filter = format!("h::phash(64) <@ phash_ball('{center}', {radius})");
        compare_both(&mut session, &key(Search { filter, ..Search::ball("t", &center, radius) }));
        let filter = format!("phash_within(h::phash(64), '{center}', {radius})");
        compare_both(&mut session, &key(Search { filter, ..Search::ball("t", &center, radius) }.by(&center)));
        compare_both(&mut session, &key(Search::nearest("t", &center, Some(25))));
    }
    let key = "bits(word)::phash(128)";
    let center = "'0123456789abcdef0123456789abcdef'";
    for radius in [30, 50, 64] {
        let filter = format!("{key} <@ phash_ball({center}, {radius})");
        let search = Search { key: key.into(), filter, center: center.into(), ..Search::ball("words", "", 0) };
        compare_both(&mut session, &search);
        compare_both(&mut session, &Search { ordered: true, limit: Some(5), ..search });
    }
    // The expression's values are sampled, so that rows are estimated.
    let known =
        value(&mut session, "SELECT count(*) FROM pg_stats WHERE tablename IN ('t_h', 'words_h') AND n_distinct <> 0");
    assert_eq!(known, "2");
    // A hash of a wrong width is refused on insert, and by a new index on existing rows.
    for (statement, code) in [
        ("INSERT INTO t VALUES (9999999, 'abcd', 1)", "22026"),
        (
            "BEGIN; DROP INDEX t_h; INSERT INTO t VALUES (9999999, 'abcd', 1);
            CREATE INDEX ON t USING hamming ((h::phash(64))); COMMIT",
            "22026",
        ),
    ] {
        let error = session.batch_execute(statement).unwrap_err();
        assert_eq!(error.code().unwrap().code(), code, "{statement}: {error:?}");
        drop(session.batch_execute("ROLLBACK"));
    }
    check(&mut session, "t_h");
    check(&mut session, "words_h");
}

#[test]
fn partitioned() {
    let (_cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 33);
    each(
        &mut session,
        "CREATE TABLE t (id int8, h phash(64), n int) PARTITION BY LIST (n);
        CREATE TABLE t_0 PARTITION OF t FOR VALUES IN (0, 1, 2);
        CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (3, 4, 5);
        CREATE TABLE t_2 (h phash(64), n int, dropped int, id int8); ALTER TABLE t_2 DROP dropped",
    );
    let looks = |session: &mut Client, hashes: &mut Hashes| {
        for _ in 0..6 {
            let center = hashes.center();
            each(session, "BEGIN; SET LOCAL enable_sort = off");
            for search in [
                Search::ball("t", &center, 9),
                Search::nearest("t", &center, Some(40)),
                Search::nearest("t", &center, None),
                Search::ball("t", &center, 30).by(&hashes.center()),
            ] {
                session
                    .batch_execute(
                        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
                        SET LOCAL enable_indexscan = on",
                    )
                    .unwrap();
                let filter = if search.filter.is_empty() { String::new() } else { format!("WHERE {}", search.filter) };
                let order = if search.ordered { format!("ORDER BY h <~> {}", search.center) } else { String::new() };
                let limit = search.limit.map_or_else(String::new, |limit| format!("LIMIT {limit}"));
                let sql = format!("SELECT id, h <~> {} FROM t {filter} {order}", search.center);
                let plan = explain(session, &format!("{sql} {limit}")).unwrap();
                assert!(!plan.contains("Seq Scan") && plan.contains("Index Scan using t_"), "{plan}");
                let found = super::world::rows(session, &format!("{sql} {limit}")).unwrap();
                session.batch_execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off").unwrap();
                search.assert_same(&found, &super::world::rows(session, &sql).unwrap());
            }
            each(session, "COMMIT");
        }
    };
    let rows = |text: String| {
        text.lines()
            .filter(|line| !line.ends_with(['6', '7', '8', '9']))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    copy(&mut session, "t", &rows(hashes.rows(1, 3000)));
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
    looks(&mut session, &mut hashes);
    // Attached with an index of its own, or given one.
    let late: String =
        hashes.rows(10_000, 1000).lines().filter(|line| line.ends_with('7')).map(|line| format!("{line}\n")).collect();
    copy(&mut session, "t_2", &late);
    each(
        &mut session,
        "CREATE INDEX t_2_own ON t_2 USING hamming (h); ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES IN (6, 7)",
    );
    assert_eq!(value(&mut session, "SELECT count(*) FROM pg_inherits WHERE inhparent = 't_h'::regclass"), "3");
    copy(&mut session, "t", &rows(hashes.rows(20_000, 2000)));
    looks(&mut session, &mut hashes);
    each(
        &mut session,
        "UPDATE t SET n = 6 WHERE n = 1; DELETE FROM t WHERE id % 5 = 0; VACUUM t; ALTER TABLE t DETACH PARTITION t_0",
    );
    looks(&mut session, &mut hashes);
    each(
        &mut session,
        "DROP INDEX t_h; CREATE INDEX t_o ON ONLY t USING hamming (h);
        CREATE INDEX t_1_o ON t_1 USING hamming (h); CREATE INDEX t_2_o ON t_2 USING hamming (h);
        ALTER INDEX t_o ATTACH PARTITION t_1_o; ALTER INDEX t_o ATTACH PARTITION t_2_o",
    );
    assert_eq!(value(&mut session, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_o'::regclass"), "true");
    looks(&mut session, &mut hashes);
    for index in ["t_1_o", "t_2_o"] {
        check(&mut session, index);
    }
}

/// CREATE INDEX and REINDEX CONCURRENTLY while others insert, update and delete.
#[test]
fn concurrently() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 34);
    fill(&mut session, "t", &mut hashes, 15_000);
    let (stop, next) = (AtomicBool::new(false), AtomicI64::new(100_000));
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (cluster, stop, next) = (&cluster, &stop, &next);
            scope.spawn(move || {
                let mut session = cluster.connect();
                let mut hashes = Hashes::new(64, 340 + writer);
                while !stop.load(Ordering::Acquire) {
                    let first = next.fetch_add(20, Ordering::AcqRel);
                    copy(&mut session, "t", &hashes.rows(first, 20));
                    let near = hex(&hashes.near());
                    // Each writer has its own rows, so that row locks do not matter.
                    each(
                        &mut session,
                        &format!(
                            "UPDATE t SET h = '{near}' WHERE id = {}; DELETE FROM t WHERE id = {};
                            UPDATE t SET n = 0 WHERE id = {}; BEGIN;
                            UPDATE t SET h = NULL WHERE id = {first}; ROLLBACK",
                            first + 1,
                            first + 2,
                            first + 3
                        ),
                    );
                }
            });
        }
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            each(&mut session, "CREATE INDEX CONCURRENTLY t_h ON t USING hamming (h)");
            check(&mut session, "t_h");
            for _ in 0..2 {
                each(&mut session, "REINDEX INDEX CONCURRENTLY t_h; VACUUM t");
                check(&mut session, "t_h");
            }
            each(
                &mut session,
                "REINDEX TABLE CONCURRENTLY t; CREATE INDEX CONCURRENTLY t_p ON t USING hamming (h) WHERE n > 3",
            );
        }));
        stop.store(true, Ordering::Release);
        work.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    check(&mut session, "t_h");
    check(&mut session, "t_p");
    each(&mut session, "DROP INDEX t_p");
    compare_some(&mut session, "t", 64, &mut hashes);
    assert_eq!(value(&mut session, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
    assert_well(&cluster);
}

#[test]
fn moved_rewritten_and_emptied() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 35);
    fill(&mut session, "t", &mut hashes, 3000);
    let place = cluster.socket_folder().join("elsewhere");
    std::fs::create_dir(&place).unwrap();
    give(&place);
    each(
        &mut session,
        &format!("CREATE TABLESPACE elsewhere LOCATION '{}'; CREATE INDEX t_h ON t USING hamming (h)", place.display()),
    );
    for change in [
        "ALTER INDEX t_h SET TABLESPACE elsewhere",
        "ALTER TABLE t SET TABLESPACE elsewhere",
        "REINDEX (TABLESPACE pg_default) INDEX t_h",
        "VACUUM FULL t",
        "CLUSTER t USING t_pkey",
        "VACUUM (FREEZE, PARALLEL 2) t",
        "ALTER TABLE t ALTER n TYPE int8",
        "ALTER TABLE t SET UNLOGGED",
        "ALTER TABLE t SET LOGGED",
        "ALTER INDEX t_h RENAME TO t_i; ALTER INDEX t_i RENAME TO t_h",
        "BEGIN; TRUNCATE t; INSERT INTO t VALUES (1, 'c3a1f0e00f1e3c78', 1); ROLLBACK",
        "BEGIN; SAVEPOINT a; REINDEX TABLE t; INSERT INTO t VALUES (77777, 'c3a1f0e00f1e3c78', 1); ROLLBACK TO a;
        COMMIT",
        "TRUNCATE t",
        "BEGIN; TRUNCATE t; INSERT INTO t VALUES (1, 'c3a1f0e00f1e3c78', 1); COMMIT",
    ] {
        each(&mut session, change);
        let next: i64 = value(&mut session, "SELECT coalesce(max(id), 0) + 1 FROM t").parse().unwrap();
        copy(&mut session, "t", &hashes.rows(next, 300));
        compare_some(&mut session, "t", 64, &mut hashes);
        check(&mut session, "t_h");
    }
    // Another width: the index is rebuilt with it.
    each(&mut session, "ALTER TABLE t ALTER h TYPE phash(128) USING (h::varbit || h::varbit)::phash");
    let mut hashes = Hashes::new(128, 36);
    copy(&mut session, "t", &hashes.rows(50_000, 300));
    compare_some(&mut session, "t", 128, &mut hashes);
    check(&mut session, "t_h");
    // No width: Postgres keeps the index, since the rows stay the same. It accepts no other width, and is not rebuilt.
    each(&mut session, "ALTER TABLE t ALTER h TYPE phash");
    compare_all(&mut session, "t", &hashes.center());
    for (statement, code) in
        [("INSERT INTO t VALUES (-1, 'abcd', 1)", "22026"), ("REINDEX INDEX t_h", "42P17"), ("VACUUM FULL t", "42P17")]
    {
        let error = session.batch_execute(statement).unwrap_err();
        assert_eq!(error.code().unwrap().code(), code, "{statement}: {error:?}");
    }
    check(&mut session, "t_h");
    each(&mut session, "ALTER TABLE t ALTER h TYPE phash(128)");
    cluster.kill();
    cluster.restart();
    let mut session = cluster.connect();
    compare_some(&mut session, "t", 128, &mut hashes);
    check(&mut session, "t_h");
}

/// Several indexes, so that each worker of a parallel vacuum has work.
#[test]
fn vacuumed_in_parallel() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 37);
    fill(&mut session, "t", &mut hashes, 5000);
    each(
        &mut session,
        "SET min_parallel_index_scan_size = 0; SET max_parallel_maintenance_workers = 4;
        CREATE INDEX t_h ON t USING hamming (h); CREATE INDEX t_i ON t USING hamming (h) WITH (bands = 2);
        CREATE INDEX t_n ON t (n)",
    );
    copy(&mut session, "t", &hashes.rows(10_000, 3000));
    each(&mut session, "DELETE FROM t WHERE id % 3 = 0");
    let text = cluster.transcript("postgres", "SET min_parallel_index_scan_size = 0; VACUUM (PARALLEL 3, VERBOSE) t;");
    assert!(text.contains("parallel vacuum worker") && text.contains("t_h"), "{text}");
    for index in ["t_h", "t_i"] {
        check(&mut session, index);
        // Vacuum's statistics of the index are right.
        let tuples = value(&mut session, &format!("SELECT reltuples::int8 FROM pg_class WHERE relname = '{index}'"));
        assert_eq!(tuples, value(&mut session, "SELECT count(*) FROM t"), "{index}");
        let pages = format!(
            "SELECT relpages * 8192::int8 = pg_relation_size('{index}') FROM pg_class WHERE relname = '{index}'"
        );
        assert_eq!(value(&mut session, &pages), "true", "{index}");
    }
    compare_some(&mut session, "t", 64, &mut hashes);
    // Several passes over the indexes in one vacuum.
    each(&mut session, "DELETE FROM t WHERE id % 3 = 1; SET maintenance_work_mem = '1MB'; VACUUM (PARALLEL 0) t");
    check(&mut session, "t_h");
    assert_eq!(
        Search::nearest("t", &hashes.center(), None).compare(&mut session, ScanKind::Index).to_string(),
        value(&mut session, "SELECT count(*) FROM t")
    );
    assert_well(&cluster);
}
