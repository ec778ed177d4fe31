//! Files and directories that are swapped, replaced, written, truncated and removed during imports, over and over.

use super::{count, world};
use lumina_cluster::Random;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::photos::{Folder, import, items, jpeg, png, sha256, submit_import, wait_for_state, with_segment};
use lumina_cluster::postgres::Client;
use lumina_cluster::report::say;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{File, rename};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that repeats something until it is dropped.
struct Churn {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Churn {
    fn start(mut once: impl FnMut(&mut Random) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut random = Random(11);
            while !told.load(Ordering::Relaxed) {
                once(&mut random);
            }
        });
        Churn { stop, thread: Some(thread) }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || ended.is_ok(), "a thread that changes files has failed");
    }
}

/// Every checksum in the catalog or in an import, with the file's path.
fn sums(session: &mut Client) -> Vec<(Vec<u8>, String)> {
    let read = "SELECT t.sha256, t.path FROM lumina.import_items t WHERE t.sha256 IS NOT NULL
        UNION SELECT i.sha256, f.path FROM lumina.images i JOIN lumina.image_files f ON f.image = i.id
        UNION SELECT i.sha256, '' FROM lumina.images i";
    session.query(read, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// How often each state of each file occurred.
type Met = BTreeMap<String, BTreeMap<String, usize>>;

/// Imports, at least `least` times and until `enough`; every job must succeed.
fn again_and_again(session: &mut Client, folder: &Path, least: usize, enough: impl Fn(&Met) -> bool) -> Met {
    let mut met = Met::new();
    for round in 0.. {
        if round >= least && enough(&met) {
            say(&format!("{round} imports"));
            return met;
        }
        assert!(round < 400, "not all that should be met was: {met:?}");
        let job = import(session, "photos", folder);
        for (name, item) in items(session, job, folder) {
            *met.entry(name).or_default().entry(item).or_default() += 1;
        }
    }
    unreachable!("the loop returns")
}

fn has_met(met: &Met, name: &str, item: &str) -> bool {
    met.get(name).is_some_and(|items| items.contains_key(item))
}

/// A directory and a link to one outside, a file and a link to one outside, alternate under their names.
#[test]
fn links_that_are_swapped_in() {
    let (folder, outside) = (Folder::default(), Folder::default());
    let mut secrets = HashSet::new();
    for (seed, name) in (100..).zip(["p.jpg", "sub/p.jpg", "sub/deep/p.jpg", "only outside.jpg"]) {
        secrets.insert(sha256(&std::fs::read(outside.put(name, jpeg(seed, 100, 80))).unwrap()));
    }
    for (seed, name) in (1..).zip(["d/p.jpg", "d/sub/p.jpg", "d/sub/deep/p.jpg", "f.jpg", "z.jpg"]) {
        folder.put(name, jpeg(seed, 100, 80));
    }
    // The intermediate names are hidden, and so skipped.
    symlink(outside.path(), folder.at(".link")).unwrap();
    symlink(outside.at("p.jpg"), folder.at(".f")).unwrap();
    let [d, link, away, f, f_link, f_away] =
        ["d", ".link", ".away", "f.jpg", ".f", ".f away"].map(|name| folder.at(name));
    let swap = |here: PathBuf, link: PathBuf, away: PathBuf| {
        Churn::start(move |random| {
            rename(&here, &away).unwrap();
            rename(&link, &here).unwrap();
            std::thread::sleep(Duration::from_micros(random.below(300)));
            rename(&here, &link).unwrap();
            rename(&away, &here).unwrap();
            std::thread::sleep(Duration::from_micros(random.below(300)));
        })
    };
    let (_cluster, mut session) = world(folder.text());
    let churns = [swap(d, link, away), swap(f, f_link, f_away)];
    let met = again_and_again(&mut session, folder.path(), 30, |met| {
        has_met(met, "d", "skipped symbolic_link")
            && has_met(met, "f.jpg", "skipped symbolic_link")
            && met
                .get("d/sub/deep/p.jpg")
                .is_some_and(|items| items.keys().any(|item| item == "imported" || item == "skipped unchanged"))
            && met
                .get("f.jpg")
                .is_some_and(|items| items.keys().any(|item| item == "imported" || item == "skipped unchanged"))
    });
    drop(churns);
    assert!(!met.contains_key("d/only outside.jpg"), "{met:?}");
    let known = [
        "imported",
        "imported copy",
        "imported same_content",
        "skipped unchanged",
        "skipped symbolic_link",
        "failed vanished",
        "failed replaced",
    ];
    for (name, items) in &met {
        assert!(
            items
                .keys()
                .all(|item| known.contains(&item.as_str()) || name.starts_with('.') && item == "skipped hidden"),
            "{name}: {items:?}"
        );
    }
    let sums = sums(&mut session);
    assert!(sums.len() > 5, "the test tests nothing");
    assert!(sums.iter().all(|(sum, _)| !secrets.contains(sum)), "something from outside is in the catalog");
    assert_eq!(
        met["z.jpg"].keys().collect::<BTreeSet<_>>(),
        ["imported", "skipped unchanged"].map(String::from).iter().collect()
    );
}

const PAGE: usize = 4096;

/// The catalog never holds a mixture: each checksum is that of a whole content that existed at some moment.
#[test]
fn files_that_change_while_they_are_read() {
    let folder = Folder::default();
    let mut legal: HashMap<String, HashSet<Vec<u8>>> = HashMap::new();
    let mut allow = |name: &str, bytes: &[u8]| {
        legal.entry(folder.at(name).to_str().unwrap().to_owned()).or_default().insert(sha256(bytes))
    };

    // One that another is renamed onto, and one that comes and goes.
    let versions: Vec<Vec<u8>> =
        (0..8).map(|seed| [jpeg(seed, 300, 200), vec![seed as u8; 300_000]].concat()).collect();
    for version in &versions[..6] {
        allow("replaced.jpg", version);
    }
    folder.put("replaced.jpg", &versions[0]);
    folder.put("vanishing.jpg", &versions[6]);
    allow("vanishing.jpg", &versions[6]);

    // One that grows by a page at a time, and is truncated anywhere.
    let mut whole = jpeg(20, 900, 700);
    whole.resize((whole.len().div_ceil(PAGE) + 40) * PAGE, 9);
    for pages in 1..=whole.len() / PAGE {
        allow("sized.jpg", &whole[..pages * PAGE]);
    }
    folder.put("sized.jpg", &whole);

    // One that is written near its beginning, and then at its end: an aligned word, so that it is old or new.
    const STATES: u64 = 32;
    let base = with_segment(&jpeg(30, 300, 200), 0xfe, &[0; 64]);
    let state = |first: u64, last: u64| {
        let mut bytes = base.clone();
        bytes.resize(4 << 20, 5);
        bytes[16..24].copy_from_slice(&first.to_le_bytes());
        let end = bytes.len() - 8;
        bytes[end..].copy_from_slice(&last.to_le_bytes());
        bytes
    };
    for number in 0..STATES {
        allow("written.jpg", &state(number, number));
        allow("written.jpg", &state(number, (number + STATES - 1) % STATES));
    }
    folder.put("written.jpg", state(0, 0));
    folder.put("quiet.jpg", &versions[7]);
    allow("quiet.jpg", &versions[7]);

    let (_cluster, mut session) = world(folder.text());
    let pause = |random: &mut Random, most: u64| std::thread::sleep(Duration::from_micros(random.below(most)));
    let (new, replaced) = (folder.at(".new"), folder.at("replaced.jpg"));
    let (hidden, vanishing) = (folder.at(".vanished"), folder.at("vanishing.jpg"));
    let (sized, written) = (folder.at("sized.jpg"), folder.at("written.jpg"));
    let mut number = 0;
    let churns = [
        Churn::start(move |random| {
            std::fs::write(&new, &versions[random.below(6) as usize]).unwrap();
            rename(&new, &replaced).unwrap();
            pause(random, 6000);
        }),
        Churn::start(move |random| {
            rename(&vanishing, &hidden).unwrap();
            pause(random, 4000);
            rename(&hidden, &vanishing).unwrap();
            pause(random, 4000);
        }),
        Churn::start(move |random| {
            let mut file = File::options().append(true).open(&sized).unwrap();
            let mut pages = 1 + random.below((whole.len() / PAGE) as u64 - 1) as usize;
            file.set_len((pages * PAGE) as u64).unwrap();
            while pages * PAGE < whole.len() {
                file.write_all(&whole[pages * PAGE..(pages + 1) * PAGE]).unwrap();
                pages += 1;
                pause(random, 400);
            }
            pause(random, 9000);
        }),
        Churn::start(move |random| {
            let file = File::options().write(true).open(&written).unwrap();
            for _ in 0..random.below(60) {
                number = (number + 1) % STATES;
                file.write_all_at(&number.to_le_bytes(), 16).unwrap();
                file.write_all_at(&number.to_le_bytes(), (4 << 20) - 8).unwrap();
                if random.below(3) == 0 {
                    std::thread::yield_now();
                }
            }
            pause(random, 30_000);
        }),
    ];
    let met = again_and_again(&mut session, folder.path(), 40, |met| {
        ["sized.jpg", "written.jpg"].iter().all(|name| has_met(met, name, "failed changed_while_read"))
            && ["replaced.jpg", "written.jpg", "vanishing.jpg"].iter().all(|name| has_met(met, name, "imported"))
            && ["sized.jpg"].iter().all(|name| met[*name].keys().any(|item| item.starts_with("imported")))
    });
    drop(churns);
    say(&format!("{met:?}"));
    let known = [
        "imported",
        "imported copy",
        "imported same_content",
        "imported truncated",
        "skipped unchanged",
        "skipped hidden",
        "failed vanished",
        "failed changed_while_read",
    ];
    for (name, items) in &met {
        assert!(items.keys().all(|item| known.contains(&item.as_str())), "{name}: {items:?}");
    }
    let all: HashSet<&Vec<u8>> = legal.values().flatten().collect();
    for (sum, path) in sums(&mut session) {
        let known = if path.is_empty() { all.contains(&sum) } else { legal[&path].contains(&sum) };
        assert!(known, "a content of {path:?} was never there");
    }
    // Afterwards, one more import makes the tables consistent.
    import(&mut session, "photos", folder.path());
    let rows = session
        .query(
            "SELECT f.path, i.sha256 FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image
                WHERE f.missing_since IS NULL",
            &[],
        )
        .unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        assert_eq!(
            sha256(&std::fs::read(row.get::<_, &str>(0)).unwrap()),
            row.get::<_, Vec<u8>>(1),
            "{}",
            row.get::<_, &str>(0)
        );
    }
}

/// Of two equal files that are too large to be visited beside others, the first waits to be decoded, and the second for
/// that. The first file's later fate does not affect the second.
#[test]
fn a_file_whose_twin_goes_or_changes() {
    let folder = Folder::default();
    for (seed, name) in [(1, "gone"), (2, "changed")] {
        let large = png(seed, 2000, 1500);
        folder.put(format!("1 {name}.png"), &large);
        folder.put(format!("3 {name}.png"), &large);
    }
    // More than one batch.
    let photo = jpeg(3, 1200, 1000);
    for n in 0..320_usize {
        folder.put(format!("{} {n}.jpg", if n < 10 { 2 } else { 4 }), [photo.as_slice(), &n.to_le_bytes()].concat());
    }
    let other = png(4, 2000, 1500);
    let (_cluster, mut session) = world(folder.text());
    session.batch_execute("SET lumina.import_memory = '16MB'; SET lumina.import_threads = 2").unwrap();
    let job = submit_import(&mut session, "photos", folder.path());
    wait_until("something is imported", || count(&mut session, "lumina.images") > 0);
    let done = count(&mut session, "lumina.import_items WHERE path LIKE '%.png' AND state <> 'found'");
    assert_eq!(done, 0, "the large ones are looked at last");
    std::fs::remove_file(folder.at("1 gone.png")).unwrap();
    folder.put("1 changed.png", other);
    wait_for_state(&mut session, job, "succeeded");
    let found = items(&mut session, job, folder.path());
    let large: Vec<(&str, &str)> = found
        .iter()
        .filter(|(name, _)| name.ends_with(".png"))
        .map(|(name, item)| (name.as_str(), item.as_str()))
        .collect();
    let expected = [
        ("1 changed.png", "imported"),
        ("1 gone.png", "failed vanished"),
        ("3 changed.png", "imported"),
        ("3 gone.png", "imported"),
    ];
    assert_eq!(large, expected);
    assert_eq!(count(&mut session, "lumina.images"), 323);
    let wrong = sums(&mut session).into_iter().filter(|(_, path)| !path.is_empty() && !path.ends_with("1 gone.png"));
    let wrong: Vec<String> =
        wrong.filter(|(sum, path)| sha256(&std::fs::read(path).unwrap()) != *sum).map(|(_, path)| path).collect();
    assert_eq!(wrong, [""; 0]);
}
