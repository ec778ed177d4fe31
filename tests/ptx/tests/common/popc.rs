//! Runs the kernels of `samples/popc.cu` and compares with the oracle.

use super::*;

/// The kernel's one parameter.
#[derive(Clone, Copy, Default)]
pub(crate) struct Params {
    pub(crate) hash: u64,
    pub(crate) id: u64,
    pub(crate) tiles: u64,
    pub(crate) segment_end: u64,
    pub(crate) band_mask: u64,
    pub(crate) first_tile: u64,
    pub(crate) n: u32,
    pub(crate) tile_count: u32,
    pub(crate) radius: u32,
    pub(crate) band: u32,
}

/// Launches `kernel` with room for `capacity` pairs; returns them with the sum of the tiles' counts.
pub(crate) fn launch_popc(
    module: &Module,
    kernel: &str,
    blocks: usize,
    p: Params,
    memory: &mut Memory,
    (capacity, options): (usize, &Options),
) -> Result<(usize, Pairs, Stats), String> {
    let out = Output::new(memory, capacity);
    let counts = memory.allocate(p.tile_count as usize * 4);
    let pointers = [p.hash, p.id, p.tiles, p.segment_end, p.band_mask, out.pair, out.distance, out.counter, counts];
    let mut params = pointers[..].bytes();
    params.extend([capacity as u64, p.first_tile][..].bytes());
    params.extend([p.n, p.tile_count, p.radius, p.band][..].bytes());
    let stats = run(module, kernel, (blocks, 256), &params, memory, options).map_err(|fault| fault.to_string())?;
    let (count, found) = out.read(memory)?;
    let tiles: u32 = read_u32(memory, counts, p.tile_count as usize).iter().sum();
    if tiles as usize == count {
        Ok((count, found, stats))
    } else {
        Err(format!("tiles count {tiles} pairs, not {count}"))
    }
}

/// Brute force of `n` hashes: with room for all pairs, and with room for a third of them.
pub(crate) fn brute_force(
    module: &Module,
    words: usize,
    n: usize,
    radius: u32,
    options: &Options,
) -> Result<(), String> {
    let list = hashes(n, words, radius, n as u64);
    let want = pairs(&list, words, radius, |_, _| true);
    let tiles = n.div_ceil(256);
    let tiles = tiles * (tiles + 1) / 2;
    let kernel = format!("hd_brute_w{words}");
    for capacity in [want.len() + 8, want.len() / 3] {
        let mut memory = Memory::new();
        let hash = memory.allocate_with(&list[..].bytes());
        let p = Params { hash, n: n as u32, tile_count: tiles as u32, radius, ..Params::default() };
        let (count, found, _) = launch_popc(module, &kernel, tiles.min(2), p, &mut memory, (capacity, options))?;
        let is_right = found.iter().all(|(pair, distance)| want.get(pair) == Some(distance));
        if count != want.len() || found.len() != count.min(capacity) || !is_right {
            return Err(format!("{kernel}, n = {n}: {count} pairs, not {}", want.len()));
        }
    }
    Ok(())
}

/// Pairs equal in one of three bands of 16 bits: two bands by short segments, the last one by tiles.
pub(crate) fn bands(module: &Module, words: usize, n: usize, radius: u32, options: &Options) -> Result<(), String> {
    let list = hashes(n, words, radius, 77);
    let is_equal = |a: &[u64], b: &[u64], band: u32| (a[0] ^ b[0]) >> (16 * band) & 0xffff == 0;
    let want = pairs(&list, words, radius, |a, b| (0..3).any(|band| is_equal(a, b, band)));
    let mut masks = vec![0u64; 3 * words];
    (0..3).for_each(|band| masks[band * words] = 0xffff << (16 * band));
    let mut all = Pairs::new();
    for band in 0..3u32 {
        let key = |id: u32| list[id as usize * words] >> (16 * band) & 0xffff;
        let mut ids: Vec<u32> = (0..n as u32).collect();
        ids.sort_by_key(|id| key(*id));
        let sorted: Vec<u64> = ids.iter().flat_map(|id| &list[*id as usize * words..][..words]).copied().collect();
        let keys: Vec<u64> = ids.iter().map(|id| key(*id)).collect();
        let ends: Vec<u32> = keys.iter().map(|key| keys.partition_point(|other| other <= key) as u32).collect();
        let mut memory = Memory::new();
        let mut p = Params {
            hash: memory.allocate_with(&sorted[..].bytes()),
            id: memory.allocate_with(&ids[..].bytes()),
            band_mask: memory.allocate_with(&masks[..].bytes()),
            n: n as u32,
            radius,
            band,
            ..Params::default()
        };
        let room = (want.len() + 8, options);
        let (_, found, _) = if band == 2 {
            let mut tiles = Vec::new();
            let mut start = 0u32;
            while start < n as u32 {
                let end = ends[start as usize];
                if end - start > 1 {
                    tiles.extend([start, end, start, end]);
                }
                start = end;
            }
            p.tiles = memory.allocate_with(&tiles[..].bytes());
            p.tile_count = tiles.len() as u32 / 4;
            launch_popc(module, &format!("hd_tiles_w{words}"), 3, p, &mut memory, room)?
        } else {
            p.segment_end = memory.allocate_with(&ends[..].bytes());
            p.tile_count = n.div_ceil(256) as u32;
            launch_popc(module, &format!("hd_segments_w{words}"), 2, p, &mut memory, room)?
        };
        for (pair, distance) in found {
            if all.insert(pair, distance).is_some() {
                return Err(format!("pair {pair:#x} is found by two bands"));
            }
        }
    }
    if all == want { Ok(()) } else { Err(format!("{} pairs of bands, not {}", all.len(), want.len())) }
}
