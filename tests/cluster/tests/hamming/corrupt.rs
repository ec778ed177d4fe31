//! Damaged files: bytes changed, pages zeroed, exchanged, truncated. A reader reports the block and the index, and a
//! hint to REINDEX; or it finds what a sequential scan finds, because it does not read the damage. Never less, never a
//! crash.

use super::world::{
    Hashes, ScanKind, Search, assert_well, check, compare_all, compare_some, copy, each, fill, value, world, world_with,
};
use lumina_cluster::postgres::{Client, Error};
use lumina_cluster::{Cluster, Random, Shutdown};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PAGE: usize = 8192;
/// The offset of the kind in a page: see `lumina_index::page`.
const KIND: usize = PAGE - 6;
const VERSION: usize = PAGE - 2;

/// The kinds of pages, with their numbers in the file.
const KINDS: [(&str, u8); 6] =
    [("meta", 1), ("staging", 2), ("staged NULLs", 3), ("run", 4), ("leaf", 5), ("fence", 6)];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// One bit of one byte of ours.
    Bit,
    /// A few bytes.
    Bytes,
    /// One byte of Postgres's page header, after the LSN.
    Header,
    Zeros,
    Noise,
    Version,
    /// A torn write: the second half is missing.
    Torn,
    /// Exchanged with another page, of its kind or not.
    Exchanged,
    /// Overwritten with another page.
    Overwritten,
    /// The file is truncated here.
    CutOff,
}

use Damage::{Bit, Bytes, CutOff, Exchanged, Header, Noise, Overwritten, Torn, Version, Zeros};

/// Damages a page of some kind. Returns the damaged blocks; none if there is no such page.
fn damage(file: &mut Vec<u8>, kind: u8, how: Damage, random: &mut Random) -> Vec<usize> {
    let blocks = file.len() / PAGE;
    let of_kind = |file: &[u8], kind| (0..blocks).filter(|block| file[block * PAGE + KIND] == kind).collect::<Vec<_>>();
    let some = of_kind(file, kind);
    if some.is_empty() {
        return vec![];
    }
    let block = some[random.below(some.len() as u64) as usize];
    let at = block * PAGE;
    let other = |file: &[u8], random: &mut Random| {
        let same: Vec<usize> = of_kind(file, kind).into_iter().filter(|other| *other != block).collect();
        if same.is_empty() { (block + 1) % blocks } else { same[random.below(same.len() as u64) as usize] }
    };
    match how {
        Bit => {
            // Where data is stored: between the entries there is nothing to damage; a change there is found, too.
            let byte = 24 + random.below((PAGE - 24) as u64) as usize;
            file[at + byte] ^= 1 << random.below(8);
        }
        Bytes => {
            for _ in 0..4 {
                file[at + 24 + random.below((PAGE - 24) as u64) as usize] ^= 1 + random.below(255) as u8;
            }
        }
        Header => file[at + 8 + random.below(16) as usize] ^= 1 << random.below(8),
        Zeros => file[at..at + PAGE].fill(0),
        Noise => file[at..at + PAGE].iter_mut().for_each(|byte| *byte = random.next() as u8),
        Version => file[at + VERSION] = 9,
        Torn => {
            if file[at + PAGE / 2..at + PAGE].iter().all(|byte| *byte == 0) {
                return vec![];
            }
            file[at + PAGE / 2..at + PAGE].fill(0);
        }
        Exchanged | Overwritten => {
            let other = other(file, random);
            let copy = file[other * PAGE..(other + 1) * PAGE].to_vec();
            if how == Exchanged {
                file.copy_within(at..at + PAGE, other * PAGE);
                file[at..at + PAGE].copy_from_slice(&copy);
                return vec![block, other];
            }
            file[at..at + PAGE].copy_from_slice(&copy);
        }
        CutOff => {
            file.truncate(at);
            return (block..blocks).collect();
        }
    }
    vec![block]
}

/// Asserts that an error reports a damaged page: block, index, hint.
fn assert_told(error: &Error, index: &str, blocks: &[usize], what: &str) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{what}: {error:?}"));
    let (message, hint) = (error.message(), error.hint().unwrap_or_default());
    let told = format!("{} {message} HINT {hint}", error.code().code());
    if error.code().code() == "XX001" {
        // Postgres's own check of the header, or of the file's length, comes first.
        assert!(
            message.contains("invalid page in block") || message.contains("could not read block"),
            "{what}: {told}"
        );
        return;
    }
    if message.contains("format 9") {
        assert!(
            error.code().code() == "XX002" && message.contains(index) && hint.contains("REINDEX"),
            "{what}: {told}"
        );
        return;
    }
    let is_named = blocks.iter().any(|block| {
        message.contains(&format!("block {block} "))
            || message.contains(&format!("block {block}:"))
            || message.ends_with(&format!("block {block}"))
    });
    let detail = error.detail().unwrap_or_default();
    assert!(error.code().code() == "XX002" && message.contains(index) && hint.contains("REINDEX"), "{what}: {told}");
    assert!(
        is_named || blocks.iter().any(|block| detail.contains(&format!("lock {block}"))),
        "{what}, blocks {blocks:?}: {told} {detail}"
    );
}

