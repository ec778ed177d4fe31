//! Refusals and their errors; the access method in the system catalogs; privileges.

use super::world::{Hashes, ScanKind, Search, compare_some, each, explain, fill, refusal, value, world};
use lumina_cluster::postgres::Client;

/// A statement that must fail, with the SQLSTATE, and words of the message and of the hint.
fn refused(session: &mut Client, statement: &str, code: &str, message: &str, hint: &str) {
    let (found, said, hinted) = refusal(session, statement);
    let what = format!("{statement}: {found} {said} HINT {hinted}");
    assert!(found == code && said.contains(message) && hinted.contains(hint), "{what}");
    assert!(!said.contains("panic"), "{what}");
}

#[test]
fn indexes_that_cannot_be() {
    let (_cluster, mut session) = world();
    each(
        &mut session,
        "CREATE TABLE t (id int8 PRIMARY KEY, h phash(64), any_width phash, wide phash(1032),
            widest phash(1024), small phash(8), n int);
        INSERT INTO t VALUES (1, 'c3a1f0e00f1e3c78', 'abcd')",
    );
    let session = &mut session;
    let on = |what: &str| format!("CREATE INDEX ON t USING hamming {what}");
    refused(session, &on("(any_width)"), "42P17", "width", "((any_width::phash(64)))");
    refused(session, &on("((h::phash))"), "42P17", "width", "::phash(64)");
    refused(session, &on("(wide)"), "54000", "1032", "");
    for (with, code) in [
        ("bands = 0", "22023"),
        ("bands = 65", "22023"),
        ("bands = 1000", "22023"),
        ("bands = -1", "22023"),
        ("bands = 'x'", "22023"),
        ("band = 4", "22023"),
        ("fillfactor = 70", "22023"),
    ] {
        refused(session, &on(&format!("(h) WITH ({with})")), code, "", "");
    }
    // More bands than the hash has bits, which only the column determines.
    refused(session, &on("(small) WITH (bands = 9)"), "22023", "bands", "");
    refused(session, &on("(n)"), "42704", "no default operator class", "");
    refused(session, &on("(h text_ops)"), "42704", "operator class", "");
    refused(session, &on("(h, small)"), "0A000", "multicolumn", "");
    refused(session, &on("(h) INCLUDE (n)"), "0A000", "included columns", "");
    refused(session, &on("(h DESC)"), "0A000", "ASC/DESC", "");
    refused(session, &on("(h NULLS FIRST)"), "0A000", "NULLS FIRST/LAST", "");
    refused(session, "CREATE UNIQUE INDEX ON t USING hamming (h)", "0A000", "unique", "");
    refused(session, "ALTER TABLE t ADD EXCLUDE USING hamming (h WITH =)", "42809", "", "");
    each(
        session,
        "CREATE INDEX t_h ON t USING hamming (h); CREATE INDEX t_w ON t USING hamming (widest);
        CREATE INDEX t_s ON t USING hamming (small) WITH (bands = 8)",
    );
    refused(session, "CLUSTER t USING t_h", "0A000", "cannot cluster", "");
    refused(session, "ALTER TABLE t CLUSTER ON t_h", "0A000", "cannot cluster", "");
    refused(session, "ALTER INDEX t_h SET (bands = 65)", "22023", "bands", "");
    // A class that lacks the operators is never used by searches, and amvalidate rejects it.
    each(session, "CREATE OPERATOR CLASS lacking FOR TYPE phash USING hamming AS STORAGE phash");
    assert_eq!(value(session, "SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'lacking'"), "false");
    drop(session.batch_execute("CREATE INDEX t_l ON t USING hamming (h lacking)"));
    let plan = explain(session, "SELECT * FROM t WHERE h <@ phash_ball('c3a1f0e00f1e3c78', 1)").unwrap();
    assert!(!plan.contains("t_l"), "{plan}");
    each(
        session,
        "CREATE OPERATOR CLASS foreign_ops FOR TYPE int8 USING hamming AS STORAGE int8; ALTER TABLE t ADD k int8",
    );
    refused(session, "CREATE INDEX ON t USING hamming (k foreign_ops)", "42P17", "operator class", "phash_hamming_ops");
}

