//! Random changes in any order, with a comparison after each few: the property that defines the index.

use super::world::{Hashes, check, compare_some, copy, fill, hex, world};
use lumina_cluster::postgres::Client;
use lumina_cluster::report::{number, say};

/// One change of the table `t`; returns what it was.
fn change(session: &mut Client, hashes: &mut Hashes, next: &mut i64) -> String {
    let some = hashes.random.below(4) + 2;
    let rest = hashes.random.below(some);
    let near = hex(&hashes.near());
    let count = [1, 20, 700, 3000][hashes.random.below(4) as usize];
    let first = *next;
    let statement = match hashes.random.below(16) {
        0..=3 => {
            copy(session, "t", &hashes.rows(first, count));
            *next += count;
            return format!("COPY {count} rows");
        }
        4 => format!("DELETE FROM t WHERE id % {some} = {rest}"),
        5 => format!("UPDATE t SET n = n + 1 WHERE id % {some} = {rest}"),
        6 => format!("UPDATE t SET h = '{near}' WHERE id % {} = {rest}", some * 20),
        7 => format!("UPDATE t SET h = NULL WHERE id % {} = {rest}", some * 30),
        8 => format!("UPDATE t SET h = (~ h::varbit)::phash WHERE id % {some} = {rest}"),
        9 | 10 => "VACUUM t".into(),
        11 => "SELECT hamming_index_merge('t_h')".into(),
        12 => "REINDEX INDEX t_h".into(),
        13 => {
            *next += 2 * count;
            format!(
                "BEGIN; INSERT INTO t SELECT i, '{near}', 1 FROM generate_series({first}, {}) i; SAVEPOINT a;
                INSERT INTO t SELECT i, '{near}', 2 FROM generate_series({}, {}) i;
                DELETE FROM t WHERE id % {some} = {rest};
                ROLLBACK TO a; {}",
                first + count - 1,
                first + count,
                first + 2 * count - 1,
                if rest == 0 { "ROLLBACK" } else { "COMMIT" }
            )
        }
        14 => format!(
            "INSERT INTO t SELECT id, '{near}', 3 FROM t WHERE id % {some} = {rest}
                ON CONFLICT (id) DO UPDATE SET h = excluded.h, n = 4"
        ),
        _ => "VACUUM (INDEX_CLEANUP off) t".into(),
    };
    session.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    statement
}

#[test]
fn any_history() {
    let (_cluster, mut session) = world();
    let (rounds, seed) = (number("LUMINA_ROUNDS", 8), number("LUMINA_SEED", 1));
    let widths = [64, 256, 8, 128, 64, 1024, 16, 72];
    for round in 0..rounds {
        let bits = widths[round as usize % widths.len()];
        let mut hashes = Hashes::new(bits, seed * 1000 + round);
        let built = hashes.random.below(3) as i64 * 1000;
        fill(&mut session, "t", &mut hashes, built);
        let bands = 1 + hashes.random.below(8);
        session.batch_execute(&format!("CREATE INDEX t_h ON t USING hamming (h) WITH (bands = {bands})")).unwrap();
        let mut next = built + 1;
        let mut history = vec![format!("round {round}: {bits} bits, {bands} bands, {built} rows built")];
        for _ in 0..6 {
            for _ in 0..3 {
                history.push(change(&mut session, &mut hashes, &mut next));
            }
            let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                compare_some(&mut session, "t", bits, &mut hashes);
                check(&mut session, "t_h");
            }));
            if let Err(why) = looked {
                say(&format!("seed {seed}: {history:#?}"));
                std::panic::resume_unwind(why);
            }
        }
        session.batch_execute("DROP TABLE t").unwrap();
    }
}
