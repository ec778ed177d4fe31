//! Servers with an index, its rows, and the comparison of the index with a sequential scan.

use lumina_cluster::postgres::{Client, Error};
use lumina_cluster::{Cluster, Random};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// A row of a result: the id, and the distance.
pub(crate) type Row = (i64, Option<i32>);

/// A server with the extension, and a session.
pub(crate) fn world() -> (Cluster, Client) {
    world_with(&[])
}

/// A server with these settings, and a session. Nothing is vacuumed unless a test does so.
pub(crate) fn world_with(settings: &[(&str, &str)]) -> (Cluster, Client) {
    let cluster = Cluster::start_with(&[("autovacuum", "off"), ("jit", "off")]);
    if !settings.is_empty() {
        cluster.configure(settings);
        cluster.restart();
    }
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    (cluster, session)
}

pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Realistic hashes: copies and near copies of earlier ones, popular values, NULLs.
pub(crate) struct Hashes {
    pub(crate) random: Random,
    bytes: usize,
    earlier: Vec<Vec<u8>>,
}

impl Hashes {
    pub(crate) fn new(bits: usize, seed: u64) -> Self {
        Hashes { random: Random(seed), bytes: bits / 8, earlier: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        if self.random.below(40) == 0 {
            return None;
        }
        let fresh = match self.random.below(20) {
            0 => vec![if self.random.below(3) == 0 { 255 } else { 0 }; self.bytes],
            1..=6 if !self.earlier.is_empty() => self.near(),
            _ => (0..self.bytes).map(|_| self.random.next() as u8).collect(),
        };
        // A sample of all earlier hashes.
        let at = self.random.below(1000) as usize;
        if self.earlier.len() < 1000 {
            self.earlier.push(fresh.clone())
        } else {
            self.earlier[at] = fresh.clone()
        }
        Some(fresh)
    }

    /// A hash near an earlier one.
    pub(crate) fn near(&mut self) -> Vec<u8> {
        if self.earlier.is_empty() {
            return vec![0; self.bytes];
        }
        let center = self.earlier[self.random.below(self.earlier.len() as u64) as usize].clone();
        self.random.near(&center)
    }

    /// A centre to search around.
    pub(crate) fn center(&mut self) -> String {
        hex(&match self.random.below(8) {
            0 => vec![0; self.bytes],
            1 => (0..self.bytes).map(|_| self.random.next() as u8).collect(),
            _ => self.near(),
        })
    }

    /// Rows for COPY: ids from `first` on, hashes, and a payload.
    pub(crate) fn rows(&mut self, first: i64, count: i64) -> String {
        (first..first + count).fold(String::new(), |mut text, id| {
            let hash = self.next().map_or_else(|| "\\N".into(), |hash| hex(&hash));
            writeln!(text, "{id}\t{hash}\t{}", id % 10).unwrap();
            text
        })
    }
}

/// Adds rows to a table of `(id, h, n)`.
pub(crate) fn copy(session: &mut Client, table: &str, rows: &str) {
    let mut writer = session.copy_in(&format!("COPY {table} (id, h, n) FROM STDIN")).unwrap();
    writer.write_all(rows.as_bytes()).unwrap();
    writer.finish().unwrap();
}

/// Makes a table of hashes with `count` rows, without an index on them.
pub(crate) fn fill(session: &mut Client, table: &str, hashes: &mut Hashes, count: i64) {
    let bits = hashes.bytes * 8;
    // Room for updates in place.
    let made = format!("CREATE TABLE {table} (id int8 PRIMARY KEY, h phash({bits}), n int) WITH (fillfactor = 70)");
    session.batch_execute(&made).unwrap();
    copy(session, table, &hashes.rows(1, count));
}

/// The kind of scan that a query must use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanKind {
    Index,
    Bitmap,
    Sequential,
    /// The planner's choice.
    Any,
}

