//! Roots, walks and reads on a real file system: links, pipes, loops, changing files, names that are not UTF-8.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use lumina_import::roots::PathKind;
use lumina_import::walk::{Walk, WalkEntry};
use lumina_import::{Refusal, Roots};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A tree of files; each contains its own path.
fn tree(files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        write(&directory.path().join(file));
    }
    directory
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, path.as_os_str().as_bytes()).unwrap();
}

fn only(root: &Path) -> Roots {
    Roots::new([root.to_owned()], [])
}

fn walk(roots: &Roots, path: &Path, after: Option<&Path>) -> Vec<WalkEntry> {
    let walk = Walk::new(roots, roots.open_directory(path).unwrap(), after);
    walk.filter(|entry| !matches!(entry, WalkEntry::Directory { .. })).collect()
}

/// The entries of a walk, below `root`, with the reason of each skipped one.
fn shown(root: &Path, entries: &[WalkEntry]) -> Vec<String> {
    let show = |entry: &WalkEntry| {
        let path = entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned();
        match entry {
            WalkEntry::File { .. } => path,
            WalkEntry::Skipped { reason, .. } => format!("{path} {reason}"),
            WalkEntry::Directory { .. } => format!("{path}/"),
        }
    };
    entries.iter().map(show).collect()
}

#[test]
fn a_walk_goes_by_the_bytes_of_names_and_says_what_it_leaves() {
    let tree =
        tree(&["b/2.jpg", "b/10.jpg", "a.jpg", "b.jpg", ".git/x", "b/@eaDir/y", "b/x.xmp", "b/x.mov", "B/1.jpg"]);
    let root = tree.path();
    symlink("/etc", root.join("link")).unwrap();
    symlink(root.join("a.jpg"), root.join("b/alias.jpg")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("pipe.jpg")).status().unwrap().success());
    let found = shown(root, &walk(&only(root), root, None));
    assert_eq!(
        found,
        [
            ".git hidden",
            "B/1.jpg",
            "a.jpg",
            "b/10.jpg",
            "b/2.jpg",
            "b/@eaDir synology",
            "b/alias.jpg symbolic_link",
            "b/x.mov video",
            "b/x.xmp sidecar",
            "b.jpg",
            "link symbolic_link",
            "pipe.jpg special_file",
            "socket special_file",
        ]
    );
}

#[test]
fn a_walk_goes_on_wherever_it_was_cut_off() {
    let files = ["a/1", "a/b/1", "a/b/2", "a/b/c/1", "a/c", "a.x/1", "b", "b.1/z", "c/d/e/f/g", "z"];
    let tree = tree(&files);
    let roots = only(tree.path());
    let all = walk(&roots, tree.path(), None);
    assert_eq!(all.len(), files.len());
    for (place, entry) in all.iter().enumerate() {
        assert_eq!(walk(&roots, tree.path(), Some(entry.path())), all[place + 1..], "after {entry:?}");
    }
    // The entry at which a walk stopped may be gone, with or without its directory.
    assert_eq!(walk(&roots, tree.path(), Some(&tree.path().join("a/b/1x"))), all[2..]);
    assert_eq!(walk(&roots, tree.path(), Some(&tree.path().join("a/bb/1/2"))), all[4..]);
    assert_eq!(walk(&roots, tree.path(), Some(Path::new("/elsewhere"))), all);
}

#[test]
fn names_that_are_no_text_are_walked_and_gone_on_after() {
    let tree = tree(&["a.jpg", "z.jpg"]);
    let odd = tree.path().join(OsStr::from_bytes(b"caf\xe9.jpg"));
    fs::write(&odd, "x").unwrap();
    fs::write(tree.path().join("new\nline \"quoted\".jpg"), "x").unwrap();
    let all = walk(&only(tree.path()), tree.path(), None);
    assert_eq!(all.len(), 4);
    assert!(all.iter().any(|entry| entry.path() == odd));
    // The stored text sorts before the real name: no file is skipped.
    let shown = tree.path().join("caf\\xe9.jpg");
    let rest = walk(&only(tree.path()), tree.path(), Some(&shown));
    assert!(rest.iter().any(|entry| entry.path() == tree.path().join("z.jpg")));
    assert!(rest.iter().any(|entry| entry.path() == odd));
}

