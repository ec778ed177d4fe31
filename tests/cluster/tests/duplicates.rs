//! Groups of duplicates against their definition, by comparing every image with every other one.

use lumina_cluster::catalog::{fill, leftovers, wait_for_end};
use lumina_cluster::{Cluster, Random};
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};

/// An image in the tables.
struct Image {
    id: i64,
    size: i64,
    files: i64,
    valid: bool,
    /// ahash, dhash, dct, and the four words of pdq.
    words: [u64; 7],
    format: String,
    /// When it was taken, or a time after all others.
    captured: f64,
    pixels: i64,
    /// What resolution, size and the rest add to its score, in hundredths.
    parts: [i64; 3],
}

/// The hashes of a rule: name, first word, words, distance.
type Radius = (&'static str, usize, usize, u32);

impl Image {
    fn distance(&self, other: &Image, (_, first, words, _): Radius) -> u32 {
        (first..first + words).map(|word| (self.words[word] ^ other.words[word]).count_ones()).sum()
    }
}

/// A catalog of images of many kinds: near copies in each hash alone and in several, equal ones, flat ones, rejected
/// ones, ones without files, some with several. Best first: the order of preference.
fn catalog(session: &mut Client, seed: u64) -> Vec<Image> {
    let mut random = Random(seed);
    let hashes: Vec<u64> = lumina_sets::photo(1500, seed);
    fill(session, "photos", &hashes);
    // Each hash diverges from here: some bits of some of them.
    let rows = session.query("SELECT id FROM lumina.images ORDER BY id", &[]).unwrap();
    let mut script = String::new();
    for row in &rows {
        let (id, base) = (row.get::<_, i64>(0), hashes[(row.get::<_, i64>(0) - 1) as usize]);
        let mut turned = |word: u64, most: u64| {
            let bits = if random.below(3) == 0 { random.below(most) } else { 0 };
            (0..bits).fold(word, |word, _| word ^ 1 << random.below(64))
        };
        let ahash = turned(base, 8);
        let dct = turned(base.rotate_left(7), 20);
        let pdq: Vec<String> = (0..4).map(|part| format!("{:016x}", turned(base.rotate_left(part), 40))).collect();
        script.push_str(&format!(
            "UPDATE lumina.images SET ahash = '{ahash:016x}', dct = '{dct:016x}', pdq = '{}' WHERE id = {id};",
            pdq.concat()
        ));
    }
    script.push_str(
        "UPDATE lumina.images SET hash_valid = false WHERE id % 23 = 0;
        UPDATE lumina.images SET status = 'rejected' WHERE id % 29 = 0;
        UPDATE lumina.images SET status = 'flagged' WHERE id % 31 = 0;
        DELETE FROM lumina.image_files WHERE image % 37 = 0;
        UPDATE lumina.image_files SET missing_since = now() WHERE id % 41 = 0;
        UPDATE lumina.image_files SET state = 'trashed' WHERE id % 43 = 0",
    );
    session.batch_execute(&script).unwrap();
    let read = "
        SELECT i.id, i.size, f.files, i.hash_valid, i.ahash::text || i.dhash::text || i.dct::text || i.pdq::text,
            i.format, coalesce(extract(epoch FROM i.captured_at), 'Infinity')::float8, i.width::int8 * i.height,
            round(35 * i.quality_resolution::float8)::int8, round(15 * i.quality_size::float8)::int8,
            round(40 * i.quality_format::float8 + 10 * i.quality_metadata::float8)::int8
        FROM lumina.images i JOIN (SELECT image, count(*) AS files FROM lumina.image_files
            WHERE state = 'keep' AND missing_since IS NULL GROUP BY image) f ON f.image = i.id
        WHERE i.status <> 'rejected'
        ORDER BY i.quality_score DESC, i.captured_at NULLS LAST, i.size DESC, i.sha256";
    let image = |row: &postgres::Row| {
        let hex: String = row.get(4);
        let word = |at: usize| u64::from_str_radix(&hex[16 * at..16 * (at + 1)], 16).unwrap();
        Image {
            id: row.get(0),
            size: row.get(1),
            files: row.get(2),
            valid: row.get(3),
            words: std::array::from_fn(word),
            format: row.get(5),
            captured: row.get(6),
            pixels: row.get(7),
            parts: [row.get(8), row.get(9), row.get(10)],
        }
    };
    session.query(read, &[]).unwrap().iter().map(image).collect()
}

/// What a run wrote: the members of each group, by their places among the images, the one to keep first.
struct Group {
    kind: String,
    distance: i16,
    files: i32,
    bytes: i64,
    savings: i64,
    also_near: Vec<usize>,
    also_near_count: i32,
    members: Vec<usize>,
    each: Vec<(i16, [Option<i16>; 4])>,
}

fn groups(session: &mut Client, images: &[Image]) -> Vec<Group> {
    let place: BTreeMap<i64, usize> = images.iter().enumerate().map(|(place, image)| (image.id, place)).collect();
    let read = "
        SELECT g.kind::text, g.distance, g.files, g.bytes, g.savings, g.also_near, g.also_near_count, m.image,
            m.distance, m.ahash_distance, m.dhash_distance, m.dct_distance, m.pdq_distance, m.place, g.id
        FROM lumina.duplicate_runs r JOIN lumina.duplicate_groups g ON g.run = r.id
        JOIN lumina.duplicate_members m ON m.group_id = g.id
        WHERE r.is_current ORDER BY g.id, m.place";
    let mut found: Vec<Group> = Vec::new();
    for row in session.query(read, &[]).unwrap() {
        if row.get::<_, i32>(13) == 0 {
            let near: Vec<i64> = row.get(5);
            found.push(Group {
                kind: row.get(0),
                distance: row.get(1),
                files: row.get(2),
                bytes: row.get(3),
                savings: row.get(4),
                also_near: near.iter().map(|id| place[id]).collect(),
                also_near_count: row.get(6),
                members: Vec::new(),
                each: Vec::new(),
            });
        }
        let group = found.last_mut().unwrap();
        group.members.push(place[&row.get::<_, i64>(7)]);
        group.each.push((row.get(8), std::array::from_fn(|at| row.get(9 + at))));
    }
    found
}

const HASHES: [&str; 4] = ["ahash", "dhash", "dct", "pdq"];

fn rule(alternatives: &[&[Radius]]) -> String {
    let object = |alternative: &&[Radius]| {
        let fields: Vec<String> =
            alternative.iter().map(|(name, .., distance)| format!("\"{name}\": {distance}")).collect();
        format!("{{{}}}", fields.join(", "))
    };
    format!("[{}]", alternatives.iter().map(object).collect::<Vec<_>>().join(", "))
}

/// The member of a group to keep: the best score, where resolutions and sizes that are nearly the largest count as it;
/// then the older one, the larger one, the better one.
fn keep(images: &[Image], members: &[usize]) -> usize {
    let of = |member: &usize| &images[*member];
    let widest = members.iter().map(of).max_by_key(|image| (image.pixels, image.parts[0])).unwrap();
    let key = |member: &usize| {
        let image = of(member);
        let same = members.iter().map(of).filter(|other| other.format == image.format);
        let heaviest = same.max_by_key(|other| (other.size, other.parts[1])).unwrap();
        let resolution = if image.pixels * 100 > widest.pixels * 95 { widest } else { image }.parts[0];
        let size = if image.size * 100 > heaviest.size * 90 { heaviest } else { image }.parts[1];
        (-(resolution + size + image.parts[2]), image.captured, -image.size, *member)
    };
    *members.iter().min_by(|a, b| key(a).partial_cmp(&key(b)).unwrap()).unwrap()
}

/// Runs a search and compares everything that it wrote with the definition.
fn check(session: &mut Client, images: &[Image], alternatives: &[&[Radius]], strategy: &str) {
    let what = format!("{} {strategy}", rule(alternatives));
    let submit = "SELECT lumina.detect_duplicates('photos', rule => $1, strategy => $2)";
    let job: i64 = session.query_one(submit, &[&rule(alternatives), &strategy]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded", "{what}");
    let found = groups(session, images);
    let near = |a: usize, b: usize| {
        let (a, b) = (&images[a], &images[b]);
        a.valid && b.valid && alternatives.iter().any(|all| all.iter().all(|radius| a.distance(b, *radius) <= radius.3))
    };
    let neighbours: Vec<BTreeSet<usize>> =
        (0..images.len()).map(|a| (0..images.len()).filter(|&b| b != a && near(a, b)).collect()).collect();
    let pairs: usize = neighbours.iter().map(BTreeSet::len).sum::<usize>() / 2;
    // Every distance is scaled to 64 bits: the largest of an alternative, in the alternative where that is smallest.
    let scaled = |distances: &dyn Fn(Radius) -> u32| {
        let of = |all: &&[Radius]| {
            all.iter().map(|radius| (distances(*radius) * 64).div_ceil(64 * radius.2 as u32)).max().unwrap()
        };
        alternatives.iter().map(of).min().unwrap() as i16
    };
    let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, group) in found.iter().enumerate() {
        let what = format!("{what}: group {number} of {:?}", group.members);
        for (&member, (distance, each)) in group.members.iter().zip(&group.each) {
            assert!(group_of.insert(member, number).is_none(), "{what}: an image is in two groups");
            let apart = |radius: Radius| images[member].distance(&images[group.members[0]], radius);
            assert_eq!(*distance, scaled(&apart), "{what}");
            for radius in alternatives.iter().flat_map(|all| all.iter()) {
                let at = HASHES.iter().position(|hash| *hash == radius.0).unwrap();
                assert_eq!(each[at], Some(apart(*radius) as i16), "{what}: {}", radius.0);
            }
        }
        let best = if strategy == "star" { *group.members.iter().min().unwrap() } else { keep(images, &group.members) };
        assert_eq!(group.members[0], best, "{what}: another one is better");
        let (files, bytes) = group.members.iter().fold((0, 0), |(files, bytes), &member| {
            (files + images[member].files, bytes + images[member].files * images[member].size)
        });
        assert_eq!((i64::from(group.files), group.bytes), (files, bytes), "{what}");
        assert_eq!(group.savings, bytes - images[group.members[0]].size, "{what}");
        let pairs = || group.members.iter().flat_map(|&a| group.members.iter().map(move |&b| (a, b)));
        let farthest = |radius: Radius| pairs().map(|(a, b)| images[a].distance(&images[b], radius)).max().unwrap();
        assert_eq!(group.distance, scaled(&farthest), "{what}");
        let equal = alternatives.iter().flat_map(|all| all.iter()).all(|radius| farthest(*radius) == 0);
        let kind = if group.members.len() == 1 {
            "exact"
        } else if equal {
            "identical"
        } else {
            "near"
        };
        assert_eq!(group.kind, kind, "{what}");
        let members: BTreeSet<usize> = group.members.iter().copied().collect();
        match strategy {
            "clique" => assert!(pairs().all(|(a, b)| a == b || near(a, b)), "{what}: two are not near"),
            "star" => assert!(
                group.members[1..].iter().all(|&b| near(group.members[0], b)),
                "{what}: one is not near the first"
            ),
            _ => {
                let around: BTreeSet<usize> =
                    members.iter().flat_map(|&member| neighbours[member].iter().copied()).collect();
                assert!(around.is_subset(&members), "{what}: something near was left out");
            }
        }
        let near: BTreeSet<usize> = members
            .iter()
            .flat_map(|&member| neighbours[member].iter().copied())
            .filter(|other| !members.contains(other))
            .collect();
        if strategy != "component" {
            assert_eq!(group.also_near_count as usize, near.len(), "{what}");
            assert_eq!(group.also_near.len(), near.len().min(16.max(members.len())), "{what}");
            assert!(group.also_near.iter().all(|other| near.contains(other)), "{what}");
        }
    }
    // Complete: no two groups, or ungrouped images, could be joined; every exact copy is in a group.
    let alone = (0..images.len()).filter(|image| !group_of.contains_key(image));
    let classes: Vec<Vec<usize>> =
        found.iter().map(|group| group.members.clone()).chain(alone.map(|image| vec![image])).collect();
    for (at, class) in classes.iter().enumerate() {
        if let [image] = class[..]
            && !group_of.contains_key(&image)
        {
            assert_eq!(images[image].files, 1, "{what}: image {} has several files and no group", images[image].id);
        }
        for other in &classes[at + 1..] {
            let joined = match strategy {
                "clique" => class.iter().all(|&a| other.iter().all(|&b| near(a, b))),
                // A centre that another centre could have taken would have been taken by it.
                "star" => near(class[0], other[0]),
                _ => class.iter().any(|&a| other.iter().any(|&b| near(a, b))),
            };
            assert!(!joined, "{what}: {class:?} and {other:?} belong together");
        }
    }
    let run =
        "SELECT near_pairs, images, compared, groups, members, complete FROM lumina.duplicate_runs WHERE is_current";
    let row = session.query_one(run, &[]).unwrap();
    assert_eq!(row.get::<_, i64>(1) as usize, images.len(), "{what}");
    assert_eq!(row.get::<_, i64>(2) as usize, images.iter().filter(|image| image.valid).count(), "{what}");
    assert_eq!(row.get::<_, i64>(3) as usize, found.len(), "{what}");
    assert_eq!(row.get::<_, i64>(4) as usize, group_of.len(), "{what}");
    assert!(row.get::<_, i64>(0) > 0 && pairs > 20 && found.len() > 20, "{what}: the test tests nothing");
    assert_eq!(leftovers(session), [""; 0], "{what}");
}

#[test]
fn groups_are_what_they_are_to_be() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let images = catalog(&mut session, 5);
    let [ahash, dhash, dct, pdq] = [("ahash", 0, 1), ("dhash", 1, 1), ("dct", 2, 1), ("pdq", 3, 4)]
        .map(|(name, first, words)| move |distance| (name, first, words, distance));
    let rules: [&[&[Radius]]; 4] = [
        &[&[ahash(5), dhash(5)]],
        &[&[dhash(12), pdq(100)], &[dct(14), pdq(100)]],
        &[&[dhash(3)], &[dct(6)], &[ahash(2), pdq(20)]],
        &[&[dct(1)]],
    ];
    for rule in rules {
        for strategy in ["clique", "star", "component"] {
            check(&mut session, &images, rule, strategy);
        }
    }
}
