//! Runs the brute-force kernels of `samples/tensor.cu` and compares with the oracle.

use super::*;

/// Rows that must be readable behind the last one.
const PAD: usize = 1024;

/// `kernel`: `s8`, `b1` or `ones`.
pub(crate) fn brute_force(
    module: &Module,
    kernel: &str,
    words: usize,
    (n, radius): (usize, u32),
    options: &Options,
) -> Result<Stats, String> {
    let list = hashes(n, words, radius, n as u64 + 1);
    let want = pairs(&list, words, radius, |_, _| true);
    let mut memory = Memory::new();
    let mut padded = list.clone();
    padded.resize((n + PAD) * words, 0);
    let mut hash = memory.allocate_with(&padded[..].bytes());
    let (mut id, mut ones) = (0, 0);
    if kernel == "ones" {
        let sorted = memory.allocate_with(&vec![0; padded.len() * 8]);
        let counts = memory.allocate_with(&vec![0; (64 * words + 1) * 4]);
        id = memory.allocate(n * 4);
        ones = memory.allocate_with(&vec![0; (n + PAD) * 2]);
        let head = |last: &[u64]| [&[hash, n as u64][..], last].concat()[..].bytes();
        let shape = (n.div_ceil(256), 256);
        let mut step = |name: &str, shape, params: &[u8]| {
            run(module, name, shape, params, &mut memory, options).map_err(|fault| fault.to_string())
        };
        step("ones_count", shape, &head(&[counts]))?;
        step("ones_starts", (1, 1), &[counts][..].bytes())?;
        step("ones_scatter", shape, &head(&[counts, sorted, id, ones]))?;
        hash = sorted;
    }
    let out = Output::new(&mut memory, want.len() + 8);
    let mut params = [hash, id, ones, out.pair, out.distance, out.counter, out.capacity as u64][..].bytes();
    params.extend([n as u32, radius, 0, 128][..].bytes());
    let entry = module.entry(&format!("{kernel}_w{words}")).unwrap();
    // Four warps of at least 64 rows each; rows behind the last one end at once.
    let grid = [n.div_ceil(128) as u32, n.div_ceil(256) as u32, 1];
    let stats = launch(entry, grid, [128, 1, 1], &params, &mut memory, options).map_err(|fault| fault.to_string())?;
    let (count, found) = out.read(&memory)?;
    if count == want.len() && found == want {
        Ok(stats)
    } else {
        Err(format!("{kernel}_w{words}, n = {n}, r = {radius}: {count} pairs, not {}", want.len()))
    }
}