#[test]
fn nothing_outside_of_the_roots_is_opened() {
    let inside = tree(&["album/1.jpg"]);
    let outside = tree(&["secret.jpg", "album/secret.jpg"]);
    let (root, roots) = (inside.path(), only(inside.path()));
    symlink(outside.path(), root.join("out")).unwrap();
    symlink(outside.path().join("secret.jpg"), root.join("out.jpg")).unwrap();
    let refused = |path: &Path| roots.examine(path).map(|_| ()).unwrap_err();
    for (path, expected) in [
        (outside.path().join("secret.jpg"), Refusal::Outside(outside.path().join("secret.jpg"))),
        (PathBuf::from("/"), Refusal::Outside("/".into())),
        (PathBuf::from("album"), Refusal::NotAbsolute("album".into())),
        (root.join("album/../../x"), Refusal::Dots(root.join("album/../../x"))),
        (root.join("out"), Refusal::Link(root.join("out"))),
        (root.join("out/secret.jpg"), Refusal::Link(root.join("out"))),
        (root.join("out.jpg"), Refusal::Link(root.join("out.jpg"))),
        (root.join("none"), Refusal::NotFound(root.join("none"))),
        (root.join("album/1.jpg/x"), Refusal::NotDirectory(root.join("album/1.jpg"))),
        (
            PathBuf::from(format!("{}x/1.jpg", root.display())),
            Refusal::Outside(format!("{}x/1.jpg", root.display()).into()),
        ),
    ] {
        assert_eq!(refused(&path), expected);
    }
    assert!(matches!(roots.examine(&root.join("album/1.jpg")), Ok(PathKind::File)));
    assert!(matches!(roots.examine(root), Ok(PathKind::Directory(_))));
}

#[test]
fn a_root_may_be_a_link_that_nobody_else_has_made() {
    let real = tree(&["album/1.jpg"]);
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("photos");
    symlink(real.path(), &link).unwrap();
    symlink("photos/album", other.path().join("relative")).unwrap();
    symlink("loop", other.path().join("loop")).unwrap();
    let roots = only(&link);
    assert!(roots.open_file(&link.join("album/1.jpg")).is_ok());
    assert!(matches!(roots.open_file(&real.path().join("album/1.jpg")), Err(Refusal::Outside(_))));
    let relative = only(&other.path().join("relative"));
    assert!(relative.open_file(&other.path().join("relative/1.jpg")).is_ok());
    let endless = other.path().join("loop");
    assert_eq!(only(&endless).examine(&endless).map(|_| ()), Err(Refusal::Link(endless)));
    // In a directory where others can make links, none is followed.
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(roots.examine(&link).map(|_| ()), Err(Refusal::Link(link.clone())));
    assert_eq!(roots.examine(&link.join("album")).map(|_| ()), Err(Refusal::Link(link)));
}

#[test]
fn a_walk_goes_on_where_the_last_directory_has_gone() {
    let tree = tree(&["b/0.jpg", "b/y.jpg", "c.jpg"]);
    let root = tree.path();
    for gone in ["a/x/y.jpg", "b/0.jpg/z/y.jpg", "a/x"] {
        let rest = walk(&only(root), root, Some(&root.join(gone)));
        assert_eq!(shown(root, &rest), ["b/0.jpg", "b/y.jpg", "c.jpg"], "{gone}");
    }
}

#[test]
fn protected_directories_are_told_by_what_they_are() {
    let tree = tree(&["photos/1.jpg", "data/base/1.jpg"]);
    let root = tree.path();
    let data = root.join("data");
    let roots = Roots::new([root.to_owned(), data.clone()], [data.clone()]);
    for path in [data.clone(), data.join("base"), data.join("base/1.jpg")] {
        assert_eq!(roots.examine(&path).map(|_| ()), Err(Refusal::Protected(data.clone())), "{path:?}");
    }
    assert_eq!(shown(root, &walk(&roots, root, None)), ["data protected_directory", "photos/1.jpg"]);
}

