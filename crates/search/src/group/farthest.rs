//! The largest distance between two members of a group, in each column.
//!
//! A large group is measured by the join kernel: two hashes of b bits are at least t apart if one of them and the
//! complement of the other are at most b - t apart. Searching only for pairs farther than the farthest so far, it soon
//! finds nothing more, and compares at full speed.

use crate::context::SearchContext;
use crate::error::SearchError;
use crate::values::Values;
use lumina_hash::kernel::{BlockJoin, JoinColumn, Kernels, PADDING, Planes};
use lumina_hash::words::words_for;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Groups up to this size are measured pair by pair.
const SMALL: usize = 64;
/// Rows of a block.
const TILE: usize = 2048;

/// Writes the largest distances to `farthest`, one a column.
pub(super) fn measure(
    values: &Values,
    members: &[u32],
    primary: u32,
    farthest: &mut [u16],
    context: &SearchContext,
) -> Result<(), SearchError> {
    let mut distances = vec![0u16; farthest.len()];
    let mut pair = |a: u32, b: u32| {
        values.distances(a, b, &mut distances);
        for (farthest, distance) in farthest.iter_mut().zip(&distances) {
            *farthest = (*farthest).max(*distance);
        }
    };
    if members.len() <= SMALL {
        for (at, &a) in members.iter().enumerate() {
            members[at + 1..].iter().for_each(|&b| pair(a, b));
        }
        return Ok(());
    }
    members.iter().for_each(|&member| pair(primary, member));
    for (column, farthest) in farthest.iter_mut().enumerate() {
        *farthest = column_of(values, members, column, *farthest, context)?;
    }
    Ok(())
}

fn column_of(
    values: &Values,
    members: &[u32],
    column: usize,
    known: u16,
    context: &SearchContext,
) -> Result<u16, SearchError> {
    let bits = values.widths()[column] as u32;
    let (first, planes) = (values.first_plane(column), words_for(bits as usize));
    let stride = members.len() + PADDING;
    let mut words = context.vec(planes * stride)?;
    for plane in 0..planes {
        words.extend(members.iter().map(|&value| values.planes().word(first + plane, value as usize)));
        words.resize(words.len() + PADDING, 0);
    }
    let mut complements = context.vec(words.len())?;
    // A last word that is not full has its padding on the right: that stays as it is.
    let real = |plane: usize| u64::MAX << (64 * (plane + 1)).saturating_sub(bits as usize);
    complements.extend(words.iter().enumerate().map(|(at, word)| word ^ real(at / stride)));
    let farthest = AtomicU32::new(u32::from(known));
    let blocks = members.len().div_ceil(TILE);
    (0..blocks).into_par_iter().try_for_each(|block| {
        let mut hits = context.vec(2 * TILE)?;
        for right in block..blocks {
            context.check()?;
            let rows = |block: usize| block * TILE..members.len().min((block + 1) * TILE);
            let mut left_rows = rows(block);
            while !left_rows.is_empty() {
                let Some(radius) = bits.checked_sub(farthest.load(Ordering::Relaxed) + 1) else { break };
                let columns = [JoinColumn { first: 0, planes, radius }];
                let join = BlockJoin {
                    left: Planes { words: &words, stride },
                    // A few rows at a time, so that what they find narrows the search for the next ones.
                    left_rows: left_rows.start..left_rows.end.min(left_rows.start + 16),
                    right: Planes { words: &complements, stride },
                    right_rows: rows(right),
                    columns: &columns,
                    ascending: false,
                };
                left_rows.start = Kernels::best().join(&join, &mut hits);
                for hit in hits.drain(..) {
                    let a = members[hit.left as usize];
                    let b = members[hit.right as usize];
                    farthest.fetch_max(values.distance_in(column, a, b), Ordering::Relaxed);
                }
            }
        }
        context.free(hits);
        Ok(())
    })?;
    context.free(words);
    context.free(complements);
    Ok(farthest.into_inner() as u16)
}