impl ScanKind {
    pub(crate) fn settings(self) -> &'static str {
        match self {
            ScanKind::Index => {
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = off"
            }
            ScanKind::Bitmap => {
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = on"
            }
            ScanKind::Sequential => {
                "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
            }
            ScanKind::Any => {
                "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on"
            }
        }
    }

    /// The part of a plan that shows this path.
    fn sign(self) -> &'static str {
        match self {
            ScanKind::Index => "Index Scan using",
            ScanKind::Bitmap => "Bitmap Index Scan",
            ScanKind::Sequential => "Seq Scan",
            ScanKind::Any => "",
        }
    }
}

/// A query that the index can answer.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// The table, with columns `id` and `key`.
    pub(crate) table: String,
    /// The indexed expression.
    pub(crate) key: String,
    /// The condition, if any.
    pub(crate) filter: String,
    /// The centre of distances.
    pub(crate) center: String,
    /// Whether the nearest come first.
    pub(crate) ordered: bool,
    pub(crate) limit: Option<usize>,
}

impl Search {
    /// Everything within `radius` of `center`.
    pub(crate) fn ball(table: &str, center: &str, radius: usize) -> Self {
        Search {
            table: table.into(),
            key: "h".into(),
            filter: format!("h <@ phash_ball('{center}', {radius})"),
            center: format!("'{center}'"),
            ordered: false,
            limit: None,
        }
    }

    /// The nearest to `center`.
    pub(crate) fn nearest(table: &str, center: &str, limit: Option<usize>) -> Self {
        Search { filter: String::new(), ordered: true, limit, ..Search::ball(table, center, 0) }
    }

    /// Adds a condition.
    pub(crate) fn and(mut self, condition: &str) -> Self {
        self.filter = match self.filter.as_str() {
            "" => condition.into(),
            filter => format!("{filter} AND {condition}"),
        };
        self
    }

    /// Orders by distance from `center`.
    pub(crate) fn by(mut self, center: &str) -> Self {
        self.center = format!("'{center}'");
        self.ordered = true;
        self
    }

    pub(crate) fn sql(&self) -> String {
        let Search { table, key, filter, center, limit, .. } = self;
        let mut sql = format!("SELECT id::int8, {key} <~> {center} FROM {table}");
        if !filter.is_empty() {
            write!(sql, " WHERE {filter}").unwrap();
        }
        if self.ordered {
            write!(sql, " ORDER BY {key} <~> {center}").unwrap();
        }
        if let Some(limit) = limit {
            write!(sql, " LIMIT {limit}").unwrap();
        }
        sql
    }

