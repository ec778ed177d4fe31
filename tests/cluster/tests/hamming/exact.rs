//! The index finds what a sequential scan finds: at every width, radius and skew, in every stage of a table's life.

use super::world::{
    Hashes, ScanKind, Search, check, compare_all, compare_both, compare_some, copy, each, explain, fill, hex, value,
    world, world_with,
};
use lumina_cluster::postgres::Client;

/// Takes a table through its life, with a comparison in each stage.
fn live(session: &mut Client, bits: usize, bands: Option<usize>, (built, added): (i64, i64)) {
    let mut hashes = Hashes::new(bits, (bits * 100 + bands.unwrap_or(99)) as u64);
    let table = format!("t{bits}_{}", bands.unwrap_or(0));
    fill(session, &table, &mut hashes, built);
    let with = bands.map_or_else(String::new, |bands| format!("WITH (bands = {bands})"));
    session.batch_execute(&format!("CREATE INDEX {table}_h ON {table} USING hamming (h) {with}")).unwrap();
    let look = |session: &mut Client, hashes: &mut Hashes| compare_some(session, &table, bits, hashes);
    look(session, &mut hashes);
    // Into staging pages, and into runs if there are many.
    copy(session, &table, &hashes.rows(built + 1, added));
    look(session, &mut hashes);
    let near = hex(&hashes.near());
    session
        .batch_execute(&format!(
            "DELETE FROM {table} WHERE id % 3 = 0;
            UPDATE {table} SET n = n + 1 WHERE id % 7 = 1; -- in place
            UPDATE {table} SET h = '{near}' WHERE id % 31 = 1;
            UPDATE {table} SET h = NULL WHERE id % 97 = 2;
            UPDATE {table} SET h = '{near}' WHERE id % 89 = 4 AND h IS NULL"
        ))
        .unwrap();
    look(session, &mut hashes);
    session.batch_execute(&format!("VACUUM {table}")).unwrap();
    look(session, &mut hashes);
    // Into the space that vacuum has freed, in the table and in the index.
    copy(session, &table, &hashes.rows(10_000_000, added / 4));
    look(session, &mut hashes);
    session.batch_execute(&format!("SELECT hamming_index_merge('{table}_h')")).unwrap();
    look(session, &mut hashes);
    each(session, &format!("DELETE FROM {table} WHERE id % 2 = 0; VACUUM {table}"));
    look(session, &mut hashes);
    check(session, &format!("{table}_h"));
    session.batch_execute(&format!("DROP TABLE {table}")).unwrap();
}

#[test]
fn narrow_hashes() {
    let (_cluster, mut session) = world();
    for (bits, bands) in [(8, None), (16, None), (24, Some(24)), (32, Some(3)), (64, Some(1)), (64, Some(64))] {
        live(&mut session, bits, bands, (2000, 1500));
    }
    // Enough for batches of staging pages that become runs.
    live(&mut session, 64, None, (15_000, 42_000));
}

#[test]
fn wide_hashes() {
    let (_cluster, mut session) = world();
    for (bits, bands) in [(72, None), (128, Some(16)), (136, None), (192, Some(64)), (512, None)] {
        live(&mut session, bits, bands, (1500, 1500));
    }
    live(&mut session, 128, None, (3000, 26_000));
    live(&mut session, 256, None, (3000, 14_500));
    live(&mut session, 1024, None, (1000, 4200));
}

/// Every radius from 0 to the width, in small tables that have had an eventful life.
#[test]
fn every_radius() {
    let (_cluster, mut session) = world();
    for bits in [8, 64, 72, 136] {
        let mut hashes = Hashes::new(bits, 7);
        fill(&mut session, "t", &mut hashes, 800);
        each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); DELETE FROM t WHERE id % 5 = 0; VACUUM t");
        copy(&mut session, "t", &hashes.rows(2000, 200));
        for radius in 0..=bits {
            let center = hashes.center();
            let search = Search::ball("t", &center, radius);
            compare_both(&mut session, &search);
            compare_both(&mut session, &search.by(&center));
            Search::nearest("t", &center, Some(1 + radius * 9)).compare(&mut session, ScanKind::Index);
        }
        session.batch_execute("DROP TABLE t").unwrap();
    }
}

