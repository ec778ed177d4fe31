//! Jobs that lose what they work on: catalog, extension and database dropped at any moment, the disk full.
//!
//! `LUMINA_KILLS` sets the number (24 by default), `LUMINA_SEED` the random seed.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, result, submit, wait_for_end};
use lumina_cluster::disk::{Disk, assert_disk_full};
use lumina_cluster::kills::drop_at_every_moment;
use lumina_cluster::report::say;

#[test]
fn dropped_at_every_moment() {
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")]);
    drop_at_every_moment(
        &cluster,
        24,
        |session| _ = fill(session, "photos", &lumina_sets::photo(20_000, 3)),
        |session| submit(session, "photos", 5),
    );
}

#[test]
fn the_disk_is_full() {
    let cluster = Cluster::start_with(&[("autovacuum", "off")]);
    let Some(disk) = Disk::mount(cluster.socket_folder().join("small")) else {
        return say("skipped: the disk that is full: no file system can be mounted here");
    };
    let mut session = cluster.connect();
    fill(&mut session, "photos", &lumina_sets::photo(20_000, 3));
    let job = submit(&mut session, "photos", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let before = result(&mut session, "photos");
    session.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder().display())).unwrap();
    for table in ["duplicate_groups", "duplicate_members"] {
        session.batch_execute(&format!("ALTER TABLE lumina.{table} SET TABLESPACE small")).unwrap();
    }
    let room: Vec<u64> = (0..6).map(|round| round * 40_960).collect();
    for bytes in room {
        disk.leave(bytes);
        let job = submit(&mut session, "photos", 4);
        assert_eq!(wait_for_end(&mut session, job), "failed", "{bytes} bytes left");
        assert_disk_full(&mut session, job);
        assert_eq!(result(&mut session, "photos"), before, "{bytes} bytes left");
        assert_eq!(leftovers(&mut session), [""; 0], "{bytes} bytes left");
    }
    disk.leave(32 << 20);
    let failed: i64 = session.query_one("SELECT max(id) FROM lumina.jobs", &[]).unwrap().get(0);
    let job: i64 = session.query_one("SELECT lumina.retry_job($1)", &[&failed]).unwrap().get(0);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_ne!(result(&mut session, "photos"), before);
}
