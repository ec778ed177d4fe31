//! Imports that lose what they work on: catalog, extension and database dropped at any moment, the disk full.
//!
//! `LUMINA_KILLS` sets the number (10 by default), `LUMINA_SEED` the random seed.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{leftovers, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::disk::{Disk, assert_disk_full};
use lumina_cluster::kills::drop_at_every_moment;
use lumina_cluster::pictures::Pictures;
use lumina_cluster::report::say;
use postgres::Client;

fn furnish(session: &mut Client) {
    session.batch_execute("CREATE EXTENSION lumina; SELECT lumina.create_catalog('photos')").unwrap();
}

#[test]
fn dropped_at_every_moment() {
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")]);
    let pictures = Pictures::make(&cluster);
    drop_at_every_moment(&cluster, 10, furnish, |session| pictures.submit(session, "photos", false));
}

/// A drop locks the catalog's row, and then its jobs; a writing worker has locked its job's row, and what it writes
/// refers to the catalog.
#[test]
fn a_drop_in_the_middle_of_a_batch_is_no_deadlock() {
    let cluster = Cluster::start();
    let pictures = Pictures::make(&cluster);
    let mut session = cluster.connect();
    furnish(&mut session);
    let blocked = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()
        AND (backend_type = $1 OR query LIKE $1) AND cardinality(pg_blocking_pids(pid)) > 0)";
    std::thread::scope(|scope| {
        // The rows that a worker must write, locked by a session that refers to nothing.
        let mut holder = cluster.connect();
        holder.batch_execute("SET session_replication_role = replica; BEGIN").unwrap();
        let row = "INSERT INTO lumina.sources (catalog, path, name) SELECT c.id, $1, 'held' FROM lumina.catalogs c";
        holder.execute(row, &[&pictures.path()]).unwrap();
        pictures.submit(&mut session, "photos", false);
        let mut waits = |who: &str| session.query_one(blocked, &[&who]).unwrap().get::<_, bool>(0);
        wait_until("the worker waits", || waits("lumina worker"));
        let drop = scope.spawn(|| cluster.connect().batch_execute("SELECT lumina.drop_catalog('photos')"));
        wait_until("the drop waits", || waits("SELECT lumina.drop_catalog%"));
        holder.batch_execute("ROLLBACK").unwrap();
        drop.join().unwrap().unwrap();
    });
    let rows = "SELECT (SELECT count(*) FROM lumina.jobs) + (SELECT count(*) FROM lumina.sources)";
    assert_eq!(session.query_one(rows, &[]).unwrap().get::<_, i64>(0), 0);
    assert!(!cluster.log().contains("deadlock"), "{}", cluster.log());
}

#[test]
fn the_disk_is_full() {
    let cluster = Cluster::start_with(&[("autovacuum", "off")]);
    let Some(disk) = Disk::mount(cluster.socket_folder().join("small")) else {
        return say("skipped: the disk that is full: no file system can be mounted here");
    };
    let pictures = Pictures::make(&cluster);
    let mut session = cluster.connect();
    furnish(&mut session);
    session.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder().display())).unwrap();
    for table in ["images", "image_files", "import_items"] {
        session.batch_execute(&format!("ALTER TABLE lumina.{table} SET TABLESPACE small")).unwrap();
    }
    let mut job = None;
    let mut submit = |session: &mut Client| {
        let retry = |job| session.query_one("SELECT lumina.retry_job($1)", &[&job]).unwrap().get(0);
        let submitted = job.map_or_else(|| pictures.submit(&mut cluster.connect(), "photos", false), retry);
        job = Some(submitted);
        submitted
    };
    // While files are found, and while they are analyzed: each job has what it has committed.
    let room: [u64; 5] = [0, 40_960, 160_000, 400_000, 400_000];
    let mut imported = Vec::new();
    for bytes in room {
        disk.leave(bytes);
        let job = submit(&mut session);
        assert_eq!(wait_for_end(&mut session, job), "failed", "{bytes} bytes left");
        assert_disk_full(&mut session, job);
        assert_eq!(leftovers(&mut session), [""; 0], "{bytes} bytes left");
        let files = "SELECT count(*) FROM lumina.image_files";
        imported.push(session.query_one(files, &[]).unwrap().get::<_, i64>(0));
    }
    assert!(imported.is_sorted() && imported[0] == 0 && imported[4] > imported[3], "{imported:?}");
    disk.leave(32 << 20);
    let job = submit(&mut session);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(pictures.mistakes(&mut session, "photos", job, false), [""; 0]);
    say(&format!("files imported by the time that the disk was full: {imported:?}"));
}
