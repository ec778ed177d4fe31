//! Groups of images by hand, and against a naive twin that compares every image with every other one.
#![allow(clippy::unwrap_used)]

use super::{DuplicateGroups, GroupKind};
use crate::images::RankedImages;
use crate::images::tests::{ReadImage, catalogs, consensus, naive_ranks, named, photograph, rank, rules, unlimited};
use crate::rule::{IMAGE_HASHES, PairRule};
use lumina_search::group::{Apart, Edges, Groups, Primary, Strategy};
use lumina_search::{PairBatch, SearchContext, SearchError, ValuePair, Values};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The pairs of values that a rule makes near, by comparing every value with every other one.
fn edges_of<'a>(
    values: &'a Values,
    rule: &PairRule,
    apart: Option<&'a Apart>,
    context: &SearchContext,
) -> Result<Edges<'a>, SearchError> {
    let mut edges = Edges::new(values, rule.near(), apart, 1 << 40);
    for (alternative, radii) in rule.near().alternatives().iter().enumerate() {
        for (left, right) in (0..values.count() as u32).flat_map(|left| (0..left).map(move |other| (other, left))) {
            let mut distances = vec![0; radii.len()];
            values.distances(left, right, &mut distances);
            if distances.iter().zip(radii).all(|(distance, radius)| u32::from(*distance) <= *radius) {
                edges.add(&PairBatch { pairs: vec![ValuePair { left, right }], distances }, alternative, context)?;
            }
        }
    }
    Ok(edges)
}

fn groups_of(
    images: &[ReadImage],
    rule: &PairRule,
    strategy: Strategy,
    context: &SearchContext,
) -> Result<(RankedImages, DuplicateGroups), SearchError> {
    let (ranked, rows) = rank(images, rule, context)?;
    let mut groups = DuplicateGroups::none(rule);
    if !rows.is_empty() {
        let values = Values::collapse(rows, context)?;
        let (values, apart) = ranked.keep_apart(values, context)?;
        let edges = edges_of(&values, rule, apart.as_ref(), context)?;
        let near_values = edges.count();
        let of_rows = Groups::form(&values, edges, strategy, Primary::First, context)?;
        let mut called = 0;
        groups = DuplicateGroups::collect(&of_rows, &values, near_values, &ranked, rule, context, || called += 1)?;
        assert_eq!(called, of_rows.len(), "interrupts are checked for each group");
    }
    groups.add_exact(&ranked, context)?;
    Ok((ranked, groups))
}

/// A group as tables show it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ShownGroup {
    kind: GroupKind,
    distance: i16,
    /// Ids, and distances to the first one in each hash.
    members: Vec<(i64, Vec<u16>)>,
    also_near: Vec<i64>,
    also_near_count: usize,
    files: i64,
    bytes: i64,
    /// Files and bytes.
    redundant: (i64, i64),
}

fn shown(images: &RankedImages, groups: &DuplicateGroups) -> Vec<ShownGroup> {
    let shown = |number| {
        let group = groups.group(number);
        ShownGroup {
            kind: group.kind(),
            distance: group.distance,
            members: group.members_with_distances().map(|(rank, each)| (images.id(rank), each.to_vec())).collect(),
            also_near: group.also_near.iter().map(|rank| images.id(*rank)).collect(),
            also_near_count: group.also_near_count as usize,
            files: group.files(images),
            bytes: group.bytes(images),
            redundant: group.redundant(images),
        }
    };
    (0..groups.len()).map(shown).collect()
}

/// The graph of images, image by image.
struct Naive<'a> {
    images: Vec<&'a ReadImage>,
    /// For each two images the distances in the named hashes.
    distances: Vec<Vec<Vec<u16>>>,
    near: Vec<Vec<bool>>,
    rule: &'a Value,
    parsed: &'a PairRule,
}

fn naive_distances(a: &ReadImage, b: &ReadImage, rule: &PairRule) -> Vec<u16> {
    let bit = |hash: &[u8], bit: usize| hash[bit / 8] >> (7 - bit % 8) & 1;
    let distance = |(a, b): (&[u8], &[u8])| (0..a.len() * 8).filter(|at| bit(a, *at) != bit(b, *at)).count() as u16;
    named(a, rule).zip(named(b, rule)).map(distance).collect()
}

