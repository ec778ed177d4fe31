//! Deterministic sets of hashes for tests and benches.
//!
//! - [`uniform`]: random hashes, a fifth of them near copies of others: the friendly case.
//! - [`photo`]: 8 × 8 difference hashes of random smooth pictures: neighbouring bits agree, some values are popular
//!   (flat pictures), copies come in clusters: the usual case.

use fastrand::Rng;

/// 64-bit hashes of common degenerate pictures, with their weights: black, white, halves, gradients.
const POPULAR: [(u64, u32); 6] = [
    (0x0, 45),
    (0xff00_0000_0000_0000, 22),
    (0xffff_ffff_ffff_ffff, 14),
    (0x0000_0000_0000_00ff, 9),
    (0x8080_8080_8080_8080, 6),
    (0xffff_ffff_0000_0000, 4),
];

/// `count` random hashes of `words` words, a fifth of them copies of others with 0 to `flipped` bits flipped; in
/// planes: word p of hash i is `[p * count + i]`.
pub fn uniform(words: usize, count: usize, flipped: usize, seed: u64) -> Vec<u64> {
    let mut random = Rng::with_seed(seed);
    let fresh = count - count / 5;
    let mut hashes: Vec<Vec<u64>> = (0..fresh).map(|_| (0..words).map(|_| random.u64(..)).collect()).collect();
    for _ in fresh..count {
        let mut copy = hashes[random.usize(..fresh)].clone();
        flip(&mut copy, flipped, &mut random);
        hashes.push(copy);
    }
    random.shuffle(&mut hashes);
    (0..words).flat_map(|p| hashes.iter().map(move |hash| hash[p])).collect()
}

/// `count` hashes of 64 bits like those of an album: 1.5 % popular values, a fifth in clusters around others.
pub fn photo(count: usize, seed: u64) -> Vec<u64> {
    let mut random = Rng::with_seed(seed);
    let (copies, popular) = (count / 5, count * 3 / 200);
    let waves = Waves::new();
    let mut hashes: Vec<u64> = (0..count - copies - popular).map(|_| waves.picture(&mut random)).collect();
    let fresh = hashes.len();
    while hashes.len() < fresh + copies {
        let center = hashes[random.usize(..fresh)];
        let mut size = 2; // and one more with a chance of three in four: five on average
        while random.f64() < 0.75 {
            size += 1;
        }
        for _ in 0..size.min(fresh + copies - hashes.len()) {
            let mut copy = [center];
            flip(&mut copy, 6, &mut random);
            hashes.push(copy[0]);
        }
    }
    let all: u32 = POPULAR.iter().map(|(_, weight)| weight).sum();
    for _ in 0..popular {
        let mut at = random.u32(..all);
        for (value, weight) in POPULAR {
            if at < weight {
                hashes.push(value);
                break;
            }
            at -= weight;
        }
    }
    random.shuffle(&mut hashes);
    hashes
}

/// Flips 0 to `most` different bits.
fn flip(hash: &mut [u64], most: usize, random: &mut Rng) {
    let bits = hash.len() * 64;
    let count = random.usize(..=most);
    for bit in random.choose_multiple(0..bits, count) {
        hash[bit / 64] ^= 1 << (bit % 64);
    }
}

/// The first cosine waves over 9 × 8 pixels, weaker the shorter they are: the components of smooth pictures.
struct Waves(Vec<[f32; 72]>);

impl Waves {
    fn new() -> Self {
        let orders = (0..5u8).flat_map(|u| (0..5u8).map(move |v| (f32::from(u), f32::from(v)))).skip(1);
        let wave = |(u, v): (f32, f32)| {
            let strength = (u * u + v * v).powf(0.6);
            std::array::from_fn(|pixel| {
                let (x, y) = ((pixel % 9) as f32 + 0.5, (pixel / 9) as f32 + 0.5);
                let angle = std::f32::consts::PI;
                (angle * y * u / 8.0).cos() * (angle * x * v / 9.0).cos() / strength
            })
        };
        Waves(orders.map(wave).collect())
    }

    /// The difference hash of a random picture: each pixel against its right neighbour.
    fn picture(&self, random: &mut Rng) -> u64 {
        let mut pixels: [f32; 72] = std::array::from_fn(|_| 0.12 * normal(random));
        for wave in &self.0 {
            let weight = normal(random);
            for (pixel, value) in pixels.iter_mut().zip(wave) {
                *pixel += weight * value;
            }
        }
        let rows = pixels.chunks(9).flat_map(|row| row.windows(2).map(|pair| pair[0] > pair[1]));
        rows.fold(0, |hash, brighter| hash << 1 | u64::from(brighter))
    }
}

/// About normally distributed: the sum of uniform numbers.
fn normal(random: &mut Rng) -> f32 {
    (0..6).map(|_| random.f32() - 0.5).sum::<f32>() * std::f32::consts::SQRT_2
}