/// `bands` is fixed when the index is built; a later change takes effect on REINDEX.
#[test]
fn bands_are_those_of_the_build() {
    let (_cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 41);
    fill(&mut session, "t", &mut hashes, 2000);
    let bands = |session: &mut Client| value(session, "SELECT bands FROM hamming_index_stats('t_h')");
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
    assert_eq!(bands(&mut session), "4");
    each(&mut session, "ALTER INDEX t_h SET (bands = 7)");
    assert_eq!(bands(&mut session), "4");
    each(&mut session, "INSERT INTO t SELECT id + 10000, h, n FROM t; SELECT hamming_index_merge('t_h')");
    assert_eq!(bands(&mut session), "4");
    compare_some(&mut session, "t", 64, &mut hashes);
    each(&mut session, "REINDEX INDEX t_h");
    assert_eq!(bands(&mut session), "7");
    compare_some(&mut session, "t", 64, &mut hashes);
    each(&mut session, "ALTER INDEX t_h RESET (bands); REINDEX INDEX CONCURRENTLY t_h");
    assert_eq!(bands(&mut session), "4");
    assert_eq!(value(&mut session, "SELECT bits FROM hamming_index_stats('t_h')"), "64");
}

#[test]
fn the_catalog_knows_it() {
    let (_cluster, mut session) = world();
    let wrong = "SELECT count(*) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
        WHERE amname = 'hamming' AND NOT amvalidate(c.oid)";
    assert_eq!(value(&mut session, wrong), "0");
    let listed = "SELECT string_agg(concat_ws(' ', amopstrategy, amoppurpose, oprname), ', ' ORDER BY amopstrategy)
        FROM pg_amop JOIN pg_operator o ON o.oid = amopopr JOIN pg_am a ON a.oid = amopmethod WHERE amname = 'hamming'";
    assert_eq!(value(&mut session, listed), "1 s <@, 2 o <~>");
    assert_eq!(
        value(
            &mut session,
            "SELECT string_agg(opcname || ' ' || opcdefault, ',') FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
                WHERE amname = 'hamming'"
        ),
        "phash_hamming_ops true"
    );
    // Everything belongs to the extension, and is described.
    let owned = "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND (classid, objid) IN (SELECT 'pg_am'::regclass, oid FROM pg_am WHERE amname = 'hamming' UNION ALL
        SELECT 'pg_opclass'::regclass, oid FROM pg_opclass WHERE opcname = 'phash_hamming_ops' UNION ALL
        SELECT 'pg_proc'::regclass, oid FROM pg_proc
            WHERE proname IN ('hamming_index_check', 'hamming_index_stats', 'hamming_index_merge'))";
    assert_eq!(value(&mut session, owned), "5");
    for (name, catalog, column) in [
        ("hamming", "pg_am", "amname"),
        ("hamming_index_check", "pg_proc", "proname"),
        ("hamming_index_merge", "pg_proc", "proname"),
    ] {
        let described =
            format!("SELECT obj_description(oid, '{catalog}') <> '' FROM {catalog} WHERE {column} = '{name}'");
        assert_eq!(value(&mut session, &described), "true", "{name}");
    }
    // Functions that apply to any index.
    each(&mut session, "CREATE TABLE t (h phash(64)); CREATE INDEX t_h ON t USING hamming (h)");
    let can = "SELECT string_agg(p || ' ' || pg_index_has_property('t_h', p), ', ' ORDER BY p)
        FROM unnest(ARRAY['clusterable', 'index_scan', 'bitmap_scan', 'backward_scan']) p";
    assert_eq!(value(&mut session, can), "backward_scan false, bitmap_scan true, clusterable false, index_scan true");
    let column = "SELECT string_agg(p || ' ' || pg_index_column_has_property('t_h', 1, p), ', ' ORDER BY p)
        FROM unnest(ARRAY['distance_orderable', 'orderable', 'returnable', 'search_array', 'search_nulls']) p";
    assert_eq!(
        value(&mut session, column),
        "distance_orderable true, orderable false, returnable false, search_array false, search_nulls false"
    );
}