impl<'a> Naive<'a> {
    fn new(images: &'a [ReadImage], rule: &'a Value, parsed: &'a PairRule) -> Self {
        let images = naive_ranks(images);
        let row = |a: &&ReadImage| images.iter().map(|b| naive_distances(a, b, parsed)).collect::<Vec<_>>();
        let distances: Vec<Vec<Vec<u16>>> = images.iter().map(row).collect();
        let mut naive = Naive { images, distances, near: Vec::new(), rule, parsed };
        let near = |a: usize, b: usize| {
            naive.images[a].is_compared()
                && naive.images[b].is_compared()
                && naive.is_within(a, b)
                && !naive.are_apart(a, b)
        };
        naive.near = naive.all().map(|a| naive.all().map(|b| near(a, b)).collect()).collect();
        naive
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.images.len()
    }

    fn compared(&self) -> impl Iterator<Item = usize> + '_ {
        self.all().filter(move |&image| self.images[image].is_compared())
    }

    /// Every two compared images.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let compared: Vec<usize> = self.compared().collect();
        (0..compared.len())
            .flat_map(|at| compared[..at].iter().map(|a| (*a, compared[at])).collect::<Vec<_>>())
            .collect()
    }

    /// Whether, in some alternative, every hash that it names is within its distance.
    fn is_within(&self, a: usize, b: usize) -> bool {
        let is_within = |alternative: &Value| {
            let pairs = self.parsed.hashes().iter().zip(&self.distances[a][b]);
            pairs.into_iter().all(|(hash, distance)| match alternative.get(hash.name) {
                Some(radius) => u64::from(*distance) <= radius.as_u64().unwrap(),
                None => true,
            })
        };
        self.rule.as_array().unwrap().iter().any(is_within)
    }

    /// The labels of an image, the smallest part of each set.
    fn labels(&self, image: usize) -> BTreeMap<String, i32> {
        let mut labels = BTreeMap::new();
        for (set, part) in &self.images[image].labels {
            let known = labels.entry(format!("{set:?}")).or_insert(*part);
            *known = (*known).min(*part);
        }
        labels
    }

    fn are_apart(&self, a: usize, b: usize) -> bool {
        let others = self.labels(b);
        self.labels(a).iter().any(|(set, part)| others.get(set).is_some_and(|other| other != part))
    }

    fn any_apart(&self, a: &BTreeSet<usize>, b: &BTreeSet<usize>) -> bool {
        a.iter().any(|x| b.iter().any(|y| self.are_apart(*x, *y)))
    }

    fn sum(&self, a: usize, b: usize) -> u32 {
        self.distances[a][b].iter().map(|distance| u32::from(*distance)).sum()
    }

    /// The first compared image with the same hashes and labels.
    fn first(&self, image: usize) -> usize {
        let labels = self.labels(image);
        self.compared().find(|&other| self.sum(image, other) == 0 && self.labels(other) == labels).unwrap()
    }

    /// Near pairs by their distances, then by the first images of both.
    fn ordered_pairs(&self) -> Vec<(u32, usize, usize)> {
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (a, b) in self.pairs() {
            if self.near[a][b] {
                let (x, y) = (self.first(a), self.first(b));
                pairs.push((self.sum(a, b), x.min(y), x.max(y)));
            }
        }
        pairs.sort_unstable();
        pairs
    }

    /// Sets of images that are always together: equal hashes and labels.
    fn equals(&self) -> Vec<BTreeSet<usize>> {
        let firsts = self.compared().filter(|&image| self.first(image) == image);
        let equal = |first| self.compared().filter(|&image| self.first(image) == first).collect();
        firsts.map(equal).collect()
    }

    /// Complete linkage, in the order of distances.
    fn cliques(&self) -> Vec<BTreeSet<usize>> {
        let mut groups = self.equals();
        for (_, a, b) in self.ordered_pairs() {
            let at = |image| groups.iter().position(|group| group.contains(&image)).unwrap();
            let (a, b) = (at(a), at(b));
            if a != b && groups[a].iter().all(|&x| groups[b].iter().all(|&y| self.near[x][y])) {
                let joined = groups[b].clone();
                groups[a].extend(joined);
                groups.remove(b);
            }
        }
        groups
    }

    /// The best image that is left and has a near one left, or several files, takes all near ones that are left, the
    /// nearest first, but for those that are apart from one that it has taken.
    fn stars(&self) -> Vec<BTreeSet<usize>> {
        let mut left: BTreeSet<usize> = self.compared().collect();
        let mut stars = Vec::new();
        let star = |image: usize, left: &BTreeSet<usize>| {
            let mut near: Vec<usize> = left.iter().copied().filter(|&other| self.near[image][other]).collect();
            near.sort_by_key(|&other| (self.sum(image, other), self.first(other), other));
            let mut star: BTreeSet<usize> = BTreeSet::from([image]);
            for other in near {
                if !self.any_apart(&star, &BTreeSet::from([other])) {
                    star.insert(other);
                }
            }
            star
        };
        let is_center = |image: usize, left: &BTreeSet<usize>| {
            star(image, left).len() > 1 || self.images[image].count_undecided() > 1
        };
        while let Some(center) = left.iter().copied().find(|&image| is_center(image, &left)) {
            let star = star(center, &left);
            left.retain(|image| !star.contains(image));
            stars.push(star);
        }
        stars
    }

    /// The nearest pairs first: two components are joined, unless an image of one is apart from one of the other.
    fn components(&self) -> Vec<BTreeSet<usize>> {
        let mut components = self.equals();
        for (_, a, b) in self.ordered_pairs() {
            let at = |image| components.iter().position(|component| component.contains(&image)).unwrap();
            let (a, b) = (at(a), at(b));
            if a != b && !self.any_apart(&components[a], &components[b]) {
                let joined = components[b].clone();
                components[a].extend(joined);
                components.remove(b);
            }
        }
        components
    }

    /// The smallest distance of 64 bits within which two images with these distances are, in some alternative.
    fn shown_distance(&self, distances: &[u16]) -> i16 {
        let is_within = |alternative: &Value, shown: usize| {
            self.parsed.hashes().iter().zip(distances).all(|(hash, distance)| {
                alternative.get(hash.name).is_none() || usize::from(*distance) * 64 <= shown * hash.bits
            })
        };
        let alternatives = self.rule.as_array().unwrap();
        (0..=64).find(|shown| alternatives.iter().any(|alternative| is_within(alternative, *shown))).unwrap() as i16
    }

    /// The member to keep, in words: see `preference::best_of`.
    fn keep(&self, group: &BTreeSet<usize>) -> usize {
        let image = |member: usize| &self.images[member].image;
        let class = |member: usize| {
            let (folder, is_protected) = self.images[member].place();
            (image(member).is_damaged, folder, !is_protected)
        };
        let best_class = group.iter().map(|&member| class(member)).min().unwrap();
        let left: Vec<usize> = group.iter().copied().filter(|&member| class(member) == best_class).collect();
        let parts = |member: usize| image(member).parts;
        let pixels = |member: usize| (parts(member).pixels, parts(member).resolution);
        let largest = left.iter().map(|&member| pixels(member)).max().unwrap();
        let score = |member: usize| {
            let size = |member: usize| (image(member).size, parts(member).size);
            let of_format = left.iter().filter(|&&other| parts(other).format == parts(member).format);
            let heaviest = of_format.map(|&other| size(other)).max().unwrap();
            let is_large = pixels(member).0 == largest.0 || pixels(member).0 * 100 > largest.0 * 95;
            let is_heavy = size(member).0 == heaviest.0 || size(member).0 * 100 > heaviest.0 * 90;
            parts(member).rest
                + if is_large { largest.1 } else { parts(member).resolution }
                + if is_heavy { heaviest.1 } else { parts(member).size }
        };
        let key = |member: usize| (-i32::from(score(member)), image(member).captured, -image(member).size, member);
        left.iter().copied().min_by_key(|&member| key(member)).unwrap()
    }

    fn shown(&self, group: &BTreeSet<usize>, is_star: bool, has_also_near: bool) -> ShownGroup {
        let keep = if is_star { *group.first().unwrap() } else { self.keep(group) };
        let mut members: Vec<usize> = group.iter().copied().collect();
        members.sort_by_key(|&image| (image != keep, self.sum(keep, image), image));
        let mut farthest = vec![0; self.parsed.hashes().len()];
        for (a, b) in group.iter().flat_map(|a| group.iter().map(move |b| (*a, *b))) {
            farthest.iter_mut().zip(&self.distances[a][b]).for_each(|(most, distance)| *most = (*most).max(*distance));
        }
        let id = |image: usize| self.images[image].image.id;
        let outside = self.all().filter(|image| !group.contains(image));
        let near: Vec<i64> = outside
            .filter(|&image| has_also_near && group.iter().any(|&member| self.near[member][image]))
            .map(id)
            .collect();
        let files = |image: &usize| self.images[*image].count_files() as i64;
        let bytes: i64 = group.iter().map(|image| files(image) * self.images[*image].image.size).sum();
        let redundant = group.iter().fold((0, 0), |(files, bytes), &image| {
            let more = self.images[image].count_redundant(image == keep) as i64;
            (files + more, bytes + more * self.images[image].image.size)
        });
        ShownGroup {
            kind: match (group.len(), farthest.iter().max()) {
                (1, _) => GroupKind::Exact,
                (_, Some(0)) => GroupKind::Identical,
                _ => GroupKind::Near,
            },
            distance: self.shown_distance(&farthest),
            members: members.iter().map(|&image| (id(image), self.distances[keep][image].clone())).collect(),
            also_near: near.iter().copied().take(group.len().max(16)).collect(),
            also_near_count: near.len(),
            files: group.iter().map(files).sum(),
            bytes,
            redundant,
        }
    }

    fn groups(&self, strategy: Strategy) -> Vec<ShownGroup> {
        let is_star = strategy == Strategy::Star;
        let mut groups = match strategy {
            Strategy::Clique => self.cliques(),
            Strategy::Star => self.stars(),
            Strategy::Component => self.components(),
        };
        // Several images, or one with several files.
        groups.retain(|group| group.iter().map(|image| self.images[*image].count_undecided()).sum::<usize>() > 1);
        groups.sort_by_key(|group| group.first().copied());
        let mut shown: Vec<ShownGroup> =
            groups.iter().map(|group| self.shown(group, is_star, strategy != Strategy::Component)).collect();
        let not_compared = self.all().filter(|&image| !self.images[image].is_compared());
        let exact = not_compared.filter(|&image| self.images[image].count_undecided() > 1);
        shown.extend(exact.map(|image| ShownGroup {
            members: vec![(self.images[image].image.id, vec![0; self.parsed.hashes().len()])],
            ..self.shown(&BTreeSet::from([image]), is_star, false)
        }));
        shown
    }

    /// Near pairs of different hashes or labels, and pairs of images with equal ones.
    fn near_pairs(&self) -> u64 {
        let equal = self.pairs().into_iter().filter(|&(a, b)| self.first(a) == self.first(b)).count();
        let is_first = |image| self.first(image) == image;
        let different = |pair: &(usize, usize)| is_first(pair.0) && is_first(pair.1) && self.near[pair.0][pair.1];
        let different = self.pairs().into_iter().filter(different).count();
        (equal + different) as u64
    }
}

