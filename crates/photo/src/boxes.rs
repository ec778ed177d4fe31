//! The boxes of ISO base media files (ISO/IEC 14496-12, 4.2): CR3, HEIC, AVIF, JPEG XL.
//!
//! Called by `metadata` and `raw`. Boxes are parsed in place; one that claims to be longer than its container ends
//! where that ends, so that a truncated file still yields its remaining boxes.

use std::ops::Range;

use crate::ifd::ByteOrder;

/// Boxes in one box. Cameras write some tens.
pub(crate) const MAX_BOXES: usize = 4096;

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileBox {
    /// Its four letters.
    pub(crate) kind: [u8; 4],
    /// The range of its contents in the file.
    pub(crate) body: Range<usize>,
}

/// The boxes of `within`, one after the other.
pub(crate) fn boxes(bytes: &[u8], within: Range<usize>) -> impl Iterator<Item = FileBox> + '_ {
    let end = within.end.min(bytes.len());
    let mut at = within.start;
    std::iter::from_fn(move || {
        let (found, next) = header(bytes, at, end)?;
        at = next;
        Some(found)
    })
    .take(MAX_BOXES)
}

/// The first box of a kind.
pub(crate) fn find(bytes: &[u8], within: Range<usize>, kind: &[u8; 4]) -> Option<Range<usize>> {
    boxes(bytes, within).find(|found| found.kind == *kind).map(|found| found.body)
}

/// The first box down a path of kinds.
pub(crate) fn descend(bytes: &[u8], within: Range<usize>, path: &[&[u8; 4]]) -> Option<Range<usize>> {
    path.iter().try_fold(within, |within, kind| find(bytes, within, kind))
}

/// The number of `length` bytes that begins `skip` bytes into `body`.
pub(crate) fn number(bytes: &[u8], body: &Range<usize>, skip: usize, length: usize) -> Option<u64> {
    let start = body.start.checked_add(skip)?;
    let end = start.checked_add(length)?;
    (end <= body.end).then_some(ByteOrder::Big.number(bytes.get(start..end)?))
}

/// The box at `at`, and where the next one is.
fn header(bytes: &[u8], at: usize, end: usize) -> Option<(FileBox, usize)> {
    let all = at..end;
    let size = number(bytes, &all, 0, 4)?;
    let kind = bytes.get(at.checked_add(4)?..at.checked_add(8)?)?.try_into().ok()?;
    let (size, head) = match size {
        0 => (end.checked_sub(at)?, 8),
        1 => (usize::try_from(number(bytes, &all, 8, 8)?).ok()?, 16),
        size => (usize::try_from(size).ok()?, 8),
    };
    let next = at.saturating_add(size).min(end);
    let start = at.checked_add(head)?;
    // A box shorter than its own header is none, and nothing after it can be found.
    (start <= next).then_some((FileBox { kind, body: start..next }, next))
}

#[cfg(test)]
mod tests;
