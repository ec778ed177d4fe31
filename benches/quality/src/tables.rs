//! Prints the tables: how many altered copies each rule finds, and how many pairs of different scenes it reports.

use crate::rules::{CONSENSUS, Rule, VERIFIED};
use crate::{Altered, alterations, rules};

/// The columns of the first table beside `all`.
const COLUMNS: [&str; 9] = [
    "JPEG q30",
    "15 % size",
    "crop 1 %",
    "crop 2.5 %",
    "crop 5 %",
    "watermark",
    "border 3 %",
    "rotate 1°",
    "rotate 3°",
];

/// Prints both tables; `not_trusted` is how many scenes were left out because of their hashes.
pub(crate) fn print(not_trusted: usize, scenes: &[Altered]) {
    let pairs = scenes.len() * scenes.len().saturating_sub(1);
    println!(
        "{} different scenes; {not_trusted} more pictures are left out because their hashes are not to be trusted.\n\
         Recall, 1 being all, among {} altered copies. False pairs among {} pairs of different scenes, and among\n\
         {} pairs of a scene and an altered copy of another one.\n",
        scenes.len(),
        scenes.len() * alterations::ALL.len(),
        pairs / 2,
        pairs * alterations::ALL.len(),
    );
    print_rules(scenes);
    println!();
    print_alterations(scenes);
}

/// One row per rule, and every false pair on standard error.
fn print_rules(scenes: &[Altered]) {
    println!("| rule | all | {} | false pairs | with copies |", COLUMNS.join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len() + 3));
    for rule in rules::ALL {
        let all = share(recall(rule, scenes, |_| true));
        let columns = COLUMNS.map(|name| share(recall(rule, scenes, |other| other == name))).join(" | ");
        let wrong = false_pairs(rule, scenes);
        let with_copies = false_pairs_with_copies(rule, scenes);
        let count: usize = with_copies.iter().map(|(_, _, alterations)| alterations.len()).sum();
        println!("| {} | {all} | {columns} | {} | {count} |", rule.name, wrong.len());
        for (a, b) in wrong {
            eprintln!("false pair, {}: {} and {} ({})", rule.name, a.name, b.name, a.original.distances(&b.original));
        }
        for (a, b, how) in with_copies {
            eprintln!("false pair, {}: {} and copies of {} ({})", rule.name, a.name, b.name, how.join(", "));
        }
    }
}

/// One row per alteration.
fn print_alterations(scenes: &[Altered]) {
    println!("| alteration | what it is | {} | {} | not to be trusted |", CONSENSUS.name, VERIFIED.name);
    println!("|---|---|---|---|---|");
    for (index, alteration) in alterations::ALL.iter().enumerate() {
        let of = |rule| share(recall(rule, scenes, |other| other == alteration.name));
        let flat = scenes.iter().filter(|scene| !scene.copies[index].trusted()).count();
        println!("| {} | {} | {} | {} | {flat} |", alteration.name, alteration.what, of(&CONSENSUS), of(&VERIFIED));
    }
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}

/// The share of the copies with these alterations that are near their originals.
fn recall(rule: &Rule, scenes: &[Altered], wanted: impl Fn(&str) -> bool) -> f64 {
    let (mut found, mut all) = (0, 0);
    for scene in scenes {
        for (alteration, copy) in alterations::ALL.iter().zip(&scene.copies) {
            if wanted(alteration.name) {
                all += 1;
                found += usize::from(rule.near(&scene.original, copy));
            }
        }
    }
    f64::from(found as u32) / f64::from(all)
}

/// The pairs of different scenes that a rule reports.
fn false_pairs<'a>(rule: &Rule, scenes: &'a [Altered]) -> Vec<(&'a Altered, &'a Altered)> {
    let pairs = scenes.iter().enumerate().flat_map(|(index, a)| scenes[index + 1..].iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| rule.near(&a.original, &b.original)).collect()
}

/// The scenes that a rule pairs with altered copies of other scenes: the scene, the other scene, which alterations.
fn false_pairs_with_copies<'a>(
    rule: &Rule,
    scenes: &'a [Altered],
) -> Vec<(&'a Altered, &'a Altered, Vec<&'static str>)> {
    let ordered = scenes.iter().enumerate().flat_map(|(index, a)| {
        scenes.iter().enumerate().filter(move |&(other, _)| other != index).map(move |(_, b)| (a, b))
    });
    let with_alterations = ordered.map(|(a, b)| {
        let copies = alterations::ALL.iter().zip(&b.copies);
        let near = copies.filter(|(_, copy)| rule.near(&a.original, copy));
        (a, b, near.map(|(alteration, _)| alteration.name).collect::<Vec<_>>())
    });
    with_alterations.filter(|(_, _, alterations)| !alterations.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashes::Hashes;

    fn scene(name: &str, original: u64, copies: impl Fn(usize) -> u64) -> Altered {
        let hashes = |bits| Hashes::fake(bits, bits, bits, [0; 32], 100);
        let copies = (0..alterations::ALL.len()).map(|index| hashes(copies(index))).collect();
        Altered { name: name.into(), original: hashes(original), copies }
    }

    #[test]
    fn recall_is_what_was_found_of_what_was_asked_for() {
        let scenes = [scene("a", 1, |_| 1), scene("b", 1, |index| if index == 2 { u64::MAX - 1 } else { 3 })];
        assert_eq!(recall(&CONSENSUS, &scenes[..1], |_| true), 1.0);
        assert_eq!(recall(&CONSENSUS, &scenes, |name| name == "JPEG q30"), 0.5);
        assert_eq!(recall(&CONSENSUS, &scenes, |name| name == "JPEG q90"), 1.0);
        assert_eq!(recall(&CONSENSUS, &scenes, |_| true), 45.0 / 46.0);
    }

    #[test]
    fn false_pairs_are_named_once() {
        let scenes = [scene("a", 1, |_| 1), scene("b", 3, |_| 1), scene("c", u64::MAX - 1, |_| 1)];
        let names: Vec<_> = false_pairs(&CONSENSUS, &scenes).iter().map(|(a, b)| (&*a.name, &*b.name)).collect();
        assert_eq!(names, [("a", "b")]);
        let with_copies = false_pairs_with_copies(&CONSENSUS, &scenes);
        let all: Vec<_> = with_copies.iter().map(|(a, b, how)| (&*a.name, &*b.name, how.len())).collect();
        assert_eq!(all, [("a", "b", 23), ("a", "c", 23), ("b", "a", 23), ("b", "c", 23)]);
    }

    #[test]
    fn columns_are_alterations() {
        assert!(COLUMNS.iter().all(|name| alterations::ALL.iter().any(|alteration| alteration.name == *name)));
    }
}
