//! The SQL examples of the documentation, run as they stand: README.md, the pages of `docs/` and of `docker/`.
//!
//! Each page has a database, prepared by `tests/examples/<page>.sql`: the statements before its first `-- ## heading`,
//! then those of a heading before the first example below that heading. Each example is a psql session. All of its
//! statements have to succeed without a warning, and every query has to find something; where the page shows the output
//! in a block "```text" directly after the example, psql has to print exactly that, errors included.
//!
//! Marks before an example, which readers do not see, are in [`page::Mark`] and are reported. Only `skip` leaves one
//! out, and [`SKIPPED`] says how many there are. Paths of the pages are replaced by temporary folders; `\watch` is left
//! out, and reported.

mod page;

use crate::transcripts::pages_below;
use lumina_cluster::gpu::Card;
use lumina_cluster::photos::{Folder, encode, picture, with_orientation};
use lumina_cluster::{Cluster, Output, cluster::wait_until, report::say};
use page::{Example, Mark};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Pages with examples that are not run, and how many.
const SKIPPED: [(&str, usize); 0] = [];

/// The number of examples in all, at least: fewer means that they are not found.
const EXAMPLES: usize = 30;

/// psql's command that repeats a query until it is interrupted.
const WATCH: &str = "\\watch";

/// Roles that pages name. The extension does not create roles, so that they are in no page's preparation.
const ROLES: &str = "CREATE ROLE alice; CREATE ROLE curator; CREATE ROLE photographers;";

/// A server, and the folders that stand for those of the pages.
struct Server {
    cluster: Cluster,
    photos: Folder,
    archive: Folder,
    /// Where psql runs and leaves files.
    folder: Folder,
}

/// The outcome of a page.
#[derive(Debug, Default)]
struct Report {
    examples: usize,
    skipped: usize,
    marked: Vec<String>,
    failures: Vec<String>,
}

impl Server {
    fn new(cluster: Cluster) -> Self {
        let server =
            Server { cluster, photos: Folder::default(), archive: Folder::default(), folder: Folder::default() };
        let large = picture(1, 640, 480);
        let small = large.resize(320, 240, image::imageops::FilterType::Triangle);
        let jpeg = |picture| encode(picture, image::ImageFormat::Jpeg);
        server.photos.put("x.jpg", with_orientation(&jpeg(&large), 1));
        server.photos.put("small.jpg", jpeg(&small));
        server.photos.put("alice/copy.jpg", jpeg(&small));
        server.photos.put("other.jpg", jpeg(&picture(2, 640, 480)));
        server.cluster.sql("postgres", ROLES);
        server
    }

    /// A text of a page with the paths of this server in place of those of the pages.
    fn with_paths(&self, text: &str) -> String {
        let text = text.replace("/srv/photos", self.photos.text()).replace("/mnt/archive", self.archive.text());
        text.replace("'/photos'", &format!("'{}'", self.photos.text()))
    }

    /// Runs a script; if it reloads the configuration, returns when new sessions have it.
    fn settled<T>(&self, script: &str, run: impl FnOnce() -> T) -> T {
        if !script.contains("pg_reload_conf") {
            return run();
        }
        let loaded = || self.cluster.sql("postgres", "SELECT pg_conf_load_time()");
        let before = loaded();
        let result = run();
        wait_until("the configuration is loaded", || loaded() != before);
        result
    }

    fn prepare(&self, database: &str, setup: &str) {
        let script = self.with_paths(setup);
        self.settled(&script, || self.cluster.sql(database, &script));
    }

    /// What psql prints, without the places of errors in the source.
    fn psql(&self, database: &str, example: &Example) -> Output {
        let script = format!("\\cd {}\n{}", self.folder.text(), self.with_paths(&without_watch(&example.sql)));
        let mut options = vec!["-q", "-v", "VERBOSITY=verbose"];
        if example.output.is_none() {
            options.extend(["-v", "ON_ERROR_STOP=1"]);
        }
        let mut output = self.settled(&script, || self.cluster.psql(database, &options, &script));
        output.text = trimmed(output.text.lines().filter(|line| !line.starts_with("LOCATION:")));
        output
    }