    /// Asserts that the index finds what a sequential scan finds, in one snapshot, and that the index was used. Returns
    /// the number of rows. Panics if they differ; errors of the server are returned.
    pub(crate) fn try_compare(&self, session: &mut Client, kind: ScanKind) -> Result<usize, Error> {
        session.batch_execute(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {}", kind.settings()))?;
        let found = self.compare_in_transaction(session, kind);
        session.batch_execute(if found.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        found
    }

    fn compare_in_transaction(&self, session: &mut Client, kind: ScanKind) -> Result<usize, Error> {
        let all = Search { ordered: false, limit: None, ..self.clone() }.sql();
        if self.limit.is_some() {
            self.assert_scan(session, kind, &self.sql())?;
            let found = rows(session, &self.sql())?;
            session.batch_execute(ScanKind::Sequential.settings())?;
            self.assert_limited(session, &found, &all)?;
            return Ok(found.len());
        }
        self.assert_scan(session, kind, &summary(&self.sql()))?;
        let found = self::found(session, &self.sql())?;
        session.batch_execute(ScanKind::Sequential.settings())?;
        let expected = self::found(session, &all)?;
        if (found.rows, &found.sum) != (expected.rows, &expected.sum) || self.ordered && found.steps_back > 0 {
            // The differences, row by row.
            let expected_rows = rows(session, &all)?;
            session.batch_execute(kind.settings())?;
            self.assert_same(&rows(session, &self.sql())?, &expected_rows);
            panic!("{found:?} was found, {expected:?} is there: {}", self.sql());
        }
        Ok(found.rows as usize)
    }

    fn assert_scan(&self, session: &mut Client, kind: ScanKind, sql: &str) -> Result<(), Error> {
        let plan = explain(session, sql)?;
        let is_taken = plan.contains(kind.sign()) && !plan.contains("Sort") && !plan.contains("Seq Scan");
        assert!(kind == ScanKind::Any || is_taken, "not by {kind:?}: {sql}\n{plan}");
        Ok(())
    }

    /// Asserts that the requested number of rows was found, each once, all of them existing, and the nearest.
    fn assert_limited(&self, session: &mut Client, found: &[Row], all: &str) -> Result<(), Error> {
        let (ids, distances): (Vec<i64>, Vec<Option<i32>>) = found.iter().copied().unzip();
        let there = format!(
            "SELECT DISTINCT a.id, a.d FROM ({all}) a (id, d)
            JOIN unnest($1::int8[], $2::int4[]) f (id, d) ON f.id = a.id AND f.d IS NOT DISTINCT FROM a.d"
        );
        let there = session.query(&there, &[&ids, &distances])?.len();
        let nearest = rows(session, &self.sql())?;
        let what = format!("{found:?}: {}", self.sql());
        assert_eq!(there, found.len(), "found that should not be, or twice: {what}");
        assert_eq!(nearest.len(), found.len(), "{what}");
        let is_right = !self.ordered || nearest.iter().zip(found).all(|(nearest, found)| nearest.1 == found.1);
        assert!(is_right, "not the nearest, which are {nearest:?}: {what}");
        Ok(())
    }

    /// Asserts that `found` answers this search if `expected` are all matching rows.
    pub(crate) fn assert_same(&self, found: &[Row], expected: &[Row]) {
        let wanted = self.limit.unwrap_or(usize::MAX).min(expected.len());
        let mut left: HashMap<Row, i64> = HashMap::new();
        expected.iter().for_each(|row| *left.entry(*row).or_default() += 1);
        found.iter().for_each(|row| *left.entry(*row).or_default() -= 1);
        let wrong: Vec<_> = left.iter().filter(|(_, left)| **left < 0).take(10).collect();
        let missed: Vec<_> = left.iter().filter(|(_, left)| **left > 0).take(10).collect();
        let what = format!("{} rows found, {wanted} wanted: {}", found.len(), self.sql());
        assert!(wrong.is_empty(), "found that should not be (or twice): {wrong:?}; {what}");
        assert_eq!(found.len(), wanted, "missed {missed:?}; {what}");
        if self.ordered {
            // NULLs last.
            let far = |row: &Row| row.1.unwrap_or(i32::MAX);
            assert!(found.is_sorted_by_key(far), "not the nearest first: {what}");
            let mut nearest: Vec<i32> = expected.iter().map(far).collect();
            nearest.sort_unstable();
            nearest.truncate(wanted);
            assert_eq!(found.iter().map(far).collect::<Vec<_>>(), nearest, "not the nearest: {what}");
        }
    }

    pub(crate) fn compare(&self, session: &mut Client, kind: ScanKind) -> usize {
        self.try_compare(session, kind).unwrap_or_else(|error| panic!("{}: {error:?}", self.sql()))
    }
}

/// Asserts that both paths through the index find what a sequential scan finds.
pub(crate) fn compare_both(session: &mut Client, search: &Search) -> usize {
    if !search.ordered {
        search.compare(session, ScanKind::Bitmap);
    }
    search.compare(session, ScanKind::Index)
}

/// Runs statements one by one, each in its own transaction unless they say otherwise: VACUUM needs that.
pub(crate) fn each(session: &mut Client, statements: &str) {
    for statement in statements.split(';').filter(|statement| !statement.trim().is_empty()) {
        session.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

/// A digest of rows: their number, a sum over all, and how often one is nearer than the one before it.
#[derive(Debug)]
struct Found {
    rows: i64,
    sum: String,
    steps_back: i64,
}

/// Queries [`Found`], so that many rows need not be fetched to be compared. NULLs count as farthest.
fn summary(query: &str) -> String {
    format!(
        "SELECT count(*), coalesce(sum(hashint8extended(id, d)), 0)::text, count(*) FILTER (WHERE d < before)
        FROM (SELECT id, coalesce(d, 2147483647) AS d, lag(coalesce(d, 2147483647)) OVER () AS before
            FROM ({query}) found (id, d)) followed"
    )
}

fn found(session: &mut Client, query: &str) -> Result<Found, Error> {
    let row = session.query_one(&summary(query), &[])?;
    Ok(Found { rows: row.get(0), sum: row.get(1), steps_back: row.get(2) })
}

/// The plan of a query.
pub(crate) fn explain(session: &mut Client, query: &str) -> Result<String, Error> {
    let lines = session.query(&format!("EXPLAIN (COSTS off) {query}"), &[])?;
    Ok(lines.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
}

/// The rows of a query for ids and distances.
pub(crate) fn rows(session: &mut Client, query: &str) -> Result<Vec<Row>, Error> {
    Ok(session.query(query, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The first column of the first row of a query, in text.
pub(crate) fn value(session: &mut Client, query: &str) -> String {
    let row = session.query_one(&format!("SELECT (({query}))::text"), &[]);
    let row = row.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// A few searches of every kind.
pub(crate) fn some_searches(table: &str, bits: usize, hashes: &mut Hashes) -> Vec<Search> {
    let near = [0, 1, 2, 3, 5, 8, bits / 16, bits / 8, bits / 4].map(|radius| radius.min(bits));
    let far = [bits / 2, bits - 1, bits];
    let radius = |hashes: &mut Hashes| near[hashes.random.below(near.len() as u64) as usize];
    let limit = [1, 2, 10, 100, 700][hashes.random.below(5) as usize];
    let mut searches = Vec::new();
    for _ in 0..3 {
        searches.push(Search::ball(table, &hashes.center(), radius(hashes)));
    }
    let center = hashes.center();
    searches.push(Search::ball(table, &center, far[hashes.random.below(3) as usize]));
    searches.push(Search::nearest(table, &center, Some(limit)));
    searches.push(Search::ball(table, &center, radius(hashes)).by(&center));
    searches.push(Search::ball(table, &center, far[0]).by(&hashes.center()));
    let both = format!("h <@ phash_ball('{}', {})", hashes.center(), far[0]);
    searches.push(Search::ball(table, &hashes.center(), far[0]).and(&both));
    searches
}

/// Compares a few searches, and all rows by distance.
pub(crate) fn compare_some(session: &mut Client, table: &str, bits: usize, hashes: &mut Hashes) {
    for search in some_searches(table, bits, hashes) {
        compare_both(session, &search);
    }
    compare_all(session, table, &hashes.center());
}

/// Compares all rows, the nearest first, down to the last NULL.
pub(crate) fn compare_all(session: &mut Client, table: &str, center: &str) {
    Search::nearest(table, center, None).compare(session, ScanKind::Index);
}

/// Checks every page of an index, and that every row is in it.
pub(crate) fn check(session: &mut Client, index: &str) {
    let checked = session.batch_execute(&format!("SELECT hamming_index_check('{index}', true)"));
    checked.unwrap_or_else(|error| panic!("check of {index}: {error:?}"));
}

/// The error of a statement that must fail: SQLSTATE, message, hint.
pub(crate) fn refusal(session: &mut Client, statement: &str) -> (String, String, String) {
    let error = session.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error:?}"));
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

/// Asserts that the server has never crashed, and nothing has panicked or deadlocked.
pub(crate) fn assert_well(cluster: &Cluster) {
    let log = cluster.log();
    // Tests themselves send signal 9.
    for bad in ["PANIC", "deadlock detected", "signal 4:", "signal 6:", "signal 7:", "signal 11:", "panicked at"] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(bad)).take(5).collect();
        assert!(lines.is_empty(), "{bad}: {lines:#?}");
    }
}
