//! Pages that are neither in shared buffers nor in the system's cache: searches wait for them, and prefetch the next
//! ones. Only results are compared: `crates/index` tests what is prefetched, and when.

use super::world::{Hashes, check, compare_both, each, fill, some_searches, value, world_with};
use lumina_cluster::Cluster;
use lumina_cluster::installation::system_program;
use lumina_cluster::postgres::Client;

/// Evicts an index from the system's cache. Does nothing if its files are in memory anyway.
fn chill(cluster: &Cluster, session: &mut Client, index: &str) {
    let file = cluster.data().join(value(session, &format!("SELECT pg_relation_filepath('{index}')")));
    let file = file.display();
    let options = [&format!("of={file}"), "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
    let done = system_program("dd").args(options).stdin(std::process::Stdio::null()).status().unwrap();
    assert!(done.success(), "{file}");
}

#[test]
fn read_from_disk() {
    let (cluster, mut session) = world_with(&[("shared_buffers", "1MB"), ("temp_buffers", "800kB")]);
    let mut hashes = Hashes::new(256, 91);
    fill(&mut session, "t", &mut hashes, 20_000);
    each(
        &mut session,
        "CREATE INDEX t_h ON t USING hamming (h);
        CREATE TEMPORARY TABLE u AS SELECT * FROM t; CREATE INDEX u_h ON u USING hamming (h); CHECKPOINT",
    );
    for concurrency in [0, 1, 100] {
        each(&mut session, &format!("SET effective_io_concurrency = {concurrency}"));
        for table in ["t", "u"] {
            for search in some_searches(table, 256, &mut hashes) {
                chill(&cluster, &mut session, &format!("{table}_h"));
                compare_both(&mut session, &search);
            }
        }
    }
    check(&mut session, "t_h");
    check(&mut session, "u_h");
}