/// Compares, unless the server reports a damaged page. Returns whether it did.
fn look(session: &mut Client, search: &Search, kind: ScanKind, index: &str, blocks: &[usize], what: &str) -> bool {
    match search.try_compare(session, kind) {
        Ok(_) => false,
        Err(error) => {
            assert_told(&error, index, blocks, &format!("{what}: search"));
            true
        }
    }
}

struct Patient {
    table: String,
    bits: usize,
    what: String,
    how: Damage,
    blocks: Vec<usize>,
}

/// Damages many indexes of a stopped server: one in `share` of all kinds of damage.
fn infect(cluster: &Cluster, session: &mut Client, seed: u64, share: usize) -> Vec<Patient> {
    let mut random = Random(seed);
    let mut patients = Vec::new();
    let mut plans = Vec::new();
    for (name, kind) in KINDS {
        for how in [Bit, Bytes, Header, Zeros, Noise, Version, Torn, Exchanged, Overwritten, CutOff] {
            plans.push((name, kind, how));
        }
    }
    for (number, (name, kind, how)) in plans.into_iter().enumerate().step_by(share) {
        // Every second one has wide hashes.
        let (table, bits) = (format!("p{number}"), if number % 2 == 0 { 64 } else { 256 });
        let template = format!("template{bits}");
        each(
            session,
            &format!(
                "CREATE TABLE {table} (LIKE {template} INCLUDING INDEXES);
                INSERT INTO {table} SELECT * FROM {template} WHERE id < 10000"
            ),
        );
        each(
            session,
            &format!("DROP INDEX {table}_h_idx; CREATE INDEX {table}_h ON {table} USING hamming (h) WITH (bands = 4)"),
        );
        each(
            session,
            &format!(
                "INSERT INTO {table} SELECT * FROM {template} WHERE id >= 10000; DELETE FROM {table} WHERE id % 5 = 0"
            ),
        );
        let path = value(session, &format!("SELECT pg_relation_filepath('{table}_h')"));
        patients.push((Patient { table, bits, what: format!("{how:?} of {name}"), how, blocks: vec![] }, kind, path));
    }
    each(session, "CHECKPOINT");
    cluster.stop(Shutdown::Fast);
    let mut infected = Vec::new();
    for (mut patient, kind, path) in patients {
        let path = cluster.data().join(Path::new(&path));
        let mut file = std::fs::read(&path).unwrap();
        patient.blocks = damage(&mut file, kind, patient.how, &mut random);
        std::fs::write(&path, &file).unwrap();
        patient.what =
            format!("{} (seed {seed}) in block {:?} of {}", patient.what, patient.blocks.first(), patient.table);
        if !patient.blocks.is_empty() {
            infected.push(patient);
        }
    }
    cluster.restart();
    infected
}

#[test]
fn damage_is_told() {
    let (cluster, _) = world();
    cluster.disable_checksums();
    let mut session = cluster.connect();
    assert_eq!(value(&mut session, "SELECT current_setting('data_checksums')"), "off");
    suffer(&cluster, session, 1);
}

/// If Postgres verifies page checksums, searches do not.
#[test]
fn damage_is_told_with_checksums() {
    let (cluster, _) = world();
    cluster.enable_checksums();
    let mut session = cluster.connect();
    assert_eq!(value(&mut session, "SELECT current_setting('data_checksums')"), "on");
    suffer(&cluster, session, 7);
}

