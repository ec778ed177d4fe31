//! Allocates blocks for new pages: free ones, before the file is extended.
//!
//! The store's hints come first: vacuum records them, for pages that no search can be reading, and so does a session
//! that took a page and could not use it. But pages become free all the time, and hints are lost in a crash. So if much
//! of the file is free, blocks here and there are probed, a few for each new page. A file without free blocks is not
//! read for this.

use crate::meta::Meta;
use crate::store::Store;

/// Free blocks are searched for if more than one block in this many is free.
const FREE_ONE_IN: u32 = 4;
/// Blocks that are probed for one page.
const PROBED_BLOCKS: usize = 16;

/// Allocator of free blocks.
pub(crate) struct FreeBlocks {
    /// Hints whose blocks could not be taken yet.
    refused: Vec<u32>,
    max_refused: usize,
    blocks: u32,
    /// The next block to probe, the stride to the one after it, and how many probes are left.
    at: u32,
    stride: u32,
    left: u32,
    /// Expected free blocks beyond those that may be left over.
    spare: u32,
}

impl FreeBlocks {
    /// An allocator for the index in state `meta`; follows at most `max_refused` hints whose blocks cannot be taken.
    pub(crate) fn new(store: &impl Store, meta: &Meta, max_refused: usize) -> Self {
        let blocks = store.blocks();
        let staging = (meta.staging.pages().count() + meta.sealed.pages().count()) as u32;
        let used = meta.runs.iter().map(|run| run.pages).sum::<u32>() + staging + 1;
        // A different start each time.
        let seed = (meta.next_generation + meta.changes).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (seed >> 32) as u32 % blocks.max(1);
        let spare = blocks.saturating_sub(used).saturating_sub(blocks / FREE_ONE_IN);
        FreeBlocks { refused: Vec::new(), max_refused, blocks, at, stride: stride(blocks), left: blocks, spare }
    }

    /// A block that is free as far as `meta` knows, or a new one. The caller checks it again under its lock.
    pub(crate) fn take(&mut self, store: &impl Store, meta: &Meta) -> u32 {
        self.hinted(store, meta).or_else(|| self.found(store, meta)).unwrap_or_else(|| store.extend())
    }

    fn hinted(&mut self, store: &impl Store, meta: &Meta) -> Option<u32> {
        while self.refused.len() < self.max_refused {
            let block = store.take_free()?;
            let (is_free, is_live) =
                store.read(block, |page| (meta.is_free(page, block, store), meta.is_live(page.generation())));
            if is_free {
                return Some(block);
            }
            // A hint at a live page is wrong, and dropped.
            if !is_live {
                self.refused.push(block);
            }
        }
        None
    }

    fn found(&mut self, store: &impl Store, meta: &Meta) -> Option<u32> {
        self.spare = self.spare.checked_sub(1)?;
        for _ in 0..PROBED_BLOCKS {
            self.left = self.left.checked_sub(1)?;
            let block = self.at;
            self.at = ((u64::from(block) + u64::from(self.stride)) % u64::from(self.blocks)) as u32;
            if store.read(block, |page| meta.is_free(page, block, store)) {
                return Some(block);
            }
        }
        // Pages that are being written count as free, but are not.
        self.spare /= 2;
        None
    }

    /// Returns the hints whose blocks could not be taken yet.
    pub(crate) fn finish(self, store: &impl Store) {
        if !self.refused.is_empty() {
            store.record_free(&self.refused);
        }
    }
}

/// The stride of probes: the golden ratio of the file, because free blocks, and blocks that are not free yet, are
/// clustered. It has no divisor in common with the length of the file: otherwise the probes would return to their start
/// before they have been at every block, in a file of 495 blocks at 55 of them.
fn stride(blocks: u32) -> u32 {
    let golden = (u64::from(blocks) * 618 / 1000) as u32;
    (golden + 1..).find(|stride| divisor(*stride, blocks) == 1).unwrap_or(1)
}

/// The greatest common divisor.
fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::stride;

    #[test]
    fn every_block_has_its_turn() {
        for blocks in 1..2000 {
            let mut turns = vec![0; blocks as usize];
            let mut at = 0;
            for _ in 0..blocks {
                turns[at] += 1;
                at = (at + stride(blocks) as usize) % blocks as usize;
            }
            assert!(turns.iter().all(|turns| *turns == 1), "{blocks} blocks");
        }
        assert!(stride(0) > 0 && stride(u32::MAX) > 0);
    }
}
