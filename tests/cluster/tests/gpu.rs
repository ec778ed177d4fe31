//! Bulk search on a GPU, inside Postgres, on the stand-in for the driver.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use lumina_cluster::Cluster;
use lumina_cluster::gpu::Card;

fn with_hashes(cluster: &Cluster) {
    cluster.sql(
        "postgres",
        "CREATE EXTENSION lumina;
         CREATE TABLE photos (id bigint PRIMARY KEY, pdq phash(256));
         INSERT INTO photos SELECT n, sha256(int8send(n / 3))::phash FROM generate_series(1, 600) n",
    );
}

/// The process is started for the first search, and finds what the CPU finds.
#[test]
fn it_is_used() {
    let card = Card::new("");
    let cluster = card.server(&[]);
    with_hashes(&cluster);
    let pairs = |device: &str| {
        let script = format!(
            "SET lumina.device = {device};
             SELECT * FROM phash_pairs('SELECT id, pdq FROM photos', 120) ORDER BY a, b"
        );
        cluster.sql("postgres", &script)
    };
    assert_eq!(cluster.sql("postgres", "SELECT state FROM lumina.gpu_info()").trim(), "not tried");
    let found = pairs("cuda");
    assert_eq!(found, pairs("cpu"));
    assert!(found.lines().count() > 600);
    let info = "SELECT state, name, searches, failures FROM lumina.gpu_info()";
    assert_eq!(cluster.sql("postgres", info).trim(), "running|stand-in|1|0");
}
