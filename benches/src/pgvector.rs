//! The nearest searches with pgvector's HNSW index on `bit`, where it is installed: an approximate index, which finds
//! some of the nearest. It has no search within a radius.

use crate::index::{Together, flipped, hashes, hex, micros, number, quantile, timed};
use crate::{bulk::copy, index::Set};
use lumina_cluster::postgres::Client;
use std::time::Duration;

const SETS: &[Set] = &[
    Set { name: "uniform", words: 1, count: 100_000, radii: &[], bands: 0 },
    Set { name: "uniform", words: 1, count: 1_000_000, radii: &[], bands: 0 },
    Set { name: "photo", words: 1, count: 1_000_000, radii: &[], bands: 0 },
];
const QUERIES: usize = 200;

/// Prints one row per set and search breadth.
pub(crate) fn print(session: &mut Client, wanted: &str) {
    if number::<i64>(session, "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'") == 0 {
        println!("\npgvector is not installed, and not measured.");
        return;
    }
    session.batch_execute("CREATE EXTENSION vector; SET maintenance_work_mem = '2GB'").expect("pgvector");
    let version: String = number(session, "SELECT extversion FROM pg_extension WHERE extname = 'vector'");
    println!(
        "\npgvector {version}, `hnsw (b bit_hamming_ops)`, 10 nearest.\n\n\
        | set | rows | build, s | bytes a row | hnsw.ef_search | median | p99 | of the 10 nearest it finds |\n\
        |---|---|---|---|---|---|---|---|"
    );
    SETS.iter().filter(|set| set.name().contains(wanted)).for_each(|set| measure(session, set));
}

fn measure(session: &mut Client, set: &Set) {
    let hashes = hashes(set);
    session.batch_execute("CREATE TABLE hashed (id bigint, h phash(64), b bit(64))").expect("a table");
    let bits = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:08b}")).collect::<String>();
    let lines = hashes.iter().enumerate().map(|(id, hash)| format!("{id}\t{}\t{}\n", hex(hash), bits(hash)));
    copy(session, "hashed", lines);
    session.batch_execute("CREATE INDEX ON hashed USING hamming (h)").expect("an index");
    let built = timed(|| session.batch_execute("CREATE INDEX ON hashed USING hnsw (b bit_hamming_ops)").expect("hnsw"));
    session.batch_execute("VACUUM (ANALYZE) hashed").expect("vacuum");
    let bytes: f64 = number(session, "SELECT pg_relation_size('hashed_b_idx')::float8 / count(*) FROM hashed");
    // Hashes of the table with 5 bits flipped, so that near ones exist.
    let queries: Vec<Vec<u8>> = (1..=QUERIES as u64)
        .map(|at| {
            let random = at.wrapping_mul(0xd6e8_feb8_6659_fd93);
            flipped(&hashes[random as usize % hashes.len()], random >> 40 & 5, random)
        })
        .collect();
    let exact = session
        .prepare("SELECT (h <~> $1::text::phash(64))::int FROM hashed ORDER BY h <~> $1::text::phash(64) LIMIT 10")
        .expect("a statement");
    let form = "SELECT (b <~> $1::text::bit(64))::int FROM hashed ORDER BY b <~> $1::text::bit(64) LIMIT 10";
    let approximate = session.prepare(form).expect("a statement");
    let _together = Together::new(session);
    for breadth in [40, 400] {
        session.batch_execute(&format!("SET hnsw.ef_search = {breadth}")).expect("a setting");
        let (mut times, mut found) = (Vec::<Duration>::new(), 0);
        for query in &queries {
            let rows = session.query(&exact, &[&hex(query)]).expect("rows");
            let farthest: i32 = rows.last().expect("ten rows").get(0);
            let query = bits(query);
            session.query(&approximate, &[&query]).expect("rows");
            times.push(timed(|| {
                let rows = session.query(&approximate, &[&query]).expect("rows");
                found += rows.iter().filter(|row| row.get::<_, i32>(0) <= farthest).count();
            }));
        }
        times.sort();
        println!(
            "| {}, 64 bits | {} | {:.1} | {bytes:.1} | {breadth} | {} | {} | {:.1} % |",
            set.name,
            set.count,
            built.as_secs_f64(),
            micros(quantile(&times, 500)),
            micros(quantile(&times, 990)),
            found as f64 * 10.0 / QUERIES as f64
        );
    }
    session.batch_execute("DROP TABLE hashed").expect("the table goes");
}
