//! Every operator at every width against a naive model of it.
//!
//! The model never touches the code under test: distances are counted bit by bit in Rust from hex digits, and once more
//! in SQL, on Postgres's own bit strings made from the text form.

use lumina_cluster::{Cluster, Random};
use std::fmt::Write;

fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn naive_distance(a: &[u8], b: &[u8]) -> i32 {
    let bits = |hash: &[u8]| hash.iter().flat_map(|byte| (0..8).map(move |i| byte >> i & 1)).collect::<Vec<_>>();
    bits(a).iter().zip(bits(b)).filter(|(a, b)| *a != b).count() as i32
}

#[test]
fn every_operator_at_every_width() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    let query = session
        .prepare(
            "SELECT a <~> b, a <@ phash_ball(b, r), phash_ball(b, r) @> a, phash_within(a, b, r), phash_within(b, a, r),
                a = b, a <> b, a < b, a <= b, a > b, a >= b,
                phash_cmp(a, b), phash_hash(a) = phash_hash(b), phash_hash_extended(a, r) = phash_hash_extended(b, r),
                a::text, phash_bits(a), phash_send(a), a::bytea, a::varbit = ('x' || a::text)::varbit,
                length(replace((('x' || a::text)::varbit # ('x' || b::text)::varbit)::text, '0', '')),
                phash_hash(a) = (phash_hash_extended(a, 0) & 4294967295)::bit(32)::int4
            FROM (SELECT $1::text::phash AS a, $2::text::phash AS b, $3::int AS r) input",
        )
        .unwrap();
    let mut random = Random(20_261_122);
    let mut equal = 0;
    for bits in (8..=4096).step_by(8) {
        for _ in 0..3 {
            let a = random.hash(bits / 8);
            let b = if random.below(4) == 0 { random.hash(bits / 8) } else { random.near(&a) };
            let distance = naive_distance(&a, &b);
            // At the edge, one below, one above, and anywhere.
            let radius = match random.below(4) {
                0 => distance,
                1 => (distance - 1).max(0),
                2 => (distance + 1).min(bits as i32),
                _ => random.below(bits as u64 + 1) as i32,
            };
            let row = session.query_one(&query, &[&hex(&a), &hex(&b), &radius]).unwrap();
            let case = format!("{} {} {radius}", hex(&a), hex(&b));
            assert_eq!(row.get::<_, i32>(0), distance, "{case}");
            for near in 1..=4 {
                assert_eq!(row.get::<_, bool>(near), distance <= radius, "column {near} of {case}");
            }
            let order = [a == b, a != b, a < b, a <= b, a > b, a >= b];
            for (column, expected) in (5..).zip(order) {
                assert_eq!(row.get::<_, bool>(column), expected, "column {column} of {case}");
            }
            assert_eq!(row.get::<_, i32>(11), a.cmp(&b) as i32, "{case}");
            assert_eq!((row.get::<_, bool>(12), row.get::<_, bool>(13)), (a == b, a == b), "hash codes of {case}");
            assert_eq!(row.get::<_, String>(14), hex(&a));
            assert_eq!(row.get::<_, i32>(15), bits as i32);
            assert_eq!(row.get::<_, Vec<u8>>(16), a);
            assert_eq!(row.get::<_, Vec<u8>>(17), a);
            assert!(row.get::<_, bool>(18), "bits of {case}");
            assert_eq!(row.get::<_, i32>(19), distance, "the model in SQL differs from that in Rust: {case}");
            assert!(row.get::<_, bool>(20), "hash codes of {case}");
            equal += usize::from(a == b);
        }
    }
    assert!(equal > 20, "too few equal pairs to prove anything: {equal}");
}

#[test]
fn tables_of_many_widths_sort_group_join_and_analyze() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina; CREATE TABLE hashes (id int PRIMARY KEY, h phash)").unwrap();
    let mut random = Random(7);
    let mut hashes: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3000 {
        let hash = match random.below(3) {
            0 if !hashes.is_empty() => hashes[random.below(hashes.len() as u64) as usize].clone(),
            1 if !hashes.is_empty() => {
                let near = hashes[random.below(hashes.len() as u64) as usize].clone();
                random.near(&near)
            }
            _ => {
                let bytes = 1 + random.below(40) as usize;
                random.hash(bytes)
            }
        };
        hashes.push(hash);
    }
    let rows: String = hashes.iter().enumerate().map(|(id, hash)| format!("({id}, '{}'),", hex(hash))).collect();
    session.batch_execute(&format!("INSERT INTO hashes VALUES {}", rows.trim_end_matches(','))).unwrap();
    session.batch_execute("ANALYZE hashes").unwrap();

    let mut sorted = hashes.clone();
    sorted.sort();
    let column = |session: &mut postgres::Client, query: &str| -> Vec<Vec<u8>> {
        session.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(column(&mut session, "SELECT h::bytea FROM hashes ORDER BY h"), sorted);
    session.batch_execute("CREATE INDEX ON hashes (h); SET enable_seqscan = off; SET enable_sort = off").unwrap();
    assert_eq!(column(&mut session, "SELECT h::bytea FROM hashes ORDER BY h"), sorted);
    session.batch_execute("RESET ALL").unwrap();
    let mut distinct = sorted.clone();
    distinct.dedup();
    for setting in ["enable_hashagg = off", "enable_sort = off"] {
        session.batch_execute(&format!("SET {setting}")).unwrap();
        let mut found = column(&mut session, "SELECT h::bytea FROM (SELECT h FROM hashes GROUP BY h OFFSET 0) g");
        found.sort();
        assert_eq!(found, distinct, "{setting}");
        session.batch_execute("RESET ALL").unwrap();
    }

    // Near pairs: two widths never are, whatever the radius.
    for radius in [0i32, 1, 5, 16, 400] {
        let near = |a: &[u8], b: &[u8]| a.len() == b.len() && naive_distance(a, b) <= radius;
        let sample = &hashes[..300];
        let expected: usize =
            (0..300).map(|i| sample[..i].iter().filter(|other| near(&sample[i], other)).count()).sum();
        let found: i64 = session
            .query_one(
                "SELECT count(*) FROM hashes a JOIN hashes b ON a.id > b.id AND phash_within(a.h, b.h, $1)
                WHERE a.id < 300 AND b.id < 300",
                &[&radius],
            )
            .unwrap()
            .get(0);
        assert_eq!(found as usize, expected, "radius {radius}");
    }

    // The guarantee of the bands, through a join: every near pair of one width shares a row.
    let missed: i64 = session
        .query_one(
            "SELECT count(*) FROM hashes a JOIN hashes b ON a.id > b.id AND phash_within(a.h, b.h, 5)
            WHERE a.id < 400 AND b.id < 400 AND NOT EXISTS (
                SELECT FROM phash_bands(a.h, 5) c JOIN phash_bands(b.h, 5) d USING (band, value))",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(missed, 0);
}
