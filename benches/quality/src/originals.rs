//! Which of an original and an altered copy is the one to keep: by the score alone, and by all that `best_of` asks.
//!
//! Each folder below the given one is a set: its first file, by name, is the original, all others are copies of it,
//! whose names but for the extension say how they were made. `benches/copies.py` makes such sets, with the encoders
//! that people use. Of each pair the facts are those of an import, and the rest is what the catalog makes of them.

use jiff::Timestamp;
use lumina_catalog::preference::{Candidate, Class, Origin, Place, ScoreWeights, best_of};
use lumina_import::FileStatus;
use lumina_import::analyze::{self, Analysis, analyze};
use lumina_photo::quality::{Present, format_score, metadata_score, resolution_score, size_score};
use lumina_photo::{Limits, NeverCancels};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many pairs of a kind there are, and of how many the original is kept: by the score alone, and as it is.
#[derive(Default)]
struct Kept {
    pairs: usize,
    by_score: usize,
    kept: usize,
}

/// Prints a row for each way to make a copy, and one for all; pairs whose copy is kept go to standard error.
pub(crate) fn print(folder: &Path) {
    let sets: Vec<PathBuf> = sorted(folder).into_iter().filter(|path| path.is_dir()).collect();
    let pairs: Vec<(String, bool, bool)> = sets.par_iter().flat_map_iter(|set| of_set(set)).collect();
    let mut kinds: BTreeMap<&str, Kept> = BTreeMap::new();
    for (kind, by_score, kept) in &pairs {
        for kind in [kind, "all"] {
            let kind = kinds.entry(kind).or_default();
            kind.pairs += 1;
            kind.by_score += usize::from(*by_score);
            kind.kept += usize::from(*kept);
        }
    }
    println!("| copy | pairs | original kept by the score | by all that is known |\n|---|---|---|---|");
    for (kind, Kept { pairs, by_score, kept }) in kinds {
        let percent = |count: usize| 100.0 * count as f64 / pairs as f64;
        println!("| {kind} | {pairs} | {:.1} % | {:.1} % |", percent(by_score), percent(kept));
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sets");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of a folder").path()).collect();
    paths.sort();
    paths
}

/// Of each copy how it was made, and whether its original is kept: by the score alone, and as it is.
fn of_set(set: &Path) -> Vec<(String, bool, bool)> {
    let mut files = sorted(set).into_iter();
    let original = files.next().expect("an original in each set");
    let candidate_of = |path: &Path, rank| candidate(path, rank).unwrap_or_else(|| panic!("{}", path.display()));
    let mut of_copy = |path: PathBuf| {
        // The worse rank, which decides where nothing else does.
        let (original, copy) = (candidate_of(&original, 1), candidate_of(&path, 0));
        let unknown = |candidate| Candidate { origin: Origin::default(), ..candidate };
        let keeps = |pair: [Candidate; 2]| best_of(pair.into_iter()) == Some(original.rank);
        let (by_score, kept) = (keeps([unknown(original), unknown(copy)]), keeps([original, copy]));
        if !kept {
            eprintln!("the copy is kept: {} {:?} {:?}", path.display(), original, copy);
        }
        (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), by_score, kept)
    };
    files.map(&mut of_copy).collect()
}

/// A file as a member of a group.
fn candidate(path: &Path, rank: u32) -> Option<Candidate> {
    let bytes = std::fs::read(path).ok()?;
    let size = bytes.len() as u64;
    let status = FileStatus { size, device: 0, inode: 0, modified: 0, changed: 0 };
    let limits = Limits { pixels: u64::MAX, memory: 1 << 32, caller: &NeverCancels };
    let place = analyze::Place { path, status: &status, beside: None };
    let Analysis::Facts(facts, _) = analyze(&bytes, &place, Timestamp::UNIX_EPOCH, &limits) else {
        return None;
    };
    let side = |side: Option<u32>| side.map(i64::from);
    let metadata = metadata_score(Present {
        make: facts.camera_make.is_some(),
        model: facts.camera_model.is_some(),
        lens: facts.lens_model.is_some(),
        focal_length: facts.focal_length.is_some(),
        aperture: facts.aperture.is_some(),
        shutter: facts.exposure_time.is_some(),
        iso: facts.iso.is_some(),
        latitude: facts.latitude.is_some(),
        longitude: facts.longitude.is_some(),
    });
    let (size, format) = (i64::try_from(size).ok()?, &*facts.format);
    let points = [
        format_score(format),
        resolution_score(side(facts.width), side(facts.height)),
        size_score(format, Some(size)),
        metadata,
    ];
    let pixels = u64::from(facts.width?) * u64::from(facts.height?);
    // Only whether two formats are the same counts.
    let format = format.bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte));
    Some(Candidate {
        rank,
        class: Class::new(Place::default(), facts.truncated || facts.damaged_data),
        parts: ScoreWeights::DEFAULT.parts(points.map(|points| points as f32), pixels, format),
        origin: Origin::new(facts.originality, facts.detail.zip(facts.fineness)),
        size,
        captured: 0,
    })
}
