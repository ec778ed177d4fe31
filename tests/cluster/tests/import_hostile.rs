//! Forbidden imports, and hostile directories: no forbidden file is read, no job fails for a file, and each file has a
//! row that says so.
//!
//! Files and directories that change while they are imported are in `import_hostile/churn.rs`.

mod churn;

use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::installation::give;
use lumina_cluster::photos::{Folder, import, items, jpeg, make_catalog, sha256, wait_for_state};
use lumina_cluster::postgres::Client;
use lumina_cluster::report::say;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

fn world(roots: &str) -> (Cluster, Client) {
    let cluster = Cluster::start_with(&[("lumina.import_roots", roots)]);
    let mut session = cluster.connect();
    make_catalog(&mut session, "photos");
    (cluster, session)
}

fn count(session: &mut Client, from: &str) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {from}"), &[]).unwrap().get(0)
}

/// The refusal of an import: SQLSTATE, message, hint.
fn refused(session: &mut Client, path: &str) -> (String, String, String) {
    let error = session.query("SELECT lumina.import('photos', $1)", &[&path]).expect_err(path);
    let error = error.as_db_error().unwrap();
    (error.code().code().into(), error.message().into(), error.hint().unwrap_or_default().into())
}

fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
}

/// Runs a system command; returns whether it succeeded.
fn system(program: &str, arguments: &[&OsStr]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// The user who runs the server, as named in its errors.
fn reader() -> String {
    lumina_cluster::installation::server_user().unwrap_or_else(|| {
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

#[test]
fn paths_that_are_refused() {
    let (folder, outside, place) = (Folder::default(), Folder::default(), Folder::default());
    folder.put("in/photo.jpg", jpeg(1, 100, 80));
    outside.put("photo.jpg", jpeg(2, 100, 80));
    symlink(outside.path(), folder.at("link")).unwrap();
    symlink(folder.at("in/photo.jpg"), folder.at("in/link.jpg")).unwrap();
    folder.put("secret/photo.jpg", jpeg(3, 100, 80));
    mode(&folder.at("secret"), 0o000);
    folder.put("secret.jpg", jpeg(3, 100, 80));
    mode(&folder.at("secret.jpg"), 0o000);
    assert!(system("mkfifo", &[folder.at("fifo").as_os_str()]));
    let (cluster, mut session) = world(folder.text());
    let root = folder.text().to_owned();
    let long = format!("{root}{}", "/abcdefghi".repeat(250));
    let cases: Vec<(String, &str, &str)> = vec![
        (format!("{root}/none"), "58P01", "does not exist"),
        (format!("{root}/in/none/none.jpg"), "58P01", "does not exist"),
        (format!("{root}/in/photo.jpg/none"), "42809", "not a directory"),
        (outside.text().into(), "42501", "not below"),
        (format!("{}x", folder.text()), "42501", "not below"),
        ("/etc/passwd".into(), "42501", "not below"),
        ("/".into(), "42501", "not below"),
        (format!("{root}/in/../../{}", outside.path().file_name().unwrap().display()), "22023", "\"..\""),
        (format!("{root}/.."), "22023", "\"..\""),
        ("photos".into(), "22023", "not an absolute path"),
        ("./photos".into(), "22023", "not an absolute path"),
        (String::new(), "22023", "not an absolute path"),
        (format!("{root}/link"), "42809", "symbolic link"),
        (format!("{root}/link/photo.jpg"), "42809", "symbolic link"),
        (format!("{root}/in/link.jpg"), "42809", "symbolic link"),
        (format!("{root}/secret"), "42501", "may not be read"),
        (format!("{root}/secret/photo.jpg"), "42501", "may not be read"),
        (format!("{root}/secret.jpg"), "42501", "may not be read"),
        (format!("{root}/fifo"), "42809", "not a regular file"),
        (long, "22023", "longer than"),
    ];
    let user = reader();
    let check = |session: &mut Client, path: &str, code: &str, words: &str| {
        let (found, message, hint) = refused(session, path);
        assert!(found == code && message.contains(words), "{path}: {found} {message}");
        assert!(
            hint.contains("of the server") && hint.contains(&format!("by its user \"{user}\"")),
            "{message}: {hint}"
        );
        // Without a job, the diagnosis is available step by step.
        if words != "longer than" {
            let steps = session.query("SELECT step, obstacle, hint FROM lumina.check_path($1)", &[&path]).unwrap();
            let (last, before) = steps.split_last().unwrap();
            assert!(before.iter().all(|row| row.get::<_, Option<&str>>(1).is_none()), "{path}");
            assert!(
                last.get::<_, &str>(1).contains(words) && last.get::<_, &str>(2).contains(&user),
                "{path}: {last:?}"
            );
        }
    };
    for (path, code, words) in &cases {
        check(&mut session, path, code, words);
    }
    assert_eq!(session.query("SELECT lumina.import('photos', NULL)", &[]).unwrap_err().code().unwrap().code(), "22004");
    let steps =
        session.query("SELECT obstacle FROM lumina.check_path($1)", &[&format!("{root}/in/photo.jpg")]).unwrap();
    assert!(steps.len() == 3 && steps.iter().all(|row| row.get::<_, Option<&str>>(0).is_none()));
    // The server's own directories, whatever the roots, by any name.
    session.batch_execute("ALTER SYSTEM SET lumina.import_roots = '/'").unwrap();
    give(place.path());
    mode(place.path(), 0o700);
    session.batch_execute(&format!("CREATE TABLESPACE t LOCATION '{}'", place.text())).unwrap();
    session.batch_execute("SELECT pg_reload_conf()").unwrap();
    let data = cluster.data();
    for path in [data.clone(), data.join("base"), data.join("PG_VERSION"), data.join("pg_wal"), place.path().to_owned()]
    {
        check(&mut session, path.to_str().unwrap(), "42501", "belongs to the server itself");
    }
    assert_eq!(count(&mut session, "lumina.jobs"), 0);
    let job = import(&mut session, "photos", cluster.socket_folder());
    let found = items(&mut session, job, cluster.socket_folder());
    assert_eq!(found["data"], "failed protected_directory");
    assert!(found.keys().all(|path| !path.starts_with("data/")), "{found:?}");
    assert_eq!(found["log"], "skipped no_image", "the test tests nothing");
    mode(&folder.at("secret"), 0o755);
}

/// A mount that is unmounted when dropped.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        system("umount", &[OsStr::new("-l"), self.0.as_os_str()]);
    }
}

#[test]
fn what_stands_below_a_directory() {
    let (folder, outside) = (Folder::default(), Folder::default());
    let photo = |seed| jpeg(seed, 100, 80);
    let secret = outside.put("deep/secret.jpg", photo(99));
    let mut expected: Vec<(String, &str)> = Vec::new();
    let mut seed = 0;
    let mut put = |name: &OsStr, shown: &str, item: &'static str| {
        seed += 1;
        folder.put(name, photo(seed));
        expected.push((shown.to_owned(), item));
    };
    for name in [
        "line\nbreak.jpg",
        "tab\t'quote\"; DROP TABLE x; --.jpg",
        "back\\slash.jpg",
        "%s{}$1.jpg",
        " .jpg",
        "...jpg.",
        "\u{202e}gpj.jpg",
        "é.jpg",
        "e\u{301}.jpg",
        "dir 'x'\n/line.jpg",
        "\u{1}\u{7f}.jpg",
    ] {
        let item = if name.starts_with('.') { "skipped hidden" } else { "imported" };
        put(OsStr::new(name), name, item);
    }
    put(OsStr::from_bytes(b"caf\xe9.jpg"), "caf\\xe9.jpg", "failed name_not_utf8");
    put(OsStr::from_bytes(b"dir \xff/plain.jpg"), "dir \\xff/plain.jpg", "failed name_not_utf8");
    // A path of the maximum length, and a longer one.
    let dir = "d".repeat(240);
    let mut deep = PathBuf::new();
    while folder.text().len() + 1 + deep.as_os_str().len() + 241 <= 2500 {
        deep.push(&dir);
    }
    let rest = 2500 - folder.text().len() - 2 - deep.as_os_str().len();
    let longest = deep.join("l".repeat(rest));
    put(longest.as_os_str(), longest.to_str().unwrap(), "imported");
    folder.put(deep.join("l".repeat(rest + 1)), photo(50));
    for (name, to) in [
        ("out.jpg", secret.as_path()),
        ("out", outside.path()),
        ("dangling.jpg", Path::new("/nowhere/x.jpg")),
        ("itself", Path::new("itself")),
        ("up", Path::new("..")),
    ] {
        symlink(to, folder.at(name)).unwrap();
        expected.push((name.into(), "skipped symbolic_link"));
    }
    assert!(system("mkfifo", &[folder.at("fifo.jpg").as_os_str()]));
    let _socket = UnixListener::bind(folder.at("socket.jpg")).unwrap();
    expected.extend([("fifo.jpg".into(), "skipped special_file"), ("socket.jpg".into(), "skipped special_file")]);
    let device = folder.at("device.jpg");
    if system("mknod", &[device.as_os_str(), OsStr::new("c"), OsStr::new("1"), OsStr::new("5")]) {
        expected.push(("device.jpg".into(), "skipped special_file"));
    } else {
        say("skipped: no device can be made here");
    }
    folder.put("unreadable.jpg", photo(51));
    mode(&folder.at("unreadable.jpg"), 0o000);
    for (name, bits) in [("locked", 0o000), ("listed", 0o444), ("entered", 0o111)] {
        folder.put(format!("{name}/x.jpg"), photo(52));
        mode(&folder.at(name), bits);
    }
    expected.extend(
        ["unreadable.jpg", "locked", "listed", "entered"].map(|name| (name.into(), "failed permission_denied")),
    );
    let (around, within) = (folder.at("loop"), folder.at("loop/a/b"));
    std::fs::create_dir_all(&within).unwrap();
    folder.put("loop/a/photo.jpg", photo(53));
    expected.push(("loop/a/photo.jpg".into(), "imported"));
    let mount = system("mount", &[OsStr::new("--bind"), around.as_os_str(), within.as_os_str()]).then(|| Mount(within));
    match mount {
        Some(_) => expected.push(("loop/a/b".into(), "skipped directory_loop")),
        None => say("skipped: nothing can be mounted here"),
    }
    let (_cluster, mut session) = world(folder.text());
    let job = import(&mut session, "photos", folder.path());
    drop(mount);
    // A path that is not UTF-8 may be shown in a form that no real path has.
    let plain = |(path, item): (String, String)| (path.trim_start_matches('/').replace("//", "/"), item);
    let mut found: BTreeMap<String, String> = items(&mut session, job, folder.path()).into_iter().map(plain).collect();
    let cut = found
        .iter()
        .find(|(_, item)| *item == "failed path_too_long")
        .map(|(path, _)| path.clone())
        .expect("the longer path");
    found.remove(&cut);
    assert!(cut.ends_with(&"l".repeat(rest + 1)), "{cut}");
    for (name, item) in &expected {
        assert_eq!(found.get(name).map(String::as_str), Some(*item), "{name:?}");
    }
    assert_eq!(
        found.len(),
        expected.len(),
        "{:?}",
        found.keys().filter(|name| expected.iter().all(|(other, _)| other != *name)).collect::<Vec<_>>()
    );
    let images = expected.iter().filter(|(_, item)| *item == "imported").count() as i64;
    assert_eq!((count(&mut session, "lumina.images"), count(&mut session, "lumina.image_files")), (images, images));
    let secret = sha256(&std::fs::read(secret).unwrap());
    for table in ["images", "import_items"] {
        let known =
            session.query_one(&format!("SELECT count(*) FROM lumina.{table} WHERE sha256 = $1"), &[&secret]).unwrap();
        assert_eq!(known.get::<_, i64>(0), 0, "{table} knows what is outside");
    }
    // What cannot be read is not missing; nor is what is below it.
    let missing = "lumina.image_files WHERE missing_since IS NOT NULL";
    mode(&folder.at("loop"), 0o000);
    mode(&folder.at("é.jpg"), 0o000);
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    for name in ["loop", "é.jpg"] {
        assert_eq!(found[name], "failed permission_denied", "{name}");
    }
    assert_eq!(count(&mut session, missing), 0);
    for (name, bits) in [("loop", 0o755), ("locked", 0o755), ("listed", 0o755), ("entered", 0o755), ("é.jpg", 0o644)] {
        mode(&folder.at(name), bits);
    }
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    assert_eq!(
        (found["é.jpg"].as_str(), found["loop/a/photo.jpg"].as_str()),
        ("imported same_content", "skipped unchanged")
    );
    assert!(
        found["locked/x.jpg"].starts_with("imported") && found["entered/x.jpg"].starts_with("imported"),
        "{found:?}"
    );
    assert_eq!(count(&mut session, missing), 0);
}

/// A name that is not UTF-8 has its own row, even if another name looks the same.
#[test]
fn names_that_look_the_same() {
    let folder = Folder::default();
    folder.put(OsStr::from_bytes(b"caf\xe9.jpg"), jpeg(1, 60, 40));
    folder.put("caf\\xe9.jpg", jpeg(2, 60, 40));
    let (_cluster, mut session) = world(folder.text());
    let job = import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.images"), 1);
    assert_eq!(items(&mut session, job, folder.path()).len(), 2, "a file was found that has no row");
}

#[test]
fn a_hundred_thousand_files_in_one_directory() {
    const FILES: i64 = 100_000;
    let folder = Folder::default();
    for n in 0..FILES {
        std::fs::write(folder.at(format!("{n}.jpg")), "x").unwrap();
    }
    folder.put("zz.jpg", jpeg(1, 60, 40));
    let (_cluster, mut session) = world(folder.text());
    let began = Instant::now();
    let job: i64 = session.query_one("SELECT lumina.import('photos', $1)", &[&folder.text()]).unwrap().get(0);
    wait_until("the walk is done", || {
        count(&mut session, "lumina.jobs WHERE checkpoint ? 'scanned' OR ended_at IS NOT NULL") > 0
    });
    let walked = began.elapsed();
    wait_for_state(&mut session, job, "succeeded");
    say(&format!("{FILES} files in one directory: walked in {walked:?}, imported in {:?}", began.elapsed()));
    assert_eq!(count(&mut session, "lumina.import_items"), FILES + 1);
    assert_eq!(count(&mut session, "lumina.import_items WHERE state = 'skipped' AND reason = 'no_image'"), FILES);
    assert_eq!(count(&mut session, "lumina.images"), 1);
}