/// Without data checksums a session verifies a page when it reads it in, and when it finds it in another buffer: damage
/// under a running server is reported by a session that has used the page before, by one that never has, and again by
/// both.
#[test]
fn damage_is_told_while_the_server_runs() {
    let (cluster, _) = world_with(&[("shared_buffers", "1MB")]);
    cluster.disable_checksums();
    let mut used = cluster.connect();
    let mut hashes = Hashes::new(64, 94);
    fill(&mut used, "t", &mut hashes, 20_000);
    fill(&mut used, "other", &mut Hashes::new(64, 95), 20_000);
    each(&mut used, "CREATE INDEX t_h ON t USING hamming (h); CREATE INDEX other_h ON other USING hamming (h)");
    compare_some(&mut used, "t", 64, &mut hashes);
    // The whole index, which is larger than the buffers: no dirty page of it stays there.
    each(&mut used, "CHECKPOINT");
    compare_all(&mut used, "other", &hashes.center());
    let path = cluster.data().join(value(&mut used, "SELECT pg_relation_filepath('t_h')"));
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut blocks = Vec::new();
    for block in 0..file.metadata().unwrap().len() as usize / PAGE {
        let mut page = [0; PAGE];
        file.read_exact_at(&mut page, (block * PAGE) as u64).unwrap();
        if page[KIND] == 5 {
            // A bit of an entry: only the checksum detects it.
            page[24 + block % 64] ^= 1 << (block % 8);
            file.write_all_at(&page, (block * PAGE) as u64).unwrap();
            blocks.push(block);
        }
    }
    for _ in 0..3 {
        let search = Search::ball("t", &hashes.center(), 5);
        for session in [&mut used, &mut cluster.connect(), &mut cluster.connect()] {
            for kind in [ScanKind::Index, ScanKind::Bitmap, ScanKind::Index] {
                assert!(look(session, &search, kind, "t_h", &blocks, "while the server runs"), "{kind:?}: {search:?}");
            }
        }
    }
    each(&mut used, "REINDEX INDEX t_h");
    check(&mut used, "t_h");
    compare_some(&mut used, "t", 64, &mut hashes);
    assert_well(&cluster);
}

fn suffer(cluster: &Cluster, mut session: Client, share: usize) {
    for bits in [64, 256] {
        fill(&mut session, &format!("template{bits}"), &mut Hashes::new(bits, 91), 2500);
        copy(&mut session, &format!("template{bits}"), &Hashes::new(bits, 92).rows(10_000, 1200));
        each(&mut session, &format!("CREATE INDEX template_{bits} ON template{bits} USING hamming (h)"));
    }
    let seed = lumina_cluster::report::number("LUMINA_SEED", 1);
    let patients = infect(cluster, &mut session, seed, share);
    assert!(patients.len() * share > 50, "{}", patients.len());
    let mut session = cluster.connect();
    let mut told = 0;
    for Patient { table, bits, what, how, blocks } in &patients {
        let (table, bits, index) = (table.as_str(), *bits, format!("{table}_h"));
        let mut hashes = Hashes::new(bits, 93);
        hashes.rows(0, 200);
        let mut was_told = false;
        for radius in [1, 5, bits / 2] {
            let search = Search::ball(table, &hashes.center(), radius);
            was_told |= look(&mut session, &search, ScanKind::Index, &index, blocks, what);
            was_told |= look(&mut session, &search, ScanKind::Bitmap, &index, blocks, what);
            let search = Search::nearest(table, &hashes.center(), (radius == 5).then_some(10));
            was_told |= look(&mut session, &search, ScanKind::Index, &index, blocks, what);
        }
        // A writing session reports the same, or has succeeded.
        for statement in [
            format!("INSERT INTO {table} SELECT id + 100000000, h, n FROM {table} WHERE id % 100 = 1"),
            format!("VACUUM {table}"),
            format!("SELECT hamming_index_merge('{index}')"),
            format!("SELECT * FROM hamming_index_stats('{index}')"),
        ] {
            if let Err(error) = session.batch_execute(&statement) {
                assert_told(&error, &index, blocks, &format!("{what}: {statement}"));
                was_told = true;
            }
        }
        let search = Search::nearest(table, &hashes.center(), None);
        was_told |= look(&mut session, &search, ScanKind::Index, &index, blocks, what);
        match session.batch_execute(&format!("SELECT hamming_index_check('{index}', true)")) {
            Err(error) => {
                assert_told(&error, &index, blocks, &format!("{what}: check"));
                was_told = true;
            }
            // Postgres's header may contain anything that Postgres can read. A merge may have replaced the damaged page
            // without needing it.
            Ok(()) => assert!(*how == Header || was_told, "the check has not found {what}"),
        }
        told += usize::from(was_told);
        each(&mut session, &format!("REINDEX INDEX {index}"));
        check(&mut session, &index);
        compare_some(&mut session, table, bits, &mut hashes);
        each(&mut session, &format!("DROP TABLE {table}"));
    }
    lumina_cluster::report::say(&format!("{} indexes damaged, {told} told, all mended", patients.len()));
    assert_well(cluster);
}
