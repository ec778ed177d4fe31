//! Which files of a crate use which, and where they go in a circle.
//!
//! [`Crate::read`] reads the sources of a crate; [`Crate::circles`] finds files that use each other, directly or
//! through others. A file that is read first should need none of those that are read later: so a circle is one room,
//! whatever its files are named.
//!
//! A file uses another where it names something in it: in a `use`, by a path from `crate`, `super` or `self`, by a path
//! from one of its own modules, in macros, too. What a `pub use` only passes on counts for the file that names it, and
//! is then looked for where it is declared. Tests (`tests.rs`, `#[cfg(test)]`) do not count.

mod module;

use module::{Import, Module};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How often a name is passed on at the most: two modules may pass each other's names on.
const MAX_STEPS: usize = 10;

/// The sources of a crate.
#[derive(Debug)]
pub struct Crate {
    /// By their paths of module names; the empty one is `lib.rs`.
    modules: BTreeMap<Vec<String>, Module>,
}

/// One file names something that is in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The module that uses the other, such as `search::pairs`; `crate` is the crate's own file.
    pub from: String,
    /// The module that is used.
    pub to: String,
    /// The path by which it is named.
    pub by: String,
}

impl Crate {
    /// Reads all files below a folder `src`. Errors: a file cannot be read, or is no Rust.
    pub fn read(source: &Path) -> io::Result<Self> {
        let mut modules = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(source.join(&folder))? {
                let entry = entry?;
                let (below, name) = (folder.join(entry.file_name()), entry.file_name());
                if name.to_string_lossy().trim_end_matches(".rs") == "tests" {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    folders.push(below);
                } else if below.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(entry.path())?;
                    let module = Module::parse(&text)
                        .map_err(|why| io::Error::other(format!("{}: {why}", entry.path().display())))?;
                    modules.insert(name_of(&below), module);
                }
            }
        }
        Ok(Crate { modules })
    }

    /// All uses of one file by another.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (from, module) in &self.modules {
            for path in &module.paths {
                let Some(to) = self.find(from, path, 0) else { continue };
                if to != *from {
                    edges.push(Edge { from: shown(from), to: shown(&to), by: path.join("::") });
                }
            }
        }
        edges.sort();
        edges.dedup();
        edges
    }

    /// The circles: for each the uses that make it one.
    pub fn circles(&self) -> Vec<Vec<Edge>> {
        let (edges, mut graph) = (self.edges(), DiGraph::<&str, ()>::new());
        let mut nodes: BTreeMap<&str, NodeIndex> = BTreeMap::new();
        for Edge { from, to, .. } in &edges {
            let [from, to] = [from, to].map(|name| *nodes.entry(name).or_insert_with(|| graph.add_node(name)));
            graph.add_edge(from, to, ());
        }
        let components = kosaraju_scc(&graph);
        let circles = components.iter().filter(|component| component.len() > 1).map(|component| {
            let names: Vec<&str> = component.iter().map(|node| graph[*node]).collect();
            let is_inside = |edge: &&Edge| names.contains(&edge.from.as_str()) && names.contains(&edge.to.as_str());
            edges.iter().filter(is_inside).cloned().collect()
        });
        circles.collect()
    }

    /// The file that holds what `path` names in the module `from`, after `steps` names that were passed on; `None`
    /// where that is not of this crate.
    fn find(&self, from: &[String], path: &[String], steps: usize) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(self.walk(Vec::new(), rest, steps)),
            "self" => Some(self.walk(from.to_vec(), rest, steps)),
            "super" => {
                let ups = 1 + rest.iter().take_while(|step| *step == "super").count();
                let above = from.len().checked_sub(ups)?;
                Some(self.walk(from[..above].to_vec(), &rest[ups - 1..], steps))
            }
            _ => {
                let child: Vec<String> = from.iter().chain([first]).cloned().collect();
                self.modules.contains_key(&child).then(|| self.walk(child, rest, steps))
            }
        }
    }

    /// Follows names from a module downwards, through what it passes on.
    fn walk(&self, mut module: Vec<String>, path: &[String], steps: usize) -> Vec<String> {
        for (at, name) in path.iter().enumerate() {
            let child: Vec<String> = module.iter().chain([name]).cloned().collect();
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            let passed_on = self.modules.get(&module).into_iter().flat_map(|module| &module.imports);
            let mut passed_on = passed_on.filter(|Import { public, name: given, .. }| *public && given == name);
            if let Some(Import { path: target, .. }) = passed_on.next()
                && steps < MAX_STEPS
            {
                let target: Vec<String> = target.iter().chain(&path[at + 1..]).cloned().collect();
                if let Some(found) = self.find(&module, &target, steps + 1) {
                    return found;
                }
            }
            break; // declared in this file
        }
        module
    }
}

/// The path of module names of a file below `src`.
fn name_of(file: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| last == "mod" || names.len() == 1 && (last == "lib" || last == "main")) {
        names.pop();
    }
    names
}

fn shown(module: &[String]) -> String {
    if module.is_empty() { "crate".into() } else { module.join("::") }
}

/// The `src` folders of the workspace whose files go in no circle.
pub fn without_circles() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    [
        "src",
        "crates/catalog/src",
        "crates/gpu/src",
        "crates/import/src",
        "crates/index/src",
        "crates/report/src",
        "crates/search/src",
    ]
    .iter()
    .map(|folder| top.join(folder))
    .collect()
}
