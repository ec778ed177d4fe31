//! What a user types and what comes back: `tests/sql/*.sql` through psql, against `tests/expected/*.out`.
//!
//! Each script runs in a database of its own. Where the answers differ the new ones are left
//! in `target/transcripts` and a diff is shown. `LUMINA_ACCEPT=1` makes them the expected ones: read them first.
//! Where Postgres itself answers otherwise than 15 does, `tests/expected/*.<major>.out` is what one version is to say.

use lumina_cluster::Cluster;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn transcripts() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let results = tests.parent().unwrap().join("target/transcripts");
    std::fs::create_dir_all(&results).unwrap();
    let cluster = Cluster::start();
    let version = cluster.sql("postgres", "SELECT current_setting('server_version_num')::int / 10000");
    let major: u32 = version.trim().parse().unwrap();
    let mut scripts: Vec<_> =
        std::fs::read_dir(tests.join("sql")).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut failed = Vec::new();
    for script in scripts {
        let name = script.file_stem().unwrap().to_str().unwrap().to_owned();
        cluster.sql("postgres", &format!("CREATE DATABASE {name}"));
        let answers = cluster.transcript(&name, &std::fs::read_to_string(&script).unwrap());
        let of_all = tests.join("expected").join(name.clone() + ".out");
        let of_one = of_all.with_extension(format!("{major}.out"));
        let mut expected = if of_one.exists() { &of_one } else { &of_all };
        let mut differs = std::fs::read_to_string(expected).unwrap_or_default() != answers;
        if differs && std::env::var_os("LUMINA_ACCEPT").is_some() {
            expected = if major == 15 { &of_all } else { &of_one };
            std::fs::write(expected, &answers).unwrap();
            differs = false;
        }
        if differs {
            let result = results.join(name.clone() + ".out");
            std::fs::write(&result, &answers).unwrap();
            let diff = Command::new("diff").arg("-u").arg(expected).arg(&result).output().unwrap();
            println!("{}", String::from_utf8_lossy(&diff.stdout));
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "other answers than expected: {failed:?}");
}

/// The README's session is what `make session` prints.
#[test]
fn the_readme_tells_the_truth() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let readme = std::fs::read_to_string(top.join("README.md")).unwrap();
    let session = std::fs::read_to_string(top.join("tests/expected/readme.out")).unwrap();
    assert!(readme.contains(&session), "README.md does not hold tests/expected/readme.out");
}

/// The pages in Markdown below a directory.
pub(crate) fn pages_below(directory: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages_below(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// Every object of the extension that is for users is in the README or in a page of `docs/`.
#[test]
fn the_documentation_names_every_object() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut pages = vec![top.join("README.md")];
    pages_below(&top.join("docs"), &mut pages);
    let documentation: String = pages.iter().map(|page| std::fs::read_to_string(page).unwrap() + "\n").collect();
    let cluster = Cluster::start();
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    let names = cluster.sql(
        "postgres",
        "SELECT DISTINCT coalesce(proname, oprname, typname, opcname, relname) FROM pg_depend d
        LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = objid
        LEFT JOIN pg_operator o ON d.classid = 'pg_operator'::regclass AND o.oid = objid
        LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = objid AND typcategory <> 'A'
        LEFT JOIN pg_opclass c ON d.classid = 'pg_opclass'::regclass AND c.oid = objid
        LEFT JOIN pg_class r ON d.classid = 'pg_class'::regclass AND r.oid = objid AND relkind IN ('r', 'v')
        WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'lumina')
            AND coalesce(pronamespace, oprnamespace, typnamespace, opcnamespace, relnamespace)
                <> 'lumina_internal'::regnamespace",
    );
    let words: std::collections::HashSet<&str> =
        documentation.split(|c: char| c.is_whitespace() || "`(),".contains(c)).collect();
    let said = |name: &str| words.contains(name) || words.contains(format!("lumina.{name}").as_str());
    let missing: Vec<_> = names.lines().filter(|name| !said(name)).collect();
    assert!(names.lines().count() > 40 && missing.is_empty(), "neither in README.md nor in docs/: {missing:?}");
}
