//! Decisions and bursts on the catalog of `pages.rs`, after its pages were read: 1,000 groups one by one, all groups at
//! once, both taken back; bursts of all images.

use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::postgres::Client;
use std::time::Instant;

/// Groups that are decided one by one.
const ONE_BY_ONE: i64 = 1000;

/// Prints the table. The catalog is `large`, and its groups are all open.
pub(crate) fn print(session: &mut Client) {
    println!("\nDecisions and bursts of it, one run each, in s.\n");
    println!("| what | how many | took |\n|---|---|---|");
    let groups = "SELECT id FROM lumina.duplicate_groups WHERE is_open ORDER BY id LIMIT $1";
    let groups: Vec<i64> =
        session.query(groups, &[&ONE_BY_ONE]).expect("groups").iter().map(|row| row.get(0)).collect();
    let keep = session.prepare("SELECT action FROM lumina.keep_best($1)").expect("keep_best");
    let mut actions: Vec<i64> = Vec::new();
    row("keep_best, a transaction each", groups.len(), || {
        for group in &groups {
            actions.push(session.query_one(&keep, &[group]).expect("a decision").get(0));
        }
    });
    let undo = session.prepare("SELECT lumina.undo($1)").expect("undo");
    row("undo of these, a transaction each", actions.len(), || {
        for action in &actions {
            session.query_one(&undo, &[action]).expect("an undo");
        }
    });
    session.batch_execute("VACUUM ANALYZE").expect("vacuum");
    let all = "SELECT count(action), max(action) FROM lumina.keep_best_in_all('large', 0, false, true)";
    let start = Instant::now();
    let decided = session.query_one(all, &[]).expect("a decision");
    let took = start.elapsed();
    let (groups, action): (i64, i64) = (decided.get(0), decided.get(1));
    println!("| keep_best_in_all | {groups} groups | {:.2} |", took.as_secs_f64());
    let first = "SELECT FROM lumina.duplicates('large', 100)";
    row("first page, right after it", 1, || drop(session.query(first, &[]).expect("a page")));
    row("undo of it", 1, || drop(session.query_one("SELECT lumina.undo($1)", &[&action]).expect("an undo")));
    // Five frames a minute, a third of a second apart, of one camera.
    session
        .batch_execute(
            "UPDATE lumina.images SET captured_at = '2020-01-01'::timestamptz + id / 5 * '1 minute'::interval
                + id % 5 * '0.31 seconds'::interval, date_source = 'exif', date_confidence = 95, camera_make = 'maker',
                camera_model = 'model', metadata = '{\"has_time\": true}'",
        )
        .expect("times");
    session.batch_execute("VACUUM ANALYZE lumina.images").expect("vacuum");
    let mut job = 0;
    for what in ["detect_bursts", "detect_bursts once more"] {
        row(what, 1, || {
            job = session.query_one("SELECT lumina.detect_bursts('large')", &[]).expect("a job").get(0);
            assert_eq!(wait_for_end(session, job), "succeeded");
        });
    }
    let found = "SELECT format('%s bursts with %s frames', count(*), sum(frames)) FROM lumina.bursts";
    println!("\n{}.", session.query_one(found, &[]).expect("bursts").get::<_, String>(0));
}

fn row(what: &str, count: usize, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    println!("| {what} | {count} | {:.2} |", start.elapsed().as_secs_f64());
}
