//! Import of real pictures: the wallpapers that `scripts/wallpapers` has fetched, if it has.

use lumina_cluster::Cluster;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Prints the photographs per second of a first import, and how much faster the second one is.
pub(crate) fn print(runs: usize) {
    let Some(folder) = wallpapers() else {
        println!("\nImport: skipped, there are no wallpapers; scripts/wallpapers fetches them.");
        return;
    };
    let roots = folder.to_str().expect("a path in UTF-8");
    let cluster = Cluster::start_with(&[("lumina.import_roots", roots)]);
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    let (mut firsts, mut seconds, mut images) = (Vec::new(), Vec::new(), 0);
    for run in 0..runs.max(1) {
        cluster.sql("postgres", &format!("SELECT lumina.create_catalog('{run}')"));
        firsts.push(import(&cluster, run, &folder));
        seconds.push(import(&cluster, run, &folder));
        let count = format!("SELECT count(*) FROM lumina.images WHERE catalog = {}", run + 1);
        images = cluster.connect().query_one(&count, &[]).expect("a count").get::<_, i64>(0);
    }
    firsts.sort();
    seconds.sort();
    let (first, second) = (firsts[firsts.len() / 2].as_secs_f64(), seconds[seconds.len() / 2].as_secs_f64());
    println!("\n| import of {images} wallpapers, warm | s | images/s |\n|---|---|---|");
    println!("| the first time | {first:.2} | {:.0} |", images as f64 / first);
    println!("| once more, nothing having changed | {second:.2} | {:.0} times as fast |", first / second);
}

/// The duration of one import, from its submission to its end.
fn import(cluster: &Cluster, catalog: usize, folder: &Path) -> Duration {
    let mut session = cluster.connect();
    let began = Instant::now();
    let submit = "SELECT lumina.import($1, $2)";
    let path = folder.to_str().expect("a path in UTF-8");
    let job: i64 = session.query_one(submit, &[&catalog.to_string(), &path]).expect("a job").get(0);
    session
        .batch_execute(&format!("SET client_min_messages = warning; CALL lumina.wait_for_job({job})"))
        .expect("it succeeds");
    began.elapsed()
}

fn wallpapers() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("LUMINA_HOME")?);
    Some(home.join("wallpapers")).filter(|folder| folder.is_dir())
}