    /// Runs the examples of a page after its preparation, and prepares the statements in its text.
    fn check(&self, name: &str, text: &str, setup: &str) -> Report {
        let mut report = Report::default();
        let page = match page::read(text) {
            Ok(page) => page,
            Err(error) => return Report { failures: vec![format!("{name}: {error}")], ..report },
        };
        let selects = page::selects(&page);
        if page.examples.is_empty() && selects.is_empty() {
            return report;
        }
        self.prepare("postgres", "ALTER SYSTEM RESET ALL;\nSELECT pg_reload_conf();");
        let sections = page::sections(setup);
        let mut databases = 0;
        let mut new_database = || {
            databases += 1;
            let database = format!("{name} {databases}");
            self.cluster.sql("postgres", &format!("CREATE DATABASE \"{database}\""));
            self.prepare(&database, &sections[""]);
            database
        };
        let of_page = new_database();
        let mut prepared = BTreeSet::new();
        for example in &page.examples {
            let place = format!("{name}:{}, {}", example.line, example.heading);
            report.marked.extend(example.marks.iter().map(|mark| format!("{place}: {mark:?}")));
            report.examples += 1;
            if example.sql.contains(WATCH) {
                report.marked.push(format!("{place}: without {WATCH}"));
            }
            let database = if example.marks.contains(&Mark::OwnDatabase) { new_database() } else { of_page.clone() };
            let is_first = prepared.insert((database.clone(), example.heading.as_str()));
            if let Some(section) = sections.get(&example.heading).filter(|_| is_first) {
                self.prepare(&database, section);
            }
            if example.marks.iter().any(|mark| matches!(mark, Mark::Skip(_))) {
                report.skipped += 1;
                continue;
            }
            let output = self.psql(&database, example);
            if let Err(why) = judge(example, &output, |shown| self.with_paths(shown)) {
                report.failures.push(format!("{place}: {why}\n{}---\n{}", example.sql, output.text));
            }
        }
        let is_used = |heading: &str| heading.is_empty() || prepared.iter().any(|(_, prepared)| *prepared == heading);
        let unused = sections.keys().filter(|heading| !is_used(heading));
        report.failures.extend(unused.map(|heading| format!("{name}: prepared, but without an example: {heading}")));
        for (line, select) in selects {
            let prepare = format!("PREPARE statement AS {};", self.with_paths(&select));
            let output = self.cluster.psql(&of_page, &["-q", "-v", "ON_ERROR_STOP=1"], &prepare);
            if !output.success {
                report.failures.push(format!("{name}:{line}: {select}\n---\n{}", output.text));
            }
        }
        report
    }
}

/// Whether the output of an example is right.
fn judge(example: &Example, output: &Output, with_paths: impl Fn(&str) -> String) -> Result<(), &'static str> {
    let may_be_empty = example.marks.iter().any(|mark| matches!(mark, Mark::NoRows(_)));
    match &example.output {
        Some(shown) if trimmed(with_paths(shown).lines()) != output.text => Err("the page shows another output"),
        Some(_) => Ok(()),
        None if !output.success => Err("it fails"),
        None if output.text.contains("WARNING:") => Err("a warning"),
        None if output.text.contains("(0 rows)") && !may_be_empty => Err("a query finds nothing"),
        None => Ok(()),
    }
}

/// An example without [`WATCH`].
fn without_watch(sql: &str) -> String {
    sql.lines().map(|line| line.split(WATCH).next().unwrap_or_default().to_owned() + "\n").collect()
}

/// Lines without spaces at their ends, as editors leave them, and without empty lines at the end.
fn trimmed<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let text: String = lines.map(|line| line.trim_end().to_owned() + "\n").collect();
    text.trim_end().to_owned() + "\n"
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

