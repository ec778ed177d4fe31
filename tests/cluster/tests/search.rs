//! Bulk search in real servers against models: every pair, match and group, for any order of the rows and number of
//! threads; the sets of the benches; a standby.
//!
//! The models never touch the code under test: distances are counted bit by bit in SQL, on Postgres's own bit strings
//! made from the text form, or in Rust from the bytes that were loaded.

use lumina_cluster::report::say;
use lumina_cluster::{Cluster, Random};
use postgres::Client;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Hash columns of the table `hashes`: name and bits.
const COLUMNS: [(&str, usize); 5] = [("h8", 8), ("h64", 64), ("h72", 72), ("h256", 256), ("h1024", 1024)];

const ROWS: usize = 2000;
/// Rows that are also checked in SQL: all of them would take too long.
const FEW: usize = 500;

/// The hash of each row in each column.
type Table = Vec<Vec<Option<Vec<u8>>>>;

/// Random rows, copies and near copies of earlier rows, popular values, NULLs. Ids count from 1.
fn rows() -> Table {
    let mut random = Random(20_261_123);
    let mut rows: Table = Vec::new();
    for _ in 0..ROWS {
        let earlier =
            (random.below(3) == 0 && !rows.is_empty()).then(|| rows[random.below(rows.len() as u64) as usize].clone());
        let row = COLUMNS.iter().enumerate().map(|(column, (_, bits))| {
            if random.below(40) == 0 {
                return None;
            }
            if random.below(50) == 0 {
                return Some(vec![if random.below(3) == 0 { 255 } else { 0 }; bits / 8]);
            }
            let Some(mut hash) = earlier.as_ref().and_then(|earlier| earlier[column].clone()) else {
                return Some((0..bits / 8).map(|_| random.next() as u8).collect());
            };
            for _ in 0..random.below(1 + *bits as u64 / 8) {
                let bit = random.below(*bits as u64) as usize;
                hash[bit / 8] ^= 0x80 >> (bit % 8);
            }
            Some(hash)
        });
        let row = row.collect();
        rows.push(row);
    }
    rows
}

fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn load(session: &mut Client, table: &Table) {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, bits)| format!("{name} phash({bits})")).collect();
    let create = format!("CREATE EXTENSION lumina; CREATE TABLE hashes (id int PRIMARY KEY, {})", columns.join(", "));
    session.batch_execute(&create).unwrap();
    let mut writer = session.copy_in("COPY hashes FROM STDIN").unwrap();
    for (row, hashes) in table.iter().enumerate() {
        let fields = hashes.iter().map(|hash| hash.as_ref().map_or("\\N".into(), |hash| hex(hash)));
        let fields: Vec<String> = fields.collect();
        writeln!(writer, "{}\t{}", row + 1, fields.join("\t")).unwrap();
    }
    writer.finish().unwrap();
    session.batch_execute("ANALYZE hashes").unwrap();
}

/// No distance: one of the two is NULL.
const NULL: u16 = u16::MAX;

/// The distances of all rows in each column, at `a * ROWS + b` for rows `a <= b`.
fn distances(table: &Table) -> Vec<Vec<u16>> {
    let words = |hash: &Vec<u8>| -> Vec<u64> {
        hash.chunks(8).map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))).collect()
    };
    let column = |column: usize| {
        let hashes: Vec<_> = table.iter().map(|row| row[column].as_ref().map(words)).collect();
        let mut all = vec![NULL; ROWS * ROWS];
        for (a, left) in hashes.iter().enumerate() {
            for (b, right) in hashes.iter().enumerate().skip(a) {
                if let (Some(left), Some(right)) = (left, right) {
                    all[a * ROWS + b] = left.iter().zip(right).map(|(a, b)| (a ^ b).count_ones() as u16).sum();
                }
            }
        }
        all
    };
    (0..COLUMNS.len()).map(column).collect()
}

