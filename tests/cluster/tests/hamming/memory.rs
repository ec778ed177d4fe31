//! Sessions that are granted more memory than the system has: they end with an error, or their result.

use super::world::{Hashes, assert_well, check, compare_all, each, fill, world_with};
use lumina_cluster::postgres::error::SqlState;
use lumina_cluster::report::say;
use std::collections::BTreeMap;

#[test]
fn too_little_address_space() {
    let (cluster, mut session) = world_with(&[
        ("shared_buffers", "16MB"),
        ("shared_preload_libraries", "lumina"),
        ("work_mem", "1GB"),
        ("maintenance_work_mem", "2GB"),
        ("max_parallel_maintenance_workers", "0"),
    ]);
    each(
        &mut session,
        "CREATE SEQUENCE ids START 1000000;
        CREATE TABLE many AS SELECT i AS id, h FROM generate_series(1, 400000) i, LATERAL
            (SELECT repeat(md5(i::text), 2)::phash(256) AS h) made;
        CREATE INDEX many_h ON many USING hamming (h)",
    );
    let mut hashes = Hashes::new(256, 81);
    fill(&mut session, "t", &mut hashes, 2000);
    each(&mut session, "CREATE INDEX IF NOT EXISTS t_h ON t USING hamming (h)");
    let statements = [
        "CREATE INDEX again ON many USING hamming (h); DROP INDEX again",
        "SELECT hamming_index_check('many_h', true)",
        "SET enable_seqscan = off; SET enable_sort = off;
        SELECT count(*) FROM (SELECT 1 FROM many ORDER BY h <~> repeat('0f', 32)::phash(256) OFFSET 0) by_distance",
        "SET enable_seqscan = off; SET enable_bitmapscan = off;
        SELECT count(*) FROM many WHERE h <@ phash_ball(repeat('0f', 32)::phash(256), 128)",
        "INSERT INTO t SELECT nextval('ids'), h, 0 FROM many LIMIT 12000",
        "DELETE FROM t WHERE n = 0; VACUUM t",
    ];
    let mut seen = BTreeMap::new();
    for megabytes in [3, 4, 8, 32, 1024] {
        // New sessions inherit the postmaster's limit.
        cluster.limit_address_space(megabytes << 20);
        for (place, text) in statements.iter().enumerate() {
            let Some(mut session) = cluster.try_connect() else {
                *seen.entry(format!("{megabytes:4} MB: no session")).or_insert(0) += 1;
                continue;
            };
            let outcome = text.split(';').try_for_each(|statement| session.batch_execute(statement));
            let outcome = match outcome {
                Ok(()) => "done",
                Err(error) => {
                    assert_eq!(error.code(), Some(&SqlState::OUT_OF_MEMORY), "{megabytes} MB, {text}: {error:?}");
                    // This session continues.
                    each(&mut session, "ROLLBACK; SELECT 1");
                    "53200"
                }
            };
            *seen.entry(format!("{megabytes:4} MB, statement {place}: {outcome}")).or_insert(0) += 1;
        }
        each(&mut session, "DROP INDEX IF EXISTS again");
    }
    for (what, times) in &seen {
        say(&format!("{what}, {times} times"));
    }
    for place in 0..4 {
        let ends = |end: &str| seen.keys().any(|what| what.ends_with(&format!("statement {place}: {end}")));
        assert!(ends("53200") && ends("done"), "statement {place}");
    }
    check(&mut session, "t_h");
    check(&mut session, "many_h");
    compare_all(&mut session, "t", &hashes.center());
    assert_well(&cluster);
}
