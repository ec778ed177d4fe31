//! A catalog of 1,000,000 images of the set photo: a full run of `detect_duplicates` within 3 bits of one hash, the
//! first page of groups and a further one in each order, all groups, and the report of 100 groups.
//!
//! Pages are read by a role that may read the catalog. Of three full runs the second and the third also remove the
//! groups of the one before. The rows are those of the tests: `lumina_cluster::catalog`.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, wait_for_end};
use lumina_cluster::postgres::Client;
use std::time::{Duration, Instant};

const IMAGES: usize = 1_000_000;
const DISTANCE: i32 = 3;
const FULL_RUNS: usize = 3;
/// Groups of a page.
const PAGE: usize = 100;
const ORDERS: [&str; 5] = ["savings", "kind", "confidence", "date", "folder"];

/// Prints the tables; pages are read `runs` times.
pub(crate) fn print(cluster: &Cluster, runs: usize) {
    let mut session = cluster.connect();
    fill(&mut session, "large", &lumina_sets::photo(IMAGES, 1));
    session
        .batch_execute(
            "ANALYZE lumina.images, lumina.image_files; CREATE ROLE reader LOGIN;
            SELECT lumina.grant_catalog('large', 'reader', 'read')",
        )
        .expect("a reader");
    session.batch_execute("VACUUM").expect("vacuum");
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..FULL_RUNS {
        times.push(search(&mut session, "all").0);
        session.batch_execute("VACUUM").expect("vacuum");
    }
    assert_eq!(leftovers(&mut session), [""; 0], "something was left behind");
    let counts = "SELECT groups, members FROM lumina.duplicate_runs r JOIN lumina.catalogs c ON c.id = r.catalog
        WHERE is_current AND c.name = 'large'";
    let row = session.query_one(counts, &[]).expect("a run");
    let (groups, members): (i64, i64) = (row.get(0), row.get(1));
    let times: Vec<String> = times.iter().map(|seconds| format!("{seconds:.2}")).collect();
    println!(
        "\n`detect_duplicates` within {DISTANCE} bits of one hash: {IMAGES} images of the set photo, {groups} groups \
        with {members} members; full runs, from submission to success, in s: {}.\n",
        times.join(", ")
    );

    let mut reader = cluster.connect_to("postgres", "reader");
    println!("Groups of it, as a role reads them that may read the catalog; {runs} runs, in ms.\n");
    println!("| what | order | fastest | median |\n|---|---|---|---|");
    for order in ORDERS {
        let first = format!("SELECT * FROM lumina.duplicates('large', {PAGE}, '{order}')");
        row_of(&mut reader, "first page of 100 groups", order, &first, runs);
        // From the middle of the order.
        let middle = format!(
            "SELECT cursor FROM lumina.duplicates('large', order_by => '{order}', max_others => 1)
            OFFSET {} LIMIT 1",
            groups / 2
        );
        let cursor: String = reader.query_one(&middle, &[]).expect("a cursor").get(0);
        let further = format!("SELECT * FROM lumina.duplicates('large', {PAGE}, '{order}', '{cursor}')");
        row_of(&mut reader, "page of 100 groups in the middle", order, &further, runs);
    }
    row_of(&mut reader, "all groups", "savings", "SELECT * FROM lumina.duplicates('large')", runs.min(3));
    row_of(&mut reader, "`duplicate_statistics`", "", "TABLE lumina.duplicate_statistics", runs);
    row_of(&mut reader, "report of 100 groups", "savings", "SELECT lumina.duplicates_html('large', 100)", runs.min(3));
    crate::changes::print(&mut session);
    crate::curation::print(&mut session);
}

/// Runs one job; returns the duration that it reports, in seconds, and what it has compared.
pub(crate) fn search(session: &mut Client, scope: &str) -> (f64, String) {
    let rule = format!("[{{\"dhash\": {DISTANCE}}}]");
    let submit = "SELECT lumina.detect_duplicates('large', rule => $1, scope => $2)";
    let job: i64 = session.query_one(submit, &[&rule, &scope]).expect("a job").get(0);
    assert_eq!(wait_for_end(session, job), "succeeded", "job {job}");
    let took = "SELECT extract(epoch FROM ended_at - created_at)::float8, result->>'scope' FROM lumina.jobs
        WHERE id = $1";
    let row = session.query_one(took, &[&job]).expect("a job");
    (row.get(0), row.get(1))
}

/// A row of the table: a statement that is run a few times.
fn row_of(session: &mut Client, what: &str, order: &str, statement: &str, runs: usize) {
    let mut times: Vec<Duration> = (0..runs.max(1))
        .map(|_| {
            let start = Instant::now();
            session.simple_query(statement).expect("the statement runs");
            start.elapsed()
        })
        .collect();
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("| {what} | {order} | {:.1} | {:.1} |", milliseconds(times[0]), milliseconds(times[times.len() / 2]));
}