/// From the specification: `exact` by checksum alone, `identical` where all distances are 0, `near`; the primary has
/// the best quality; the distance of a group is that of its worst pair, from which its confidence follows.
#[test]
fn kinds_by_hand() {
    let best = ReadImage { files: vec![None, None], ..photograph(10) };
    let mut near = photograph(11);
    (near.image.quality, near.image.size) = (4000, 60);
    near.flip(0, [0, 7, 63]);
    near.flip(1, [5]);
    let mut nearer = photograph(12);
    nearer.image.quality = 3000;
    nearer.flip(1, [6, 8]);
    let mut other = photograph(20);
    other.flip(0, 0..40);
    let other_copy = ReadImage { image: photograph(21).image, ..other.clone() };
    let mut flat = ReadImage { files: vec![None, None, None], ..photograph(30) };
    (flat.image.has_hashes, flat.image.size) = (false, 10);
    let mut alone = photograph(40);
    alone.flip(1, 0..20);
    let mut alone_with_copy = ReadImage { files: vec![None, None], ..photograph(50) };
    alone_with_copy.flip(0, 30..64);

    let images = [flat, alone_with_copy, nearer, near, other_copy, other, alone, best];
    let (ranked, groups) = groups_of(&images, &consensus(), Strategy::Clique, &unlimited()).unwrap();
    let shown = shown(&ranked, &groups);
    let kinds: Vec<_> = shown.iter().map(|group| (group.kind, group.distance)).collect();
    let exact = (GroupKind::Exact, 0);
    assert_eq!(kinds, [(GroupKind::Near, 3), (GroupKind::Identical, 0), exact, exact]);
    assert_eq!(GroupKind::Near.name(), "near");
    assert_eq!(shown[0].members, [(10, vec![0, 0]), (12, vec![0, 2]), (11, vec![3, 1])], "the nearest first");
    assert_eq!((shown[0].files, shown[0].bytes, shown[0].redundant), (4, 360, (3, 260)));
    assert_eq!(shown[1].members, [(20, vec![0, 0]), (21, vec![0, 0])]);
    assert_eq!(shown[2].members, [(50, vec![0, 0])], "compared, but near no other");
    assert_eq!((shown[2].files, shown[2].bytes, shown[2].redundant), (2, 200, (1, 100)));
    assert_eq!(shown[3].members, [(30, vec![0, 0])], "not compared");
    assert_eq!((shown[3].files, shown[3].bytes, shown[3].redundant), (3, 30, (2, 20)));
    assert_eq!(groups.near_pairs(), 3 + 1);
    assert_eq!((groups.len(), groups.is_empty()), (4, false));
    assert_eq!(groups.members().len(), 7);
}