#[test]
fn every_example_of_the_documentation_runs() {
    let top = top();
    let mut pages = Vec::new();
    pages_below(&top.join("docs"), &mut pages);
    pages_below(&top.join("docker"), &mut pages);
    pages.sort();
    pages.insert(0, top.join("README.md")); // first, while the server does not know the extension's settings
    let mut preparations = files_below(&top.join("tests/examples"));
    // The GPU is the stand-in for the driver.
    let card = Card::new("");
    let server = Server::new(card.server(&[("max_worker_processes", "24")]));
    let (mut examples, mut skipped, mut failures) = (0, Vec::new(), Vec::new());
    for path in pages {
        let name = path.strip_prefix(top).unwrap().to_str().unwrap();
        let preparation = top.join("tests/examples").join(name).with_extension("sql");
        let mut setup = "CREATE EXTENSION lumina;".to_owned();
        if preparations.remove(&preparation) {
            setup = std::fs::read_to_string(preparation).unwrap();
        }
        if name == "README.md" {
            // Its examples follow its session, which ends with an error, and which `transcripts` compares.
            let session = include_str!("../../sql/readme.sql");
            setup = format!("\\set ON_ERROR_STOP off\n{session}\n\\set ON_ERROR_STOP on\n{setup}");
        }
        let report = server.check(name, &std::fs::read_to_string(&path).unwrap(), &setup);
        for marked in &report.marked {
            say(&format!("example {marked}"));
        }
        examples += report.examples;
        if report.skipped > 0 {
            skipped.push((name.to_owned(), report.skipped));
        }
        failures.extend(report.failures);
    }
    say(&format!("examples of the documentation: {examples}; pages with skipped ones: {skipped:?}"));
    assert!(failures.is_empty(), "{} are wrong:\n\n{}", failures.len(), failures.join("\n\n"));
    assert_eq!(skipped, SKIPPED.map(|(name, number)| (name.to_owned(), number)), "skipped examples, see SKIPPED");
    assert!(examples >= EXAMPLES, "{examples} examples");
    assert!(preparations.is_empty(), "preparations of no page: {preparations:?}");
    let html = std::fs::read_to_string(server.folder.at("duplicates.html")).expect("docs/catalog.md writes a page");
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("<img"), "no page of duplicates: {html:.200}");
}

fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut files_below(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

/// Planted mistakes, each of which has to be found, beside examples that are right.
#[test]
fn a_wrong_example_fails() {
    let server = Server::new(Cluster::start());
    let setup = "CREATE EXTENSION lumina;\n-- ## Right\nCREATE TABLE here ();\n-- ## Nowhere\nSELECT 1;\n";
    let page = include_str!("examples/planted.md");
    let report = server.check("planted", page, setup);
    let found: Vec<&str> = report.failures.iter().filter_map(|failure| failure.lines().next()).collect();
    let expected = [
        "planted:44, Wrong: it fails",
        "planted:48, Wrong: it fails",
        "planted:53, Wrong: the page shows another output",
        "planted:64, Wrong: the page shows another output",
        "planted:74, Wrong: the page shows another output",
        "planted:86, Wrong: a query finds nothing",
        "planted:90, Wrong: a warning",
        "planted:94, Wrong: it fails",
        "planted: prepared, but without an example: Nowhere",
        "planted:98: SELECT lumina.no_such_function()",
    ];
    assert_eq!(found, expected, "{:#?}", report.failures);
    assert_eq!((report.examples, report.skipped), (13, 1));
    let marked = [
        "planted:28, Right: Skip(\"no such server\")",
        "planted:33, Right: NoRows(\"the table is empty\")",
        "planted:38, Right: OwnDatabase",
    ];
    assert_eq!(report.marked, marked);
    let unread = server.check("unread", "```sql\nSELECT 1;\n", "");
    assert_eq!(unread.failures, ["unread: line 1: a block that is not closed"]);
}
