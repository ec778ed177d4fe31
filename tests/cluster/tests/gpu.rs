//! Bulk search on a GPU, inside Postgres, on the stand-in for the driver (`tests/libcuda`), which runs the PTX that
//! ships: the results equal the CPU's, whatever goes wrong.

mod faults;
mod life;
mod results;
mod storm;

use lumina_cluster::gpu::Card;
use lumina_cluster::{Cluster, Random};
use std::fmt::Write as _;

/// Hash columns of the table `hashes`: name and bits.
const COLUMNS: [(&str, usize); 6] =
    [("h8", 8), ("h64", 64), ("h128", 128), ("h192", 192), ("h256", 256), ("h1024", 1024)];

/// A server with a GPU, and a table of hashes: copies, near copies, popular values and NULLs among them.
fn server(card: &Card, settings: &[(&str, &str)], rows: usize) -> Cluster {
    let cluster = card.server(settings);
    let mut random = Random(20_261_127);
    let mut table: Vec<Vec<Vec<u8>>> = Vec::new();
    for row in 0..rows {
        let hashes = match row % 3 {
            1 => table[row - 1].iter().map(|hash| random.near(hash)).collect(),
            2 if random.below(4) == 0 => table[random.below(row as u64) as usize].clone(),
            _ => COLUMNS.iter().map(|(_, bits)| random.hash(bits / 8)).collect(),
        };
        table.push(hashes);
    }
    let columns: Vec<String> = COLUMNS.iter().map(|(name, bits)| format!("{name} phash({bits})")).collect();
    let mut script = format!(
        "CREATE EXTENSION lumina; CREATE TABLE hashes (id int PRIMARY KEY, {});\nCOPY hashes FROM STDIN;\n",
        columns.join(", ")
    );
    for (row, hashes) in table.iter().enumerate() {
        write!(script, "{row}").unwrap();
        for (column, hash) in hashes.iter().enumerate() {
            script.push('\t');
            match (row + column) % 97 {
                0 => script.push_str("\\N"),
                _ => hash.iter().for_each(|byte| write!(script, "{byte:02x}").unwrap()),
            }
        }
        script.push('\n');
    }
    script.push_str("\\.\nANALYZE hashes;\n");
    cluster.sql("postgres", &script);
    cluster
}

/// The result of a call on a device: a number of rows and a sum over all of them, after the server's messages.
fn digest(cluster: &Cluster, device: &str, call: &str) -> String {
    let script = format!("SET lumina.device = {device}; {}", sum(call));
    cluster.psql("postgres", &["-A", "-t", "-q"], &script).text.trim().to_owned()
}

/// The query of [`digest`].
fn sum(call: &str) -> String {
    format!("SELECT count(*) || ' ' || md5(coalesce(string_agg(r::text, '|' ORDER BY r::text), '')) FROM {call} r")
}

/// A search that takes the stand-in some hundred milliseconds.
const SEARCH: &str = "phash_pairs('SELECT id, h256 FROM hashes', 90)";
/// A query of which a search within 90 takes one thread some ten milliseconds, whatever instructions it has: enough to
/// pay for a device, and too little to pay for the start of its process.
const LARGE: &str = "'SELECT n AS id, sha256(int8send(n))::phash AS h FROM generate_series(1, 30000) n', 90";
/// Under `auto`, on a processor of one thread.
const AUTO: &str = "auto; SET lumina.search_threads = 1";
/// A table in which each second row is near the one before it: in bits anywhere of `h64` and `h256`, in several bits of
/// one word of `far`, where a band of another column does not find them.
const MANY: &str = "
    CREATE TABLE many AS SELECT n AS id, sha256(int8send(n / 2))::phash AS h256, NULL::phash AS far,
        substr(sha256(int8send(n / 2)), 1, 8)::phash AS h64 FROM generate_series(1, 20000) n;
    UPDATE many SET h64 = set_bit(h64::bytea, abs(hashint4(id) % 64), 1)::phash,
        h256 = set_bit(h256::bytea, abs(hashint4(id) % 256), 1)::phash,
        far = set_bit(set_bit(set_bit(set_bit(h256::bytea, abs(hashint4(id) % 64), 1), abs(hashint4(-id) % 64), 1),
            abs(hashint4(id + 100000) % 64), 1), abs(hashint4(-id - 100000) % 64), 1)::phash";

/// The notice of a statement that continued on the CPU.
const NOTICE: &str = "NOTICE:  the GPU has failed, the CPU searches instead: ";

/// Columns of `lumina.gpu_info()`.
fn info(cluster: &Cluster, columns: &str) -> String {
    cluster.sql("postgres", &format!("SELECT {columns} FROM lumina.gpu_info()")).trim().to_owned()
}

/// The GPU process; panics if there is none.
fn process(cluster: &Cluster) -> u32 {
    info(cluster, "process").parse().expect("the GPU process runs")
}

/// Makes the record claim a rate at which `auto` chooses the device.
fn make_fast(cluster: &Cluster) {
    let path = cluster.data().join("pg_stat_tmp/lumina_gpu.json");
    let record = std::fs::read_to_string(&path).unwrap();
    let rate = record.rfind("\"rate\":").unwrap() + "\"rate\":".len();
    std::fs::write(&path, format!("{}1e13}}}}", &record[..rate])).unwrap();
    assert_eq!(info(cluster, "pairs_per_second"), "10000000000000");
}

fn kill(pid: u32) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
