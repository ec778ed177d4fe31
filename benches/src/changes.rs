//! Searches that go on from the one before, on the catalog of `pages.rs`: 1,000 new images, from submission to success.

use crate::pages::search;
use lumina_cluster::postgres::Client;

/// New images before each search, of which each fifth resembles one that is there.
const NEW: i64 = 1000;
/// Images of a statement, as an import writes them.
const BATCH: i64 = 200;
const RUNS: usize = 5;

/// Prints the table. The catalog is `large`, and was searched.
pub(crate) fn print(session: &mut Client) {
    println!("\n{NEW} new images in it, and a search that goes on from the one before; {RUNS} runs, in ms.\n");
    println!("| what | fastest | median |\n|---|---|---|");
    measure(session, "matched with all images");
    session.batch_execute("CREATE INDEX large_dhash ON lumina.images USING hamming (dhash)").expect("an index");
    measure(session, "looked up by an index of type hamming");
    session.batch_execute("DROP INDEX lumina.large_dhash; VACUUM").expect("no index");
}

fn measure(session: &mut Client, what: &str) {
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..RUNS {
        import(session);
        let (took, scope) = search(session, "auto");
        assert_eq!(scope, "changes", "all images were compared");
        times.push(took * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("| {what} | {:.0} | {:.0} |", times[0], times[RUNS / 2]);
}

/// Writes rows as an import does.
fn import(session: &mut Client) {
    let batch = format!(
        "WITH new AS (INSERT INTO lumina.images (catalog, sha256, size, format, width, height, ahash, dhash, dct, pdq,
                hash_valid)
            SELECT i.catalog, sha256(convert_to(random()::text, 'UTF8')), i.size, 'jpeg', 1000, 1000, h, h, h,
                i.pdq, true
            FROM (SELECT * FROM lumina.images WHERE id > (SELECT random() * 900000)
                    ORDER BY id LIMIT {BATCH}) i,
                LATERAL (SELECT CASE WHEN i.id % 5 = 0 THEN i.dhash
                    ELSE substr(md5(random()::text || i.id), 1, 16)::phash(64) END AS h) h
            RETURNING id, catalog)
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
            SELECT n.catalog, n.id, p.path, p.path FROM new n, LATERAL (SELECT format('/new/%s.jpg', n.id) AS path) p"
    );
    for _ in 0..NEW / BATCH {
        session.execute(&batch, &[]).expect("new images");
    }
}