/// Count and two checksums of rows `(a, b, distances)`, independent of their order.
#[derive(Debug, Default, PartialEq)]
struct Digest(i64, i64, i64);

impl Digest {
    fn add(&mut self, a: i64, b: i64, distances: i64) {
        let key = (a * 4099 + b) % 1_000_003 * 997 + distances % 1_000_033;
        *self = Digest(self.0 + 1, self.1 + key, self.2 + key % 65_521 * (key % 65_537));
    }

    /// The digest in SQL, of the rows of `call`, which have distances in `columns` columns.
    fn of(session: &mut Client, call: &str, columns: usize) -> Self {
        let distances = (1..=columns).fold("0::int8".to_owned(), |all, at| format!("({all} * 2048 + distances[{at}])"));
        let sql = format!(
            "WITH rows(a, b, distances) AS (SELECT * FROM {call}),
            keys AS MATERIALIZED (SELECT (a * 4099 + b) % 1000003 * 997 + {distances} % 1000033 AS key FROM rows)
            SELECT count(*), coalesce(sum(key), 0)::int8, coalesce(sum(key % 65521 * (key % 65537)), 0)::int8 FROM keys"
        );
        let row = session.query_one(&sql, &[]).unwrap();
        Digest(row.get(0), row.get(1), row.get(2))
    }
}

fn select(columns: &[usize], rest: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|&column| COLUMNS[column].0).collect();
    format!("SELECT id, {} FROM hashes {rest}", names.join(", "))
}

/// Columns, and radii for each.
fn cases() -> Vec<(Vec<usize>, Vec<i32>)> {
    let mut cases = Vec::new();
    let single: [&[i32]; 5] =
        [&[0, 1, 3, 8], &[0, 1, 3, 5, 9, 20, 31, 64], &[0, 2, 7, 72], &[0, 8, 31, 90], &[0, 64, 400]];
    for (column, radii) in single.into_iter().enumerate() {
        cases.extend(radii.iter().map(|radius| (vec![column], vec![*radius])));
    }
    cases.push((vec![1, 0], vec![5, 3]));
    cases.push((vec![0, 1], vec![8, 31]));
    cases.push((vec![2, 1], vec![72, 2]));
    cases.push((vec![3, 1, 2], vec![31, 10, 7]));
    cases.push((vec![4, 3, 2, 1, 0], vec![128, 32, 9, 8, 1]));
    cases.push((vec![1, 1], vec![20, 12]));
    cases
}

#[test]
fn pairs_and_matches_are_those_of_a_join() {
    let cluster = Cluster::start_with(&[("lumina.search_threads", "2")]);
    let mut session = cluster.connect();
    let table = rows();
    load(&mut session, &table);
    session.batch_execute(&bits_of_the_first()).unwrap();
    let distances = distances(&table);
    for (columns, radii) in cases() {
        let case = format!("{columns:?} within {radii:?}");
        let (mut pairs, mut matches) = (Digest::default(), Digest::default());
        for a in 0..ROWS {
            for b in a..ROWS {
                let mut all = 0;
                let near = columns.iter().zip(&radii).all(|(&column, &radius)| {
                    let bits = distances[column][a * ROWS + b];
                    all = all * 2048 + i64::from(bits);
                    bits != NULL && i32::from(bits) <= radius
                });
                if !near {
                    continue;
                }
                // Ids count from 1. Multiples of three are matched with multiples of two: some rows are in both.
                let (a, b) = (a as i64 + 1, b as i64 + 1);
                if a < b {
                    pairs.add(a, b, all);
                }
                if a % 3 == 0 && b % 2 == 0 {
                    matches.add(a, b, all);
                }
                if a < b && b % 3 == 0 && a % 2 == 0 {
                    matches.add(b, a, all);
                }
            }
        }
        let call = format!("phash_pairs('{}', ARRAY{radii:?})", select(&columns, "ORDER BY random()"));
        assert_eq!(Digest::of(&mut session, &call, columns.len()), pairs, "pairs of {case}");
        let (left, right) = (select(&columns, "WHERE id % 3 = 0"), select(&columns, "WHERE id % 2 = 0"));
        let call = format!("phash_matches('{left}', '{right}', ARRAY{radii:?})");
        assert_eq!(Digest::of(&mut session, &call, columns.len()), matches, "matches of {case}");
        joined_in_sql(&mut session, &columns, &radii);
    }
}

