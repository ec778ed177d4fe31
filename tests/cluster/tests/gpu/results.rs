//! Results on every kind of device equal the CPU's.

use super::{AUTO, COLUMNS, LARGE, MANY, SEARCH, digest, info, make_fast, server, sum};
use lumina_cluster::gpu::Card;

/// Columns, and radii for each.
fn cases() -> Vec<(Vec<usize>, Vec<i32>)> {
    let mut cases = Vec::new();
    let single: [&[i32]; 6] = [&[0, 3, 8], &[0, 5, 10, 20, 64], &[0, 12, 40], &[0, 9, 70], &[0, 31, 90], &[0, 128]];
    for (column, radii) in single.into_iter().enumerate() {
        cases.extend(radii.iter().map(|radius| (vec![column], vec![*radius])));
    }
    cases.push((vec![1, 0], vec![5, 3]));
    cases.push((vec![0, 1], vec![8, 31]));
    cases.push((vec![3, 1], vec![192, 2]));
    cases.push((vec![4, 1, 3], vec![31, 10, 20]));
    cases.push((vec![5, 4, 3, 2, 1, 0], vec![128, 32, 30, 20, 8, 1]));
    cases.push((vec![1, 1, 1, 1, 1, 1, 1, 1], vec![20, 12, 64, 30, 64, 64, 15, 18]));
    cases
}

/// Every width, several columns, one set and two, groups; a matrix kernel for bits, one for bytes, and none.
#[test]
fn the_rows_of_the_cpu() {
    for (capability, rows) in [("9.0", 350), ("7.5", 200), ("12.0", 250)] {
        let card = Card::new(&format!("capability {capability}"));
        let cluster = server(&card, &[], rows);
        let mut session = cluster.connect();
        for (columns, radii) in cases() {
            let select = |rest: &str| {
                let names: Vec<&str> = columns.iter().map(|column| COLUMNS[*column].0).collect();
                format!("SELECT id, {} FROM hashes {rest}", names.join(", "))
            };
            let (all, some, others) =
                (select("ORDER BY random()"), select("WHERE id % 3 > 0"), select("WHERE id % 2 = 0"));
            let mut calls = vec![
                format!("phash_pairs('{all}', ARRAY{radii:?})"),
                format!("phash_matches('{some}', '{others}', ARRAY{radii:?})"),
            ];
            let strategies = ["clique", "star", "component"].into_iter().take(if capability == "9.0" { 3 } else { 0 });
            calls.extend(strategies.map(|strategy| format!("phash_groups('{all}', ARRAY{radii:?}, '{strategy}')")));
            for call in calls {
                let mut rows = |device: &str| -> String {
                    session.batch_execute(&format!("SET lumina.device = {device}")).unwrap();
                    session.query_one(&sum(&call), &[]).unwrap().get(0)
                };
                assert_eq!(rows("cuda"), rows("cpu"), "{capability}: {call}");
            }
        }
        // All of them were searched there.
        let searches: usize = info(&cluster, "searches").parse().unwrap();
        assert!(searches >= cases().len() * 2 && info(&cluster, "failures") == "0", "{searches}");
        assert!(card.report_now("", "end", || _ = digest(&cluster, "cuda", SEARCH)).faults.is_empty());
    }
}

/// Searches for which bands are cheaper: one and several columns, bands across words, of the first and the last column.
#[test]
fn bands() {
    let card = Card::new("");
    let cluster = server(&card, &[], 10);
    cluster.sql("postgres", MANY);
    for (columns, radii, rows, driving, count) in [
        ("h64", "1", 9000, 1, 1),
        ("h256", "0", 9000, 1, 1),
        ("h64", "2", 20_000, 1, 2),
        ("h64, h256", "ARRAY[2, 9]", 20_000, 1, 2),
        ("far, h64", "ARRAY[9, 2]", 20_000, 2, 2),
    ] {
        let search = format!("('SELECT id, {columns} FROM many ORDER BY id LIMIT {rows}', {radii})");
        let plan = format!(
            "SET lumina.device = cuda;
             SELECT method, device, hash_column, cardinality(widths) FROM phash_plan{search}"
        );
        assert_eq!(cluster.sql("postgres", &plan).trim(), format!("bands|cuda|{driving}|{count}"), "{search}");
        let call = format!("phash_pairs{search}");
        let found = digest(&cluster, "cuda", &call);
        assert_eq!(found, digest(&cluster, "cpu", &call), "{call}");
        assert!(!found.starts_with("0 "), "{found}");
    }
    assert_eq!(info(&cluster, "failures"), "0");
}

/// `auto` compares both devices by the measured rate, and `cpu` never asks.
#[test]
fn the_plan_decides() {
    let card = Card::new("");
    let cluster = server(&card, &[], 3000);
    let device = |setting: &str, call: &str| {
        let script = format!("SET lumina.device = {setting}; SELECT device FROM {call}");
        cluster.sql("postgres", &script).trim().to_owned()
    };
    let (small, large) = ("phash_plan('SELECT id, h64 FROM hashes', 0)", &*format!("phash_plan({LARGE})"));
    // No attempt yet: a search of milliseconds does not pay for the start.
    assert_eq!((device(AUTO, large), device("cpu", large)), ("cpu".into(), "cpu".into()));
    assert_eq!(info(&cluster, "state"), "not tried");
    assert_eq!(device("cuda", small), "cuda");
    // An interpreter is slower than this processor.
    assert_eq!(device(AUTO, large), "cpu");
    make_fast(&cluster);
    assert_eq!((device(AUTO, large), device(AUTO, small)), ("cuda".into(), "cpu".into()));
    let call = "phash_pairs('SELECT id, h1024 FROM hashes WHERE id < 900', 500)";
    assert_eq!(digest(&cluster, "auto", call), digest(&cluster, "cpu", call));
}

/// What the kernels do not support runs on the CPU, or is an error that says so.
#[test]
fn too_wide() {
    let card = Card::new("");
    let cluster = server(&card, &[], 20);
    let wide = "phash_pairs('SELECT id, (repeat(h1024::text, 2))::phash FROM hashes', 100)";
    assert_eq!(digest(&cluster, "auto", wide), digest(&cluster, "cpu", wide));
    let refused = cluster.psql("postgres", &["-q"], &format!("SET lumina.device = cuda; SELECT * FROM {wide}")).text;
    assert!(
        refused
            .contains("ERROR:  the GPU cannot be used: it searches at most 8 columns of hashes of at most 1024 bits")
    );
    // A search that does not fit the memory that is granted.
    let script = format!("SET lumina.device = cuda; SET lumina.search_memory = '4MB'; SELECT * FROM {SEARCH}");
    let refused = cluster.psql("postgres", &["-q", "-v", "VERBOSITY=verbose"], &script).text;
    assert!(refused.contains("ERROR:  53400: the search needs more than the 4096 kB of memory"), "{refused}");
}
