//! How well pair rules find altered copies of real pictures, and how often they take two scenes for one.
//!
//! `make bench-quality`, or `cargo run --release -p lumina-quality -- FOLDER_OR_FILE...`. Prints Markdown; what was
//! left out and each false pair go to standard error, so that a person can look at them.
//!
//! - [`scenes`]: which pictures there are, each scene once.
//! - [`alterations`]: what is done to them; [`tones`] and [`shapes`]: how.
//! - [`hashes`]: what lumina makes of a file; [`rules`]: when two are a pair.
//! - [`tables`]: what is printed.
//!
//! Every hash comes from the bytes of a file, so that decoding is measured too. Nothing is left to chance: a second run
//! prints the same.
#![allow(clippy::expect_used, reason = "a program for developers: it stops where it fails")]

mod alterations;
mod hashes;
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
    let found = scenes::collect(&places);
    let altered: Vec<Altered> = found.scenes.into_par_iter().map(Altered::new).collect();
    tables::print(found.not_trusted, &altered);
}