/// A table of the first rows with Postgres's bit strings instead of hashes.
fn bits_of_the_first() -> String {
    let bits = COLUMNS.map(|(name, _)| format!("('x' || {name}::text)::varbit AS {name}"));
    format!("CREATE TABLE bits AS SELECT id, {} FROM hashes WHERE id <= {FEW}", bits.join(", "))
}

/// The pairs in SQL alone, for the first rows: a self-join that counts bits.
fn joined_in_sql(session: &mut Client, columns: &[usize], radii: &[i32]) {
    let names: Vec<&str> = columns.iter().map(|&column| COLUMNS[column].0).collect();
    let bits = |name: &&str| format!("bit_count(a.{name} # b.{name})::int4");
    let distances: Vec<String> = names.iter().map(bits).collect();
    let within: Vec<String> = distances.iter().zip(radii).map(|(bits, radius)| format!("{bits} <= {radius}")).collect();
    let (distances, within) = (distances.join(", "), within.join(" AND "));
    let few = select(columns, &format!("WHERE id <= {FEW}"));
    let differing = format!(
        "WITH found AS (SELECT * FROM phash_pairs('{few}', ARRAY{radii:?})),
        joined AS (SELECT a.id::int8, b.id::int8, ARRAY[{distances}]
            FROM bits a JOIN bits b ON a.id < b.id WHERE {within})
        SELECT count(*) FROM ((TABLE found EXCEPT ALL TABLE joined) UNION ALL (TABLE joined EXCEPT ALL TABLE found)) d"
    );
    assert_eq!(session.query_one(&differing, &[]).unwrap().get::<_, i64>(0), 0, "{names:?} within {radii:?}");
}

fn text(session: &mut Client, query: &str) -> String {
    session.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

#[test]
fn groups_keep_their_promises() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    load(&mut session, &rows());
    // The errors in the groups of a strategy; must be none.
    session.batch_execute(include_str!("search/groups.sql")).unwrap();
    for (column, radius) in [("h64", 6), ("h64", 12), ("h72", 3), ("h256", 60), ("h8", 0), ("h8", 1), ("h1024", 130)] {
        for strategy in ["clique", "star", "component"] {
            let wrong = format!(
                "SELECT coalesce(string_agg(w, '; '), '') FROM wrong_groups('{column}', {radius}, '{strategy}') w"
            );
            assert_eq!(text(&mut session, &wrong), "", "{column} within {radius}, {strategy}");
        }
    }
}

