//! No circle of files in the extension and in the crates that have none; and that one would be seen.

#![allow(clippy::unwrap_used)]

use lumina_structure::{Crate, Edge, without_circles};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

fn circles(files: &[(&str, &str)]) -> Vec<Vec<Edge>> {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("lumina-structure-{}-{number}", std::process::id()));
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let found = Crate::read(&folder).unwrap().circles();
    fs::remove_dir_all(folder).unwrap();
    found
}

fn shown(edges: &[Edge]) -> Vec<String> {
    edges.iter().map(|edge| format!("{} {} {}", edge.from, edge.to, edge.by)).collect()
}

#[test]
fn the_extension_has_none() {
    for folder in without_circles() {
        let found = Crate::read(&folder).unwrap().circles();
        let lines: Vec<String> = found.iter().map(|circle| shown(circle).join("\n")).collect();
        assert!(found.is_empty(), "{}:\n{}", folder.display(), lines.join("\n\n"));
    }
}

#[test]
fn one_through_a_macro_and_a_name_that_is_passed_on_is_seen() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod inner; pub(crate) use inner::Thing;"),
        ("a/inner.rs", "pub(crate) struct Thing; fn f() { declare!(crate::b::call()) }"),
        ("b.rs", "use crate::{a::{Thing as Other}, c};"),
        ("c.rs", "pub(crate) fn alone() {}"),
    ];
    let found = circles(&files);
    assert_eq!(found.len(), 1);
    assert_eq!(shown(&found[0]), ["a::inner b crate::b::call", "b a::inner crate::a::Thing"]);
}

#[test]
fn parents_and_children_that_use_each_other_are_one() {
    let files = [("lib.rs", "mod a;"), ("a/mod.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "use super::*;")];
    assert_eq!(circles(&files).len(), 1);
}

#[test]
fn tests_do_not_count() {
    let files = [
        ("lib.rs", "mod a; mod b;\n#[cfg(test)] mod more { use crate::a::f; }"),
        ("a.rs", "pub(crate) fn f() {}\n#[cfg(test)]\nmod tests { use crate::b::g; }"),
        ("b.rs", "use crate::a::f; pub(crate) fn g() {}"),
        ("a/tests.rs", "use crate::b::g;"),
    ];
    assert_eq!(circles(&files), [] as [Vec<Edge>; 0]);
}

#[test]
fn names_that_two_modules_pass_to_each_other_end() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub(crate) use crate::b::Thing;"),
        ("b.rs", "pub(crate) use crate::a::Thing;"),
        ("c.rs", "use crate::a::Thing;"),
    ];
    assert_eq!(circles(&files), [] as [Vec<Edge>; 0]);
}
