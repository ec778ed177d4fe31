//! Rules by hand, and shown distances against their definition.
#![allow(clippy::unwrap_used)]

use super::{IMAGE_HASHES, PairRule};
use proptest::prelude::*;
use serde_json::{Value, json};

fn names(rule: &PairRule) -> Vec<&'static str> {
    rule.hashes().iter().map(|hash| hash.name).collect()
}

/// The rule `consensus`: aHash and dHash within five bits.
#[test]
fn consensus() {
    let rule = PairRule::from_json(&json!([{"ahash": 5, "dhash": 5}])).unwrap();
    assert_eq!(names(&rule), ["ahash", "dhash"]);
    assert_eq!(rule.near().alternatives(), [[5, 5]]);
    assert_eq!(rule.shown_distance(&[3, 5]), 5);
    assert_eq!(rule.shown_distance(&[4, 0]), 4);
    assert_eq!(rule.shown_distance(&[0, 0]), 0);
}

/// The rule `verified`: proposed by dHash or the DCT hash, and confirmed by PDQ, whose 256 bits are shown as 64.
#[test]
fn verified() {
    let rule = PairRule::from_json(&json!([{"dhash": 12, "pdq": 100}, {"dct": 14, "pdq": 100}])).unwrap();
    assert_eq!(names(&rule), ["dhash", "dct", "pdq"]);
    assert_eq!(rule.near().alternatives(), [[12, 64, 100], [64, 14, 100]]);
    assert_eq!(rule.shown_distance(&[2, 30, 40]), 10, "dHash proposes, PDQ is farthest: 40 of 256");
    assert_eq!(rule.shown_distance(&[2, 30, 41]), 11, "rounded up");
    assert_eq!(rule.shown_distance(&[50, 14, 0]), 14, "the DCT hash proposes");
    assert_eq!(rule.shown_distance(&[12, 14, 100]), 25);
}

/// Hashes are in the order of the table, whatever that of the rule; distances beyond a width do not count.
#[test]
fn order_and_distances_that_do_not_count() {
    let rule = PairRule::from_json(&json!([{"pdq": 256, "dct": 3}])).unwrap();
    assert_eq!(names(&rule), ["dct", "pdq"]);
    assert_eq!(rule.near().alternatives(), [[3, 256]]);
    assert_eq!(rule.shown_distance(&[2, 200]), 2);
}

#[test]
fn what_is_no_rule() {
    for rule in [
        json!(null),
        json!({"ahash": 5}),
        json!([]),
        json!([{}]),
        json!([{"phash": 5}]),
        json!([5]),
        json!([{"ahash": "5"}]),
        json!([{"ahash": -1}]),
        json!([{"ahash": 1.5}]),
        json!([{"ahash": 4_294_967_296u64}]),
        json!([{"ahash": 5}, {"ahash": null}]),
    ] {
        assert_eq!(PairRule::from_json(&rule), None, "{rule}");
    }
}

/// The smallest distance of 64 bits within which, in some alternative, all hashes are that count there.
fn naive_distance(rule: &Value, named: &[&str], distances: &[u16]) -> i16 {
    let bits = |name: &str| IMAGE_HASHES.iter().find(|hash| hash.name == name).unwrap().bits as u64;
    let is_within = |alternative: &Value, shown: u64| {
        named.iter().zip(distances).all(|(name, distance)| match alternative.get(name).and_then(Value::as_u64) {
            Some(radius) if radius < bits(name) => u64::from(*distance) * 64 <= shown * bits(name),
            _ => true,
        })
    };
    let alternatives = rule.as_array().unwrap();
    (0..=64).find(|shown| alternatives.iter().any(|alternative| is_within(alternative, *shown))).unwrap() as i16
}

fn rules() -> impl Strategy<Value = Value> {
    let radius = |bits: u32| prop::option::of(0..bits + 2);
    let alternative = (radius(64), radius(64), radius(64), radius(256)).prop_map(|(ahash, dhash, dct, pdq)| {
        let radii = [("ahash", ahash), ("dhash", dhash), ("dct", dct), ("pdq", pdq)];
        radii.into_iter().filter_map(|(name, radius)| Some((name.to_owned(), json!(radius?)))).collect::<Value>()
    });
    prop::collection::vec(alternative, 1..4).prop_map(Value::from)
}

proptest! {
    #[test]
    fn shown_distances_are_those_of_the_definition(
        rule in rules(),
        (ahash, dhash, dct, pdq) in (0u16..=64, 0u16..=64, 0u16..=64, 0u16..=256),
    ) {
        let Some(parsed) = PairRule::from_json(&rule) else {
            let names_nothing = rule.as_array().unwrap().iter().all(|alternative| *alternative == json!({}));
            prop_assert!(names_nothing);
            return Ok(());
        };
        let all = [("ahash", ahash), ("dhash", dhash), ("dct", dct), ("pdq", pdq)];
        let named = names(&parsed);
        let distances: Vec<u16> = all.iter().filter(|(name, _)| named.contains(name)).map(|(_, bits)| *bits).collect();
        prop_assert_eq!(parsed.shown_distance(&distances), naive_distance(&rule, &named, &distances));
    }
}