#[test]
fn what_is_swapped_during_a_walk_leads_nowhere() {
    let inside = tree(&["a/1.jpg", "b/1.jpg", "c/1.jpg"]);
    let outside = tree(&["secret.jpg"]);
    let (root, roots) = (inside.path(), only(inside.path()));
    let mut walk = Walk::new(&roots, roots.open_directory(root).unwrap(), None);
    assert_eq!(walk.next().unwrap(), WalkEntry::Directory { path: root.join("a") });
    assert_eq!(walk.next().unwrap().path(), root.join("a/1.jpg"));
    // The next directory becomes a link out, and the one after it is moved out during the walk.
    fs::rename(root.join("b"), root.join("was-b")).unwrap();
    symlink(outside.path(), root.join("b")).unwrap();
    let rest: Vec<WalkEntry> = walk.collect();
    assert_eq!(shown(root, &rest), ["b symbolic_link", "c/", "c/1.jpg"]);
    // A file that has become a link when it is read.
    fs::remove_file(root.join("c/1.jpg")).unwrap();
    symlink(outside.path().join("secret.jpg"), root.join("c/1.jpg")).unwrap();
    assert_eq!(roots.open_file(&root.join("c/1.jpg")).map(|_| ()), Err(Refusal::Link(root.join("c/1.jpg"))));
}

#[test]
fn pipes_and_devices_are_never_waited_for() {
    let tree = tree(&["1.jpg"]);
    let (root, roots) = (tree.path(), only(tree.path()));
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    assert_eq!(roots.open_file(&root.join("pipe")).map(|_| ()), Err(Refusal::Special(root.join("pipe"))));
    let devices = only(Path::new("/dev"));
    assert_eq!(devices.open_file(Path::new("/dev/zero")).map(|_| ()), Err(Refusal::Special("/dev/zero".into())));
}

#[test]
fn roots_are_written_as_a_list() {
    let parse = |list: &str| {
        Roots::parse(list).map(|roots| roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(parse("").unwrap(), Vec::<String>::new());
    assert_eq!(parse(" /a/ , /b//c/. ").unwrap(), ["/a", "/b/c"]);
    assert_eq!(parse(r#""/a, b","/say ""hi""", /c"#).unwrap(), ["/a, b", "/say \"hi\"", "/c"]);
    assert_eq!(parse("/").unwrap(), ["/"]);
    for wrong in ["a", "/a, b", "/a/../b", "\"/a", "\"/a\"b", ",/a"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn steps_end_at_the_first_obstacle() {
    let tree = tree(&["a/b/1.jpg"]);
    let (root, roots) = (tree.path(), only(tree.path()));
    let steps = |path: &Path| -> Vec<(PathBuf, bool)> {
        roots.steps(path).into_iter().map(|(step, refusal)| (step, refusal.is_none())).collect()
    };
    assert_eq!(steps(&root.join("a/b")), [(root.to_owned(), true), (root.join("a"), true), (root.join("a/b"), true)]);
    assert_eq!(
        steps(&root.join("a/x/y")),
        [(root.to_owned(), true), (root.join("a"), true), (root.join("a/x"), false)]
    );
    assert_eq!(steps(Path::new("/nowhere")), [(PathBuf::from("/nowhere"), false)]);
}

#[test]
fn many_names_in_one_directory() {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..100_000 {
        fs::File::create(tree.path().join(format!("{number}.jpg"))).unwrap();
    }
    let roots = only(tree.path());
    let walk = Walk::new(&roots, roots.open_directory(tree.path()).unwrap(), Some(&tree.path().join("5.jpg")));
    assert_eq!(walk.count(), (0..100_000).filter(|number| number.to_string() + ".jpg" > "5.jpg".into()).count());
}
