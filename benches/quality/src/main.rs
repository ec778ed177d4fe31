//! How well pair rules find altered copies of real pictures, and how often they pair two different scenes.
//!
//! `make bench-quality`, or `cargo run --release -p lumina-quality -- FOLDER_OR_FILE...`. Prints Markdown; pictures
//! left out and false pairs go to standard error, so that a person can look at them.
//!
//! - [`scenes`]: the pictures, each scene once.
//! - [`alterations`]: the alterations; [`tones`] and [`shapes`] implement them.
//! - [`hashes`]: the hashes of a file; [`rules`]: when two files are a pair.
//! - [`tables`]: the printed tables.
//! - [`originals`]: with `--originals FOLDER`, whether originals are kept, not their copies.
//!
//! Every hash comes from the bytes of a file, so that decoding is measured too. The program is deterministic.
#![allow(clippy::expect_used, reason = "a program for developers: it stops where it fails")]

mod alterations;
mod hashes;
mod originals;
mod rules;
mod scenes;
mod shapes;
mod tables;
mod tones;

use hashes::Hashes;
use rayon::prelude::*;
use scenes::Scene;
use std::path::PathBuf;

/// A scene that counts, and its altered copies in the order of [`alterations::ALL`].
struct Altered {
    name: String,
    original: Hashes,
    copies: Vec<Hashes>,
}

impl Altered {
    fn new(scene: Scene) -> Self {
        let copy = |alteration: &alterations::Alteration| {
            Hashes::of(&(alteration.make)(&scene.picture)).expect("an altered copy decodes")
        };
        let copies = alterations::ALL.iter().map(copy).collect();
        Altered { name: scene.name, original: scene.hashes, copies }
    }
}

fn main() {
    let places: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [option, folder] = &places[..]
        && option.as_os_str() == "--originals"
    {
        return originals::print(folder);
    }
    let found = scenes::collect(&places);
    let altered: Vec<Altered> = found.scenes.into_par_iter().map(Altered::new).collect();
    tables::print(found.not_trusted, &altered);
}
