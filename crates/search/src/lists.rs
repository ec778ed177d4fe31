//! Many lists of numbers in two vectors: the starts, and all items.

use crate::context::SearchContext;
use crate::error::SearchError;

/// Lists, numbered from 0.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// `items[starts[l]..starts[l + 1]]` are those of list l.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// `count` lists of entries (list, item), each list in the order of its entries, which are iterated twice. There
    /// are at most 2^32 - 1 of them.
    pub(crate) fn collect<Entries: Iterator<Item = (u32, u32)>>(
        count: usize,
        entries: impl Fn() -> Entries,
        context: &SearchContext,
    ) -> Result<Self, SearchError> {
        let each = |step: &mut dyn FnMut(usize, u32)| {
            for (at, (list, item)) in entries().enumerate() {
                if at % (1 << 20) == 0 {
                    context.check()?;
                }
                step(list as usize, item);
            }
            Ok(())
        };
        // Counted two places later, so that filling the lists turns ends into starts.
        let mut starts = context.filled(count + 2, 0u32)?;
        each(&mut |list, _| starts[list + 2] += 1)?;
        for list in 2..starts.len() {
            starts[list] += starts[list - 1];
        }
        let mut items = context.filled(starts[count + 1] as usize, 0u32)?;
        each(&mut |list, item| {
            let end = &mut starts[list + 1];
            items[*end as usize] = item;
            *end += 1;
        })?;
        starts.pop();
        Ok(Lists { starts, items })
    }

    /// How many lists.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The items of a list.
    #[inline]
    pub(crate) fn of(&self, list: usize) -> &[u32] {
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }

    /// How many items each list has.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = u64> {
        self.starts.windows(2).map(|pair| u64::from(pair[1] - pair[0]))
    }

    /// Frees them.
    pub(crate) fn free(self, context: &SearchContext) {
        context.free(self.starts);
        context.free(self.items);
    }
}