#[test]
fn nothing_depends_on_the_order_or_the_threads() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    load(&mut session, &rows());
    // A component of 100,000 ids, and 5,659 equal hashes.
    session
        .batch_execute(
            "CREATE TABLE large AS
            SELECT i AS id, (i # i >> 1)::int8::phash AS h FROM generate_series(1, 100000) i
            UNION ALL SELECT -i, 'c3a1f0e00f1e3c78' FROM generate_series(1, 5659) i",
        )
        .unwrap();
    let mut calls = vec![
        "SELECT r::text FROM phash_pairs('SELECT id, h64, h8 FROM hashes ORDER BY @', ARRAY[9, 6]) r".to_owned(),
        "SELECT r::text FROM phash_pairs('SELECT id::text, h256 FROM hashes ORDER BY @', 40, ''::text) r".to_owned(),
        "SELECT r::text
            FROM phash_matches('SELECT id, h64 FROM hashes ORDER BY @', 'SELECT id, h64 FROM hashes', 20) r"
            .to_owned(),
    ];
    for strategy in ["clique", "star", "component"] {
        calls.push(format!(
            "SELECT r::text FROM phash_groups('SELECT id, h8 FROM hashes ORDER BY @', 1, '{strategy}') r"
        ));
        calls.push(format!(
            "SELECT r::text
            FROM phash_groups('SELECT id, h64, h256 FROM hashes ORDER BY @', ARRAY[9, 60], '{strategy}') r"
        ));
        calls.push(format!(
            "SELECT r::text
            FROM phash_groups('SELECT id::text, h64 FROM hashes ORDER BY @', 9, '{strategy}', ''::text) r"
        ));
        calls
            .push(format!("SELECT r::text FROM phash_groups('SELECT id, h FROM large ORDER BY @', 1, '{strategy}') r"));
    }
    let parallel = "SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    let parallel = text(&mut session, &format!("SELECT name::text FROM ({parallel}) s"));
    for call in calls {
        let digest = format!("SELECT count(*) || ' ' || md5(string_agg(r, '|' ORDER BY r)) FROM ({call}) s");
        let mut answers = Vec::new();
        for (threads, order, forced) in [(1, "id", "off"), (2, "random()", "on"), (5, "id DESC", "off")] {
            let settings = format!("SET lumina.search_threads = {threads}; SET {parallel} = {forced}");
            session.batch_execute(&settings).unwrap();
            answers.push(text(&mut session, &digest.replace('@', order)));
        }
        assert!(
            !answers[0].starts_with("0 ") && answers.iter().all(|answer| *answer == answers[0]),
            "{call}: {answers:?}"
        );
    }
    let sizes = "SELECT string_agg(size::text, ' ' ORDER BY size) FROM (
        SELECT count(*) AS size FROM phash_groups('TABLE large', 1, 'component') GROUP BY group_id) s";
    assert_eq!(text(&mut session, sizes), "5659 100000");
}

/// Rows of the benches' sets, as hex digits; `None` if they cannot be made here.
fn bench_set(kind: &str, rows: usize) -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap().join("shared/bench");
    let script = "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