/// What a clique has to leave out is also near it; of many such images a few are kept, and all are counted.
#[test]
fn also_near_by_hand() {
    let mut first = photograph(1);
    first.image.quality = 9000;
    let mut second = photograph(2);
    second.image.quality = 8000;
    second.flip(0, [0]);
    let mut images = vec![first, second];
    for id in 3..43 {
        // Three bits from the second one, four from the first, at least four from one another.
        let mut image = photograph(id);
        image.flip(0, [0]);
        image.flip(0, [0, 8, 19].map(|step| 1 + (id as usize + step) % 63));
        images.push(image);
    }
    let rule = PairRule::from_json(&serde_json::json!([{"ahash": 3}])).unwrap();
    let (ranked, groups) = groups_of(&images, &rule, Strategy::Clique, &unlimited()).unwrap();
    let group = &shown(&ranked, &groups)[0];
    assert_eq!(group.members.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(group.also_near, (3..19).collect::<Vec<_>>(), "the best ones");
    assert_eq!(group.also_near_count, 40);
    let (ranked, groups) = groups_of(&images, &rule, Strategy::Component, &unlimited()).unwrap();
    assert_eq!(shown(&ranked, &groups)[0].also_near_count, 0);
}

#[test]
fn no_images_no_groups() {
    let (_, groups) = groups_of(&[], &consensus(), Strategy::Clique, &unlimited()).unwrap();
    assert!(groups.is_empty() && groups.members().is_empty());
    assert_eq!(groups.near_pairs(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn groups_are_those_of_the_naive_twin(images in catalogs(), rule in rules()) {
        let parsed = PairRule::from_json(&rule).unwrap();
        prop_assert!(parsed.hashes().iter().all(|hash| IMAGE_HASHES.contains(hash)));
        let naive = Naive::new(&images, &rule, &parsed);
        for (name, strategy) in Strategy::ALL {
            let (ranked, groups) = groups_of(&images, &parsed, strategy, &unlimited()).unwrap();
            prop_assert_eq!(shown(&ranked, &groups), naive.groups(strategy), "{}", name);
            prop_assert_eq!(groups.near_pairs(), naive.near_pairs());
            let mut grouped = BTreeSet::new();
            prop_assert!(groups.members().iter().all(|member| grouped.insert(*member)), "in one group at most");
        }
    }
}
