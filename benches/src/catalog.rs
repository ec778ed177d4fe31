//! Duplicate detection as a job: a catalog of 98,932 images, the time from the COMMIT that submits the job to its
//! success, and the disk space of the groups after they have been replaced many times.
//!
//! Every run but the first removes the groups of the run before. Ten runs, whatever RUNS is, with a VACUUM after each,
//! which makes the space of old groups reusable. The rows are those of the tests: `lumina_cluster::catalog`.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, submit, wait_for_end};
use lumina_cluster::postgres::Client;

const IMAGES: usize = 98_932;
const DISTANCE: i32 = 5;
const RUNS: usize = 10;

/// The longest a job may take, in seconds: this much for itself, and this much for each member that it writes.
const FOR_A_JOB: f64 = 1.0;
const FOR_A_MEMBER: f64 = 15e-6;

/// Prints the table; the times are those of the first `timed` runs.
pub(crate) fn print(cluster: &Cluster, timed: usize) {
    let mut session = cluster.connect();
    let catalog = fill(&mut session, "bench", &lumina_sets::photo(IMAGES, 1));
    let files = "SELECT count(*) FROM lumina.image_files WHERE catalog = $1";
    let files: i64 = session.query_one(files, &[&catalog]).expect("files").get(0);
    session.batch_execute("VACUUM ANALYZE").expect("vacuum");
    session.batch_execute("CHECKPOINT").expect("a checkpoint");

    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        times.push(run(&mut session));
        session.batch_execute("VACUUM").expect("vacuum");
        sizes.push(size(&mut session));
    }
    assert_eq!(leftovers(&mut session), [""; 0], "something was left behind");

    let counts = "SELECT near_pairs, groups, members FROM lumina.duplicate_runs WHERE is_current AND catalog = $1";
    let row = session.query_one(counts, &[&catalog]).expect("a run");
    let (pairs, groups, members): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    times.truncate(timed.max(1));
    let times_of = times.len();
    times.sort_by(f64::total_cmp);
    let allowed = FOR_A_JOB + FOR_A_MEMBER * members as f64;
    let megabytes = |bytes: i64| bytes as f64 / 1e6;

    println!(
        "\n`detect_duplicates` within {DISTANCE} bits: {IMAGES} images of the set photo with {files} files, {pairs} \
        near pairs; {times_of} runs, from submission to success, in ms; what the groups take with \
        their indexes, in MB.\n"
    );
    println!(
        "| members | groups | fastest | median | allowed | MB after 1 run | after {RUNS}, with VACUUM between | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| {members} | {groups} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} |",
        times[0] * 1000.0,
        times[times.len() / 2] * 1000.0,
        allowed * 1000.0,
        megabytes(sizes[0]),
        megabytes(sizes[RUNS - 1]),
        sizes[RUNS - 1] as f64 / sizes[0] as f64,
    );
}

/// Runs one job; returns the duration that it reports, in seconds.
fn run(session: &mut Client) -> f64 {
    let job = submit(session, "bench", DISTANCE);
    assert_eq!(wait_for_end(session, job), "succeeded", "job {job}");
    let took = "SELECT extract(epoch FROM ended_at - created_at)::float8 FROM lumina.jobs WHERE id = $1";
    session.query_one(took, &[&job]).expect("a job").get(0)
}

/// The disk space of runs, groups and members, with their indexes.
fn size(session: &mut Client) -> i64 {
    let tables = "
        SELECT sum(pg_total_relation_size(oid))::int8 FROM pg_class
        WHERE relnamespace = 'lumina'::regnamespace AND relkind = 'r' AND relname LIKE 'duplicate\\_%'";
    session.query_one(tables, &[]).expect("a size").get(0)
}