/// Tables of few values.
#[test]
fn skews() {
    let (_cluster, mut session) = world();
    let (black, white, other) = ("0".repeat(16), "f".repeat(16), "c3a1f0e00f1e3c78");
    let random = "('x' || substr(md5(i::text), 1, 16))::bit(64)::phash";
    let shapes = [
        ("empty", "NULL::phash WHERE false".to_owned()),
        ("one", "'c3a1f0e00f1e3c78'::phash WHERE i = 1".into()),
        ("equal", format!("'{black}'::phash")),
        ("nulls", "NULL::phash".into()),
        ("two", format!("(CASE WHEN i % 2 = 0 THEN '{black}' ELSE '{white}' END)::phash")),
        ("black_frames", format!("CASE WHEN i <= 5659 THEN '{black}'::phash ELSE {random} END")),
        ("mostly_null", format!("CASE WHEN i % 50 = 0 THEN {random} END")),
        ("one_bit", "(1::int8 << (i % 64))::phash".into()),
    ];
    for (name, hash) in shapes {
        session.batch_execute(&format!("CREATE TABLE {name} (id serial8 PRIMARY KEY, h phash(64), n int)")).unwrap();
        let insert = format!("INSERT INTO {name} (h) SELECT {hash}");
        let series = |sql: &str, count: u32| match sql.split_once(" WHERE ") {
            Some((sql, filter)) => format!("{sql} FROM generate_series(1, {count}) i WHERE {filter}"),
            None => format!("{sql} FROM generate_series(1, {count}) i"),
        };
        let look = |session: &mut Client| {
            for center in [&black, &white, other] {
                for radius in [0, 1, 5, 31, 32, 63, 64] {
                    compare_both(session, &Search::ball(name, center, radius));
                }
                for limit in [Some(1), Some(10), Some(300), None] {
                    compare_both(session, &Search::nearest(name, center, limit));
                }
                compare_both(session, &Search::ball(name, other, 40).by(center));
            }
        };
        session.batch_execute(&series(&insert, 7000)).unwrap();
        session.batch_execute(&format!("CREATE INDEX {name}_h ON {name} USING hamming (h)")).unwrap();
        look(&mut session);
        session.batch_execute(&series(&insert, 2000)).unwrap();
        look(&mut session);
        each(&mut session, &format!("DELETE FROM {name} WHERE id % 4 <> 0; VACUUM {name}"));
        session.batch_execute(&format!("SELECT hamming_index_merge('{name}_h')")).unwrap();
        look(&mut session);
        check(&mut session, &format!("{name}_h"));
        each(&mut session, &format!("DELETE FROM {name}; VACUUM {name}"));
        look(&mut session);
        session.batch_execute(&series(&insert, 100)).unwrap();
        look(&mut session);
        check(&mut session, &format!("{name}_h"));
    }
}

/// Hits beyond `work_mem` take several sweeps, and bitmaps become lossy; builds beyond `maintenance_work_mem` are
/// external.
#[test]
fn little_memory() {
    let (_cluster, mut session) = world();
    for bits in [64, 256] {
        let mut hashes = Hashes::new(bits, 11);
        fill(&mut session, "t", &mut hashes, 30_000);
        session.batch_execute("SET work_mem = '64kB'; SET maintenance_work_mem = '1MB'").unwrap();
        session.batch_execute("CREATE INDEX t_h ON t USING hamming (h)").unwrap();
        check(&mut session, "t_h");
        copy(&mut session, "t", &hashes.rows(100_000, 3000));
        for radius in [bits / 8, bits / 2, bits] {
            let center = hashes.center();
            compare_both(&mut session, &Search::ball("t", &center, radius));
            compare_both(&mut session, &Search::ball("t", &center, radius).by(&hashes.center()));
        }
        compare_all(&mut session, "t", &hashes.center());
        // Equal distances beyond what memory holds.
        let center = hashes.center();
        session.batch_execute(&format!("UPDATE t SET h = '{center}' WHERE id < 20000")).unwrap();
        compare_all(&mut session, "t", &center);
        session.batch_execute("VACUUM t").unwrap();
        check(&mut session, "t_h");
        session.batch_execute("DROP TABLE t; RESET work_mem; RESET maintenance_work_mem").unwrap();
    }
}

/// One build over existing rows and single inserts of the same rows find the same, in proportionate space.
#[test]
fn built_or_inserted() {
    // With autovacuum off, a build leaves the table's statistics alone from Postgres 18 on.
    let (_cluster, mut session) = world_with(&[("autovacuum", "on"), ("autovacuum_naptime", "1d")]);
    let mut hashes = Hashes::new(64, 3);
    fill(&mut session, "t", &mut hashes, 10_000);
    session
        .batch_execute(
            "CREATE TABLE later (LIKE t); CREATE INDEX t_h ON t USING hamming (h);
            CREATE INDEX later_h ON later USING hamming (h);
            INSERT INTO later SELECT * FROM t",
        )
        .unwrap();
    for table in ["t", "later"] {
        compare_some(&mut session, table, 64, &mut hashes);
        check(&mut session, &format!("{table}_h"));
    }
    session.batch_execute("SELECT hamming_index_merge('later_h')").unwrap();
    let bytes = |session: &mut Client, index| {
        value(session, &format!("SELECT pg_relation_size('{index}')")).parse::<f64>().unwrap()
    };
    assert!(bytes(&mut session, "t_h") < 90.0 * 10_000.0, "{}", bytes(&mut session, "t_h"));
    assert!(bytes(&mut session, "later_h") < 2.2 * 90.0 * 10_000.0, "{}", bytes(&mut session, "later_h"));
    // A build sets the table's statistics, like that of any index.
    let tuples = value(&mut session, "SELECT reltuples::int8 FROM pg_class WHERE relname = 't'");
    assert_eq!(tuples, "10000");
    assert!(
        explain(&mut session, "SELECT * FROM t WHERE h <@ phash_ball('c3a1f0e00f1e3c78', 1)").unwrap().contains("t_h")
    );
}