/// The answers of the three functions to anything but an index of theirs, and to anybody but its owner.
#[test]
fn functions_of_the_index() {
    let (cluster, mut session) = world();
    each(
        &mut session,
        "CREATE TABLE t (id int8 PRIMARY KEY, h phash(64)); CREATE INDEX t_h ON t USING hamming (h);
        CREATE VIEW v AS SELECT 1;
        CREATE TABLE p (h phash(64)) PARTITION BY HASH (h); CREATE INDEX p_h ON p USING hamming (h);
        CREATE ROLE stranger LOGIN; CREATE ROLE maker LOGIN; CREATE SCHEMA own AUTHORIZATION maker;
        INSERT INTO t SELECT i, i::int8::phash FROM generate_series(1, 100) i",
    );
    for function in ["hamming_index_check", "hamming_index_stats", "hamming_index_merge"] {
        for (name, code) in
            [("t", "42809"), ("t_pkey", "42809"), ("v", "42809"), ("p_h", "42809"), ("nowhere", "42P01")]
        {
            refused(&mut session, &format!("SELECT {function}('{name}')"), code, name, "");
        }
        assert_eq!(value(&mut session, &format!("SELECT count(*) FROM {function}(NULL) x WHERE x IS NOT NULL")), "0");
        // A role without rights to the table learns nothing and changes nothing; the owner may.
        let mut stranger = cluster.connect_to("postgres", "stranger");
        refused(&mut stranger, &format!("SELECT {function}('t_h')"), "42501", " t", "");
        let mut maker = cluster.connect_to("postgres", "maker");
        each(
            &mut maker,
            "CREATE TABLE IF NOT EXISTS own.t (h phash(64));
            CREATE INDEX IF NOT EXISTS own_h ON own.t USING hamming (h)",
        );
        each(&mut maker, &format!("SELECT {function}('own.own_h')"));
    }
    // An index on another session's temporary table is out of reach.
    let mut other = cluster.connect();
    each(
        &mut other,
        "CREATE TEMPORARY TABLE mine (h phash(64)); CREATE INDEX mine_h ON mine USING hamming (h);
        INSERT INTO mine VALUES ('c3a1f0e00f1e3c78')",
    );
    let oid = value(&mut other, "SELECT 'mine_h'::regclass::oid");
    for function in ["hamming_index_check", "hamming_index_stats", "hamming_index_merge"] {
        refused(&mut session, &format!("SELECT {function}({oid}::regclass)"), "0A000", "temporary", "");
        each(&mut other, &format!("SELECT {function}('mine_h')"));
    }
    // A full check finds a missing row. (Only a test can remove it this way.)
    each(&mut session, "SELECT hamming_index_check('t_h', true)");
    each(&mut session, "UPDATE pg_index SET indisready = false WHERE indexrelid = 't_h'::regclass");
    each(&mut session, "INSERT INTO t VALUES (1000, 'c3a1f0e00f1e3c78')");
    each(
        &mut session,
        "UPDATE pg_index SET indisready = true WHERE indexrelid = 't_h'::regclass; SELECT hamming_index_check('t_h')",
    );
    refused(&mut session, "SELECT hamming_index_check('t_h', true)", "XX002", "t_h", "REINDEX");
    each(&mut session, "REINDEX INDEX t_h; SELECT hamming_index_check('t_h', true)");
    assert_eq!(Search::ball("t", "c3a1f0e00f1e3c78", 0).compare(&mut session, ScanKind::Index), 1);
}

/// The table is read in parts that fit into memory, also if its first blocks are empty and the rest is full: rows
/// missing from any part are found.
#[test]
fn checked_part_by_part() {
    let (_cluster, mut session) = world();
    each(&mut session, "CREATE TABLE t (id int8, h phash(64)); CREATE INDEX t_h ON t USING hamming (h)");
    let fill = "INSERT INTO t SELECT id, left(md5(id::text), 16)::phash(64) FROM generate_series(1, 100000) id";
    each(&mut session, fill);
    each(&mut session, "DELETE FROM t WHERE id <= 30000");
    each(&mut session, "VACUUM t");
    each(&mut session, "SET maintenance_work_mem = '1MB'; SELECT hamming_index_check('t_h', true)");
    for moved in [30_001, 60_000, 100_000] {
        each(&mut session, "UPDATE pg_index SET indisready = false WHERE indexrelid = 't_h'::regclass");
        // Another version, placed where there is room: at the beginning.
        each(&mut session, &format!("UPDATE t SET h = 'c3a1f0e00f1e3c78' WHERE id = {moved}"));
        each(&mut session, "UPDATE pg_index SET indisready = true WHERE indexrelid = 't_h'::regclass");
        refused(&mut session, "SELECT hamming_index_check('t_h', true)", "XX002", "t_h", "REINDEX");
        each(&mut session, "REINDEX INDEX t_h; SELECT hamming_index_check('t_h', true)");
    }
    each(&mut session, "TRUNCATE t");
    each(&mut session, "SELECT hamming_index_check('t_h', true)");
}