from gen_hashes import gen
for row in gen(sys.argv[2], int(sys.argv[3]), 1).reshape(int(sys.argv[3]), -1).tolist():
    print(''.join('%016x' % word for word in row))";
    if !folder.join("gen_hashes.py").exists() {
        say(&format!("skipped: no gen_hashes.py in {}", folder.display()));
        return None;
    }
    let python = std::env::var("LUMINA_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !has_numpy.is_ok_and(|output| output.status.success()) {
        say(&format!("skipped: {python} has no numpy"));
        return None;
    }
    let mut command = Command::new(&python);
    let output = command.arg("-c").arg(script).arg(&folder).args([kind, &rows.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn the_sets_of_the_benches() {
    const ROWS: usize = 5_000;
    let mut cluster = None;
    for (kind, bits, radii) in
        [("uniform64", 64, [0, 5, 10, 24]), ("photo64", 64, [0, 5, 10, 16]), ("uniform256", 256, [0, 31, 90, 100])]
    {
        let Some(lines) = bench_set(kind, ROWS) else { return };
        let cluster: &Cluster = cluster.get_or_insert_with(Cluster::start);
        cluster.sql(
            "postgres",
            &format!(
                "CREATE EXTENSION IF NOT EXISTS lumina; CREATE TABLE {kind} (id int PRIMARY KEY, h phash({bits}))"
            ),
        );
        let mut session = cluster.connect();
        let mut writer = session.copy_in(&format!("COPY {kind} FROM STDIN")).unwrap();
        lines.iter().enumerate().for_each(|(id, line)| writeln!(writer, "{id}\t{line}").unwrap());
        assert_eq!(writer.finish().unwrap(), ROWS as u64);
        let words = |line: &String| -> Vec<u64> {
            (0..bits / 64).map(|word| u64::from_str_radix(&line[word * 16..word * 16 + 16], 16).unwrap()).collect()
        };
        let words: Vec<Vec<u64>> = lines.iter().map(words).collect();
        // How many pairs are at each distance.
        let mut counts = vec![0i64; bits + 1];
        for (at, a) in words.iter().enumerate() {
            for b in &words[..at] {
                counts[a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones() as usize).sum::<usize>()] += 1;
            }
        }
        for radius in radii {
            let by_distance = format!(
                "SELECT distance, count(*) FROM phash_pairs('TABLE {kind}', {radius}) WHERE a < b GROUP BY 1 ORDER BY 1"
            );
            let found = session.query(&by_distance, &[]).unwrap();
            let found: Vec<(usize, i64)> =
                found.iter().map(|row| (row.get::<_, i32>(0) as usize, row.get(1))).collect();
            let expected: Vec<(usize, i64)> =
                counts.iter().copied().enumerate().filter(|(bits, count)| *bits <= radius && *count > 0).collect();
            assert_eq!(found, expected, "{kind} within {radius}");
        }
    }
}

#[test]
fn a_standby_searches() {
    let cluster = Cluster::start();
    load(&mut cluster.connect(), &rows());
    let standby = cluster.standby();
    for call in [
        "phash_pairs('SELECT id, h64 FROM hashes', 9)",
        "phash_matches('SELECT id, h8 FROM hashes', 'SELECT id, h8 FROM hashes', 0)",
        "phash_groups('SELECT id, h64, h256 FROM hashes', ARRAY[9, 60], 'star')",
        "phash_plan('SELECT id, h64 FROM hashes', 5)",
    ] {
        let digest = format!("SELECT count(*) || ' ' || md5(string_agg(r::text, '|' ORDER BY r::text)) FROM {call} r");
        let answer = standby.sql("postgres", &digest);
        assert!(answer == cluster.sql("postgres", &digest) && !answer.starts_with("0 "), "{call}: {answer}");
    }
}

/// An error of the inner query reaches the client as it is: with the message and the DETAIL that it has without a
/// search, and no backtrace, which the server's environment asks for.
#[test]
fn errors_of_inner_queries_are_passed_on() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let make = "CREATE EXTENSION lumina; CREATE TABLE few (id int, hash phash(64));
        INSERT INTO few VALUES (1, '00000000000000ff'), (2, '00000000000000fe')";
    session.batch_execute(make).unwrap();
    let whole = "SELECT id, hash FROM few";
    for query in [
        "select id, hash from nosuch",
        "select id, hahs from few",
        "select id, hash form few",
        "select id, nosuch(hash) from few",
        "select 1 / (id - 2), hash from few",
        "select (id || 'x')::int, hash from few",
        "select id, (id || 'xyz')::phash from few",
        "select id, hash from few where hash <~> '00ff' < 3",
        "select 2147483647 + id, hash from few",
    ] {
        let mut error = |statement: &str, parameters: &[&(dyn postgres::types::ToSql + Sync)]| {
            let error = session.query(statement, parameters).err().unwrap_or_else(|| panic!("{query}: {statement}"));
            let error = error.as_db_error().unwrap_or_else(|| panic!("{query}: {error}"));
            (error.code().code().to_owned(), error.message().to_owned(), error.detail().map(str::to_owned))
        };
        let alone = error(query, &[]);
        for call in ["phash_pairs($1, 2)", "phash_groups($1, 2)", "phash_plan($1, 2)", "phash_pairs($1, ARRAY[2])"] {
            assert_eq!(error(&format!("SELECT * FROM {call}"), &[&query]), alone, "{query}: {call}");
        }
        for (left, right) in [(query, whole), (whole, query)] {
            assert_eq!(error("SELECT * FROM phash_matches($1, $2, 2)", &[&left, &right]), alone, "{query}");
        }
    }
}
